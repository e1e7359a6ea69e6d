//! `storectl`: administration of the authentication state stores. `storectl --help` lists what it does,
//! and the README of this crate shows it.

mod answer;
mod cli;
mod commands;
mod confirm;
mod failure;
mod interrupt;
mod place;
mod progress;
mod run;
mod table;
mod views;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer::refuse(&error),
    };
    let json = cli.common.json;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure =
                failure::Failure::new("io", format!("no threads can be started: {error}"));
            return answer::finish(Err(failure), json);
        }
    };
    let outcome = runtime.block_on(run::run(cli));
    // A prompt that nobody answered still waits for a line.
    runtime.shutdown_background();
    answer::finish(outcome, json)
}
