//! What this program is run as by itself: a process that has nothing in it but what is measured.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use nix::sys::resource::UsageWho;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Bench};
use crate::case::Case;
use crate::drive;
use crate::measure::{Sample, cpu_time};
use crate::world::World;

/// How many sessions such a process knows of: fewer than there are, so that they take no memory.
const KNOWN: usize = 1_000;
const MEMORY_TASKS: usize = 64;
const MEMORY_LENGTH: Duration = Duration::from_secs(2);

/// What such a process is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Job {
    #[arg(long, value_enum)]
    backend: Backend,
    #[arg(long)]
    place: String,
    #[arg(long)]
    implementation: String,
    /// Connect with TLS, trusting this authority.
    #[arg(long)]
    ca: Option<String>,
}

/// The server's URL may hold a password, which arguments would show to everybody.
const URL: &str = "BENCH_URL";

#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    #[serde(flatten)]
    sample: Sample,
    rss_mib: f64,
}

impl Job {
    pub(crate) fn new(
        backend: Backend,
        bench: &dyn Bench,
        implementation: &str,
        ca: Option<&str>,
    ) -> Self {
        Self {
            backend,
            place: bench.place().to_owned(),
            implementation: implementation.to_owned(),
            ca: ca.map(str::to_owned),
        }
    }

    fn command(&self, name: &str, url: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        let backend = self.backend.to_possible_value();
        let backend = backend.context("the backend has no name")?;
        command
            .args([name, "--backend", backend.get_name()])
            .args([
                "--place",
                &self.place,
                "--implementation",
                &self.implementation,
            ])
            .env(URL, url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(ca) = &self.ca {
            command.args(["--ca", ca]);
        }
        Ok(command)
    }

    async fn subject(&self) -> Result<Arc<dyn crate::subject::Subject>> {
        let url = std::env::var(URL).context("no server is named")?;
        let bench = self.backend.open(&url, &self.place).await?;
        match (self.implementation.as_str(), self.ca.as_deref()) {
            ("ours", ca) => bench.ours(ca).await,
            ("raw", None) => bench.raw().await,
            _ => bail!("there is no such implementation"),
        }
    }

    /// Starts a process and waits for its first answer.
    pub(crate) fn start(&self, url: &str) -> Result<Sample> {
        let cpu = cpu_time(UsageWho::RUSAGE_CHILDREN)?;
        let began = Instant::now();
        let mut child = self
            .command("cold", url)?
            .spawn()
            .context("starting a process")?;
        let output = child.stdout.take().context("the process has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let took = began.elapsed().as_secs_f64();
        let ended = child.wait()?;
        ensure!(
            ended.success() && line.trim() == "answered",
            "the process failed"
        );
        let spent = cpu_time(UsageWho::RUSAGE_CHILDREN)? - cpu;
        Ok(Sample {
            ops_per_s: 1.0 / took,
            p50_us: took * 1e6,
            p99_us: took * 1e6,
            client_cpu_us_per_op: spent as f64,
        })
    }

    /// Starts a process that works for a while, and asks how much memory it had at most.
    pub(crate) fn memory(&self, url: &str) -> Result<(Sample, f64)> {
        let output = self
            .command("memory", url)?
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "the process failed");
        let memory: Memory = serde_json::from_slice(&output.stdout)?;
        Ok((memory.sample, memory.rss_mib))
    }

    /// In such a process: asks for one session.
    pub(crate) async fn answer(&self) -> Result<()> {
        let world = Arc::new(World::new(1)?);
        let subject = self.subject().await?;
        let mut turn = crate::world::Turn::new(&world, 0, 1);
        subject.once(Case::GetLtiSession, &mut turn).await?;
        let mut output = std::io::stdout();
        writeln!(output, "answered")?;
        Ok(output.flush()?)
    }

    /// In such a process: reads and writes for a while.
    pub(crate) async fn work(&self) -> Result<()> {
        let world = Arc::new(World::new(KNOWN)?);
        let subject = self.subject().await?;
        let run = |case| drive::run(&subject, &world, case, MEMORY_TASKS, MEMORY_LENGTH);
        run(Case::AddLtiSession).await?;
        let memory = Memory {
            sample: run(Case::GetLtiSession).await?,
            rss_mib: peak_memory()?,
        };
        println!("{}", serde_json::to_string(&memory)?);
        Ok(())
    }
}

/// The most memory that this process has had, in MiB.
fn peak_memory() -> Result<f64> {
    let usage = nix::sys::resource::getrusage(UsageWho::RUSAGE_SELF)?;
    // Kilobytes on Linux, bytes on macOS.
    let unit = if cfg!(target_os = "macos") {
        1_048_576.0
    } else {
        1_024.0
    };
    Ok(usage.max_rss() as f64 / unit)
}
