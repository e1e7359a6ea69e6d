//! A program that measures a peer. It is told what to do by lines of JSON, and answers each by one.
//!
//! It is started with the names of the backend and of the place to use, and the number of sessions to store; the
//! server's URL and what the sessions hold are in its environment. Its first line says what it is and what it can do, or why it can't. It ends,
//! and removes what it made, when its input ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::measure::Sample;
use crate::world::World;

/// The programs, separated as in `PATH`. Those that end in `.mjs` are run by Node.
const PROGRAMS: &str = "BENCH_PEERS";
/// Why there are no programs of a kind: `name: reason`, one a line.
const MISSING: &str = "BENCH_PEERS_MISSING";

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Hello {
    Ready { name: String, cases: Vec<String> },
    Absent { name: String, absent: String },
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    case: &'a str,
    tasks: usize,
    seconds: f64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Response {
    Measured(Sample),
    Failed { error: String },
}

pub(crate) struct Peer {
    name: String,
    cases: Vec<String>,
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// Why a peer can't be measured: its name and the reason.
pub(crate) type Missing = (String, String);

/// Starts every program that there is for a backend.
pub(crate) fn all(
    backend: &str,
    url: &str,
    place: &str,
    world: &World,
) -> (Vec<Peer>, Vec<Missing>) {
    let mut peers = Vec::new();
    let mut missing = Vec::new();
    let programs = std::env::var_os(PROGRAMS).unwrap_or_default();
    let programs = std::env::split_paths(&programs).filter(|path| !path.as_os_str().is_empty());
    for (index, program) in programs.enumerate() {
        let mut command = match program.extension() {
            Some(extension) if extension == "mjs" => {
                let mut node = Command::new("node");
                node.arg(&program)
                    .current_dir(program.parent().unwrap_or(&program));
                node
            }
            _ => Command::new(&program),
        };
        command
            .args([
                backend,
                &format!("{place}_p{index}"),
                &world.rows.to_string(),
            ])
            .env("BENCH_URL", url)
            .env("BENCH_LTI", &world.lti_json)
            .env("BENCH_LOGIN", &world.login_json);
        match start(command) {
            Ok(Ok(peer)) => peers.push(peer),
            Ok(Err(why)) => missing.push(why),
            Err(error) => {
                let name = program.file_stem().unwrap_or(program.as_os_str());
                missing.push((name.display().to_string(), format!("{error:#}")));
            }
        }
    }
    let others = std::env::var(MISSING).unwrap_or_default();
    missing.extend(others.lines().filter_map(|line| {
        let (name, reason) = line.split_once(": ")?;
        Some((name.to_owned(), reason.to_owned()))
    }));
    (peers, missing)
}

fn start(mut command: Command) -> Result<Result<Peer, Missing>> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = process.stdin.take();
    let output = process.stdout.take().context("it has no output")?;
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line)?;
    match serde_json::from_str(&line).context("its first line was not understood")? {
        Hello::Ready { name, cases } => Ok(Ok(Peer {
            name,
            cases,
            process,
            input,
            output,
        })),
        Hello::Absent { name, absent } => {
            drop(input);
            process.wait()?;
            Ok(Err((name, absent)))
        }
    }
}

impl Peer {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn supports(&self, case: Case) -> bool {
        self.cases.iter().any(|id| id == case.id())
    }

    /// Supports nothing any more.
    pub(crate) fn dismiss(&mut self) {
        self.cases.clear();
    }

    pub(crate) fn run(&mut self, case: Case, tasks: usize, length: Duration) -> Result<Sample> {
        let request = Request {
            case: case.id(),
            tasks,
            seconds: length.as_secs_f64(),
        };
        let within = || format!("{} of {}", case.id(), self.name);
        let input = self
            .input
            .as_mut()
            .context("it was closed")
            .with_context(within)?;
        writeln!(input, "{}", serde_json::to_string(&request)?).with_context(within)?;
        let mut line = String::new();
        self.output.read_line(&mut line).with_context(within)?;
        match serde_json::from_str(&line).with_context(within)? {
            Response::Measured(sample) => Ok(sample),
            Response::Failed { error } => bail!("{}: {error}", within()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It removes what it made when its input ends. Whatever came of it, it is gone then.
        self.input = None;
        let _ = self.process.wait();
    }
}
