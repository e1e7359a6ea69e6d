//! `cargo xtask ci`: all that a change must pass.

use std::env;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::services::{Source, Stop, Supervisor};
use crate::{package, test, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take servers from here only.
    #[arg(long, value_enum)]
    services: Option<Source>,
}

/// Stops at the first check that fails. With `CI` set the tests run all the same, so that their closing line is last.
pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    let cargo = |arguments: &[&str]| {
        let mut command = supervisor.workspace().cargo();
        command.args(arguments);
        command
    };
    let mut docs = cargo(&["doc", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    let checks: [(&str, &str, Command); 3] = [
        (
            "formatting",
            "run `cargo fmt --all`",
            cargo(&["fmt", "--all", "--check"]),
        ),
        (
            "lints",
            "mend what clippy says above",
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        ("documentation", "mend what rustdoc says above", docs),
    ];

    let mut holds = true;
    for (name, remedy, mut command) in checks {
        holds = holds
            && check(name, remedy, || {
                let mut child = supervisor.spawn(&mut command, Stop::Terminate)?;
                let status = child.wait()?;
                supervisor.forget(&child)?;
                Ok(status.success())
            })?;
    }
    holds = holds
        && check("tidy", "mend the findings above", || {
            tidy::run(supervisor.workspace())
        })?;
    holds = holds
        && check("packages", "mend what is told above", || {
            package::run(supervisor, &package::Args::with(args.services))
        })?;
    if !holds && env::var_os("CI").is_none() {
        return Ok(false);
    }
    let passed = test::run(supervisor, &test::Args::everything(args.services))?;
    Ok(holds && passed)
}

fn check(name: &str, remedy: &str, work: impl FnOnce() -> Result<bool>) -> Result<bool> {
    let began = Instant::now();
    let holds = work()?;
    let took = began.elapsed().as_secs_f64();
    if holds {
        println!("ci: {name} pass ({took:.1} s)");
    } else {
        println!("ci: {name} FAIL ({took:.1} s): {remedy}");
    }
    Ok(holds)
}
