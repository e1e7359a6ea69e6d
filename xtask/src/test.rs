//! `cargo xtask test`: every test against every backend, counted.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::report::{Report, result_line};
use crate::services::{self, KINDS, Kind, Servers, Source, Stop, Supervisor};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take servers from here only.
    #[arg(long, value_enum)]
    pub(crate) services: Option<Source>,
    /// Test only the crate of this backend (may be repeated); all of the workspace unless given.
    #[arg(long, value_enum)]
    backend: Vec<Backend>,
    /// What the test programs get, such as part of a test's name.
    #[arg(last = true)]
    libtest: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Memory,
    Postgres,
    #[value(name = "mysql")]
    MySql,
    Dynamo,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::Dynamo => "dynamo",
        }
    }
}

impl Args {
    /// All of the workspace's tests.
    pub(crate) fn everything(services: Option<Source>) -> Self {
        Self {
            services,
            backend: Vec::new(),
            libtest: Vec::new(),
        }
    }

    fn backends(&self) -> &[Backend] {
        if self.backend.is_empty() {
            Backend::value_variants()
        } else {
            &self.backend
        }
    }

    fn kinds(&self) -> Vec<&'static dyn Kind> {
        KINDS
            .iter()
            .copied()
            .filter(|kind| {
                self.backends()
                    .iter()
                    .any(|backend| backend.name() == kind.backend())
            })
            .collect()
    }

    fn cargo_test(&self, supervisor: &Supervisor) -> Command {
        let mut command = supervisor.workspace().cargo();
        command.arg("test");
        if self.backend.is_empty() {
            command.arg("--workspace");
        }
        for backend in &self.backend {
            command.args(["--package", &format!("store-{}", backend.name())]);
        }
        command
    }

    /// Backends whose suite exists and yet reported nothing, though nothing was filtered out.
    fn silent(&self, root: &Path, report: &Report) -> Vec<&'static str> {
        let suite = |name: &str| {
            root.join(format!("crates/store-{name}/tests/conformance.rs"))
                .is_file()
        };
        self.backends()
            .iter()
            .map(|backend| backend.name())
            .filter(|name| self.libtest.is_empty() && suite(name))
            .filter(|name| !report.cases.iter().any(|case| case.backend() == *name))
            .collect()
    }
}

/// True if tests ran and none failed. The last line printed is the closing line.
pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    let mut phases = Phases::default();
    let mut report = Report::default();

    let servers = phases.time("services", || {
        services::provide(supervisor, &args.kinds(), args.services)
    })?;
    let built = phases.time("build", || {
        let mut build = args.cargo_test(supervisor);
        succeeds(supervisor, build.arg("--no-run"))
    })?;
    let mut passed = built;
    if built {
        passed = phases.time("tests", || test(supervisor, args, &servers, &mut report))?;
    }
    supervisor.stop();

    println!("\n{}", report.render());
    for name in args.silent(supervisor.workspace().root(), &report) {
        if built {
            println!(
                "the conformance suite of {name} reported no case, which is counted as one failure"
            );
            report.uncounted_failures += 1;
        }
    }
    if !passed && report.total().failed == 0 {
        println!(
            "{}, which is counted as one failure",
            if built {
                "a test program crashed or did not start"
            } else {
                "the tests do not build"
            }
        );
        report.uncounted_failures += 1;
    }
    let total = report.total();
    if total.ran() == 0 {
        println!("no test ran");
    }
    println!("took {}", phases.render());
    println!("{}", total.closing_line());
    Ok(passed && total.failed == 0 && total.passed > 0)
}

/// Runs cargo, showing what it prints.
fn succeeds(supervisor: &Supervisor, command: &mut Command) -> Result<bool> {
    let mut child = supervisor.spawn(command, Stop::Terminate)?;
    let status = child.wait()?;
    supervisor.forget(&child)?;
    Ok(status.success())
}

fn test(
    supervisor: &Supervisor,
    args: &Args,
    servers: &Servers,
    report: &mut Report,
) -> Result<bool> {
    let path = report_path(supervisor)?;
    let mut command = args.cargo_test(supervisor);
    command.args(["--no-fail-fast", "--"]).args(&args.libtest);
    for name in services::all_variables() {
        command.env_remove(name);
    }
    command
        .envs(servers.variables())
        .env("STORE_TEST_REPORT", &path)
        .stdout(Stdio::piped());
    let mut child = supervisor.spawn(&mut command, Stop::Terminate)?;
    let output = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(counts) = result_line(&line) {
            report.libtest += counts;
        }
    }
    let status = child.wait()?;
    supervisor.forget(&child)?;
    report.read_cases(&fs::read_to_string(&path).unwrap_or_default());
    Ok(status.success())
}

/// A fresh file for this run's cases. Those of earlier runs go with it.
fn report_path(supervisor: &Supervisor) -> Result<PathBuf> {
    let directory = supervisor.workspace().target().join("test-report");
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}.jsonl", std::process::id()));
    fs::write(&path, "").with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// How long each phase took.
#[derive(Debug, Default)]
struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.0.push((name, began.elapsed()));
        done
    }

    fn render(&self) -> String {
        let phases: Vec<_> = self
            .0
            .iter()
            .map(|(name, took)| format!("{name} {:.1} s", took.as_secs_f64()))
            .collect();
        phases.join(", ")
    }
}
