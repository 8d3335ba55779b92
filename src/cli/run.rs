//! From arguments to an exit code.

use std::process::ExitCode;

use clap::Parser;

use super::arguments::{Arguments, Command};
use super::failure::Failure;
use super::{check, dev, ids, ledger, route, serve, status, version};

/// Runs the command line.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: &Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    if arguments.version {
        return version::run(json);
    }
    match &arguments.command {
        Some(Command::Serve(options)) => serve::run(options),
        Some(Command::Dev(options)) => dev::run(options),
        Some(Command::Check(options)) => check::run(options, json),
        Some(Command::Route(options)) => route::run(options, json),
        Some(Command::Ledger { target, command }) => ledger::run(target, command, json),
        Some(Command::DeadLetters(target)) => ledger::dead_letters(target, json),
        Some(Command::Lanes(target)) => ledger::lanes(target, json),
        Some(Command::Targets { target, command }) => ledger::targets(target, command, json),
        Some(Command::Ddl(target)) => ledger::ddl(target, json),
        Some(Command::Routes(target)) => ledger::routes(target, json),
        Some(Command::Status(target)) => status::run(target, json),
        Some(Command::Id(command)) => ids::run(command, json),
        None => Err(Failure::Usage("give a command; shardloom --help lists them".to_owned())),
    }
}
