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
mod child;
mod contender;
mod drive;
#[cfg(feature = "dynamo")]
mod dynamo;
mod measure;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
mod peer;
#[cfg(feature = "postgres")]
mod postgres;
mod progress;
mod results;
mod run;
mod subject;
mod table;
mod world;

use anyhow::Result;
use clap::Parser;

use crate::options::{Child, Options};

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match &options.child {
        None => {}
        #[cfg(feature = "dynamo")]
        Some(Child::Emulator) => return runtime.block_on(dynamo::serve()),
        Some(Child::Cold(job)) => return runtime.block_on(job.answer()),
        Some(Child::Memory(job)) => return runtime.block_on(job.work()),
    }
    let results = runtime.block_on(run::all(&options))?;
    println!("{}", table::render(&results));
    println!("written to {}", options.output.display());
    Ok(())
}
