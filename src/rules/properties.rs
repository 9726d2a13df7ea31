//! Properties of judgements that hold for every event; see `http::properties`.
