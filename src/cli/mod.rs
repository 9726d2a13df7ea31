//! The command line: one command is run, and its exit code given.
//!
//! Every error is one line on standard error that says what would be right. What a command was
//! asked for goes to standard output.

mod args;
mod backup;
mod check;
mod client;
mod completions;
mod demo;
mod health;
mod help;
mod init;
mod man;
mod manual;
mod new_directory;
mod output;
mod privacy;
mod remote;
mod serve;
mod table;
mod topic;
mod torture;
mod width;

use std::ffi::OsString;
use std::process::ExitCode;

use self::args::Command;
use crate::allocator;
use crate::config::{self, Config};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for is done.
    Done,
    /// 1: it failed while running; an address in use, too.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: the data directory cannot be opened, or the store failed.
    Store,
}

impl Exit {
    /// The code that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Store => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Runs the command that `arguments` ask for; the program's own name is not among them.
pub fn run(arguments: Vec<OsString>) -> Exit {
    // Before any secret is read.
    privacy::close();
    let command = match args::parse(arguments) {
        Ok(command) => command,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    output::judge(carry_out(command))
}

fn carry_out(command: Command) -> Exit {
    match command {
        Command::Help(None) => output::print(&help::of_program()),
        Command::Help(Some(topic)) => output::print(&help::of(topic)),
        Command::HelpBelow(topics) => output::print(&help::of_all(&topics)),
        Command::Version => output::print(help::VERSION),
        Command::Serve(args) => return serve(&args),
        Command::Demo { addr, exit } => return demo::run(addr, exit),
        Command::Init { file } => return init::run(&file),
        Command::Check(args) => return check::run(&args),
        Command::Health { addr } => return health::run(addr.as_deref()),
        Command::Backup(args) => return backup::run(&args),
        Command::Task(args) => return client::task(&args),
        Command::Tasks(args) => return client::tasks(&args),
        Command::Events(args) => return client::events(&args),
        Command::Change(change, args) => return client::change(change, &args),
        Command::Why(args) => return client::why(&args),
        Command::Webhook(args) => return client::webhook(&args),
        Command::Workers { access, json } => return client::workers(&access, json),
        Command::WorkerAdd(args) => return client::add_worker(&args),
        Command::WorkerRemove { access, name } => return client::remove_worker(&access, &name),
        Command::Completions(shell) => output::print(&completions::script(shell)),
        Command::Man => output::print(&man::page()),
        Command::Torture(args) => return torture::run(&args),
    }
    Exit::Done
}

fn serve(args: &config::Args) -> Exit {
    let untuned = allocator::settle();
    match Config::load(args) {
        Ok(config) => serve::run(args, config, untuned.as_deref()),
        Err(error) => {
            for problem in error.problems() {
                output::complain(&problem.to_string());
            }
            Exit::Usage
        }
    }
}
