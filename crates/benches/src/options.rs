//! What a run is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::backend::Backend;
use crate::case::{Case, Kind, Scenario};
use crate::child::Job;
use crate::instructions::{Instructions, Pure};

/// Measures the stores against the bare drivers and against other stores.
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
pub(crate) struct Options {
    /// Measure this backend only (may be repeated) [default: all whose server the environment names].
    #[arg(long, value_enum)]
    pub(crate) backend: Vec<Backend>,
    /// Measure on the server at this URL; needs one --backend.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Measure this scenario only (may be repeated).
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) scenario: Vec<Scenario>,
    /// Measure this implementation only: ours, raw or a peer's name (may be repeated).
    #[arg(long)]
    pub(crate) implementation: Vec<String>,
    /// S1 to S7 at 16 tasks, in about two minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each is measured [default: 3].
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each is measured each time [default: 5, quick 1].
    #[arg(long)]
    seconds: Option<f64>,
    /// How many tasks call at once (may be repeated) [default: 1, 16 and 64, quick 16].
    #[arg(long)]
    tasks: Vec<usize>,
    /// How many sessions of each kind are stored at first [default: 100,000; on DynamoDB 10,000].
    #[arg(long)]
    rows: Option<usize>,
    /// How many sessions of each kind are stored at each step of S11 (may be repeated, in order) [default: 10,000,
    /// 100,000, 1,000,000 and 5,000,000; on DynamoDB 1,000, 10,000 and 100,000].
    #[arg(long, value_name = "ROWS")]
    growth: Vec<usize>,
    /// Where the results are written.
    #[arg(long, value_name = "FILE", default_value = "target/bench/results.json")]
    pub(crate) output: PathBuf,
    /// Fail if a ratio misses its target, and say which.
    #[arg(long)]
    pub(crate) check: bool,
    /// Where the report is written [default: report.html beside the results].
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Measure nothing: take results from this file, which earlier runs wrote (may be repeated).
    #[arg(long, value_name = "FILE")]
    pub(crate) merge: Vec<PathBuf>,
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
}

/// What this program does besides, and what it is run as by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Count the instructions of what asks no server, and compare them with what was counted before.
    Instructions(Instructions),
    /// Repeat what asks no server.
    #[command(hide = true)]
    Pure { path: Pure, times: u64 },
    /// Serve DynamoDB's protocol until standard input ends.
    #[cfg(feature = "dynamo")]
    #[command(hide = true)]
    Emulator,
    /// Ask for one session.
    #[command(hide = true)]
    Cold(Job),
    /// Work for a while, and tell how much memory that took.
    #[command(hide = true)]
    Memory(Job),
}

impl Options {
    pub(crate) fn report(&self) -> PathBuf {
        let beside = || self.output.with_file_name("report.html");
        self.report.clone().unwrap_or_else(beside)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(3).max(1)
    }

    pub(crate) fn length(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 1.0 } else { 5.0 });
        Duration::from_secs_f64(seconds.clamp(0.05, 3_600.0))
    }

    /// Before each measurement, so that connections are open and statements prepared.
    pub(crate) fn warm_up(&self) -> Duration {
        self.length()
            .mul_f64(0.2)
            .clamp(Duration::from_millis(100), Duration::from_millis(500))
    }

    pub(crate) fn tasks(&self) -> Vec<usize> {
        match (&self.tasks[..], self.quick) {
            ([], true) => vec![16],
            ([], false) => vec![1, 16, 64],
            (tasks, _) => tasks.iter().map(|&tasks| tasks.max(1)).collect(),
        }
    }

    pub(crate) fn rows(&self, backend: Backend) -> usize {
        self.rows.unwrap_or(backend.default_rows()).max(64)
    }

    /// Whether a scenario is asked for: by name, or among all.
    pub(crate) fn includes(&self, scenario: Scenario) -> bool {
        match &self.scenario[..] {
            [] => !self.quick || scenario <= Scenario::S7,
            some => some.contains(&scenario),
        }
    }

    pub(crate) fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| self.includes(case.scenario());
        Case::ALL.into_iter().filter(wanted).collect()
    }

    /// How many sessions of each kind are stored at each step of growth.
    pub(crate) fn growth(&self, backend: Backend) -> Vec<usize> {
        match &self.growth[..] {
            [] => backend.growth().to_vec(),
            some => some.to_vec(),
        }
    }

    pub(crate) fn wants(&self, implementation: &str) -> bool {
        self.implementation.is_empty()
            || self
                .implementation
                .iter()
                .any(|wanted| implementation.contains(wanted.as_str()))
    }

    /// How many tasks a case is measured with: one that nothing waits for is the same with any.
    pub(crate) fn tasks_of(&self, case: Case) -> Vec<usize> {
        let tasks = self.tasks();
        match case.kind() {
            Kind::Cached => tasks.into_iter().take(1).collect(),
            Kind::Read | Kind::Write => tasks,
        }
    }
}
