//! Measures the stores against the bare drivers and against other stores, and says how they compare.
//!
//! `cargo xtask bench` provides servers and runs this. By itself it takes servers from the variables that tests use:
//! `cargo run --release -p benches -- --backend postgres --scenario S1`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]

mod backend;
mod case;
mod check;
mod child;
mod contender;
mod drive;
#[cfg(feature = "dynamo")]
mod dynamo;
mod instructions;
mod measure;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
mod peer;
#[cfg(feature = "postgres")]
mod postgres;
mod progress;
mod report;
mod results;
mod run;
#[cfg(test)]
mod sameness;
mod subject;
mod table;
mod world;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::options::{Child, Options};
use crate::results::Results;

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    match &options.child {
        Some(Child::Instructions(instructions)) => {
            let holds = instructions.run()?;
            return Ok(ExitCode::from(u8::from(!holds)));
        }
        // Without threads, which take what they take.
        Some(Child::Pure { path, times }) => {
            path.repeat(*times)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Some(child) = &options.child {
        match child {
            Child::Instructions(_) | Child::Pure { .. } => {}
            #[cfg(feature = "dynamo")]
            Child::Emulator => runtime.block_on(dynamo::serve())?,
            Child::Cold(job) => runtime.block_on(job.answer())?,
            Child::Memory(job) => runtime.block_on(job.work())?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let results = if options.merge.is_empty() {
        runtime.block_on(run::all(&options))?
    } else {
        let mut results = Results::default();
        for path in &options.merge {
            results.merge(Results::read(path)?);
        }
        results.write(&options.output)?;
        results
    };
    println!("{}", table::render(&results));
    let report = options.report();
    report::write(&results, &report)?;
    println!(
        "written to {} and {}",
        options.output.display(),
        report.display()
    );
    Ok(judged(&options, &results))
}

/// Says which targets were missed, if that was asked for.
fn judged(options: &Options, results: &Results) -> ExitCode {
    if !options.check {
        return ExitCode::SUCCESS;
    }
    let verdicts = check::judge(results);
    let missed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.holds()).collect();
    println!(
        "{} of {} targets reached",
        verdicts.len() - missed.len(),
        verdicts.len()
    );
    for verdict in &missed {
        println!("missed: {verdict}");
    }
    // A check that judged nothing has not shown anything.
    if missed.is_empty() && !verdicts.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
