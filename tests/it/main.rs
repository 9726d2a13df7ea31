//! Tests of mecha from outside: the queue against a model, and the program as its users see it.

mod model;
