//! Project automation: `cargo xtask --help` lists what it does.
//!
//! Nothing here ships to users. It runs on Linux and macOS.
//!
//! - `demo` tells the story of a launch on a store and checks it.
//! - `services` finds, starts and stops the database servers that tests need.
//! - `test` runs every test against them and counts the conformance cases.
//! - `package` builds every package from its own archive and follows its README.
//! - `bench` measures the stores against the bare drivers and other stores.
//! - `tidy` checks the rules of this repository that compilers don't know.
//! - `ci` runs all that a change must pass.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod bench;
mod ci;
mod demo;
mod package;
mod report;
mod services;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::services::Supervisor;
use crate::workspace::Workspace;

/// Project automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell the story of an LTI launch and what follows, on a store of your choice, and check every step.
    Demo(demo::Args),
    /// Start, list or stop the database servers that tests use.
    Services(services::Args),
    /// Run every test against every backend and count the conformance cases.
    Test(test::Args),
    /// Make the packages, build each from its own archive, and follow its README in a project outside of the workspace.
    Package(package::Args),
    /// Measure the stores against the bare drivers and against other stores.
    #[command(disable_help_flag = true)]
    Bench(bench::Args),
    /// Check the rules of this repository that compilers don't know.
    Tidy,
    /// Run all that a change must pass: formatting, lints, docs, tidy, tests.
    Ci(ci::Args),
}

/// Each command says whether what it checked holds; an error means that it could not find out.
fn run(command: Command, supervisor: &Supervisor) -> Result<bool> {
    match command {
        Command::Demo(args) => demo::run(supervisor, &args),
        Command::Services(args) => services::run(supervisor, &args),
        Command::Test(args) => test::run(supervisor, &args),
        Command::Package(args) => package::run(supervisor, &args),
        Command::Bench(args) => bench::run(supervisor, &args),
        Command::Tidy => tidy::run(supervisor.workspace()),
        Command::Ci(args) => ci::run(supervisor, &args),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Workspace::find()
        .and_then(Supervisor::new)
        .and_then(|supervisor| {
            let outcome = run(cli.command, &supervisor);
            supervisor.stop();
            outcome
        });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
