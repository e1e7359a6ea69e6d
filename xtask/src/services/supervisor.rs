//! Everything that xtask starts, so that it can be stopped whatever happens.
//!
//! Each process, compose project and temporary path is recorded in a file before it is used. The record is played
//! backwards at the end of the run, on Ctrl-C or SIGTERM, or by the next run if this one was killed outright.

use std::fs;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Process, Stop, wait};
use super::record::Record;
use super::server::Server;
use crate::workspace::Workspace;

/// The exit code of a run that was interrupted.
const INTERRUPTED: i32 = 130;

#[derive(Debug)]
struct Shared {
    record: Record,
    path: PathBuf,
    stopping: bool,
}

impl Shared {
    fn save(&self) -> Result<()> {
        self.record.save(&self.path)
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.record.stop();
        // Absent where nothing was recorded.
        let _ = fs::remove_file(&self.path);
    }
}

/// Starts processes and answers for their end.
#[derive(Debug)]
pub(crate) struct Supervisor {
    workspace: Workspace,
    directory: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

impl Supervisor {
    /// Takes over SIGINT, SIGTERM and SIGHUP of this process.
    pub(crate) fn new(workspace: Workspace) -> Result<Self> {
        let directory = workspace.target().join("services");
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let shared = Arc::new(Mutex::new(Shared {
            record: Record {
                owner: Process::current(),
                ..Record::default()
            },
            path: directory.join(format!("run-{}.json", std::process::id())),
            stopping: false,
        }));
        let handler = Arc::clone(&shared);
        ctrlc::set_handler(move || {
            let mut shared = lock(&handler);
            eprintln!("\ninterrupted: stopping what this run started");
            shared.stop();
            // The lock is never given back, so nothing is started any more.
            std::process::exit(INTERRUPTED);
        })
        .context("setting up the handler for Ctrl-C")?;
        Ok(Self {
            workspace,
            directory,
            shared,
        })
    }

    pub(crate) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Starts a process in a group of its own, which a Ctrl-C on the terminal does not reach: the handler stops it.
    pub(crate) fn spawn(&self, command: &mut Command, stop: Stop) -> Result<Child> {
        let mut shared = self.lock();
        if shared.stopping {
            bail!("the run is being stopped");
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        shared
            .record
            .processes
            .push(Process::new(child.id(), name, stop));
        shared.save()?;
        Ok(child)
    }

    /// Errs once the run is being stopped. Waits for the handler of a signal, which then ends the program.
    pub(crate) fn check_running(&self) -> Result<()> {
        if self.lock().stopping {
            bail!("the run is being stopped");
        }
        Ok(())
    }

    /// The process has ended and was waited for.
    pub(crate) fn forget(&self, child: &Child) -> Result<()> {
        let mut shared = self.lock();
        shared
            .record
            .processes
            .retain(|process| !process.is(child.id()));
        shared.save()
    }

    /// Runs a tool to its end and returns what it printed. An error tells the end of its output.
    pub(crate) fn run(&self, command: &mut Command, limit: Duration) -> Result<String> {
        self.run_gently(command, limit, Stop::Terminate)
    }

    /// The same for a tool that must be given time to end well.
    pub(super) fn run_gently(
        &self,
        command: &mut Command,
        limit: Duration,
        stop: Stop,
    ) -> Result<String> {
        let mut output = tempfile::tempfile()?;
        command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let shown = format!("{command:?}").replace('"', "");
        let mut child = self.spawn(command, stop)?;
        let ended = wait(&mut child, limit);
        self.forget(&child)?;
        let (mut bytes, status) = (Vec::new(), child.try_wait()?);
        output.rewind()?;
        output.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match (ended?, status.and_then(|status| status.code())) {
            (true, _) => Ok(text),
            (false, Some(_)) => bail!("`{shown}` failed: {}", tail(&text)),
            (false, None) => bail!(
                "`{shown}` was stopped, at the latest after {} s: {}",
                limit.as_secs(),
                tail(&text)
            ),
        }
    }

    /// A path that is removed, with all in it, when this ends.
    pub(super) fn remove_at_end(&self, path: &Path) -> Result<()> {
        let mut shared = self.lock();
        if !shared.record.paths.iter().any(|known| known == path) {
            shared.record.paths.push(path.to_owned());
        }
        shared.save()
    }

    /// A directory for this run's files, removed at its end.
    pub(crate) fn scratch(&self, below: &Path) -> Result<PathBuf> {
        let path = below.join(self.name());
        self.remove_at_end(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(path)
    }

    /// Where records and servers' data lie.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Tells this run's things from those of another that runs beside it.
    pub(super) fn name(&self) -> String {
        format!("auth-store-{}", std::process::id())
    }

    /// A compose project to take down at the end.
    pub(super) fn down_at_end(&self, compose: &[String]) -> Result<()> {
        let mut shared = self.lock();
        if !shared.record.composes.iter().any(|known| known == compose) {
            shared.record.composes.push(compose.to_vec());
        }
        shared.save()
    }

    pub(super) fn add_server(&self, server: &Server) -> Result<()> {
        let mut shared = self.lock();
        shared.record.servers.push(server.clone());
        shared.save()
    }

    /// A server of the kind that this run started already.
    pub(super) fn started(&self, kind: &str) -> Option<Server> {
        let shared = self.lock();
        let mut servers = shared.record.servers.iter();
        servers.find(|server| server.kind == kind).cloned()
    }

    /// Stops all that this run started. Waits for the handler of a signal, which then ends the program.
    pub(crate) fn stop(&self) {
        self.lock().stop();
    }

    /// Where the record stands, for `stop_since`.
    pub(super) fn mark(&self) -> (usize, usize) {
        let shared = self.lock();
        (shared.record.processes.len(), shared.record.paths.len())
    }

    /// Stops what was started since the mark, so that something else can be tried.
    pub(super) fn stop_since(&self, (processes, paths): (usize, usize)) -> Result<()> {
        let mut shared = self.lock();
        Record {
            processes: shared.record.processes.split_off(processes),
            paths: shared.record.paths.split_off(paths),
            ..Record::default()
        }
        .stop();
        shared.save()
    }

    fn kept_path(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    /// What `services up` left running.
    pub(super) fn kept(&self) -> Option<Record> {
        Record::load(&self.kept_path())
    }

    /// Leaves this run's servers to `services down`.
    pub(super) fn keep(&self) -> Result<()> {
        let mut shared = self.lock();
        let mut record = std::mem::take(&mut shared.record);
        record.owner = None;
        if let Some(mut kept) = self.kept() {
            kept.processes.append(&mut record.processes);
            kept.composes.append(&mut record.composes);
            kept.paths.append(&mut record.paths);
            kept.servers.append(&mut record.servers);
            record = kept;
        }
        record.save(&self.kept_path())?;
        let _ = fs::remove_file(&shared.path);
        Ok(())
    }

    /// Stops what `services up` left running; false where it left nothing.
    pub(super) fn stop_kept(&self) -> bool {
        let Some(mut record) = self.kept() else {
            return false;
        };
        record.stop();
        let _ = fs::remove_file(self.kept_path());
        true
    }

    /// The records of runs other than this one.
    fn others(&self) -> Vec<(PathBuf, Record)> {
        let own = self.lock().path.clone();
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                *path != own
                    && name.is_some_and(|name| name.starts_with("run-") && name.ends_with(".json"))
            })
            .filter_map(|path| Some((path.clone(), Record::load(&path)?)))
            .collect()
    }

    /// The servers of test runs that are under way.
    pub(super) fn servers_of_others(&self) -> Vec<Server> {
        self.others()
            .into_iter()
            .filter(|(_, record)| record.owner.as_ref().is_some_and(Process::is_alive))
            .flat_map(|(_, record)| record.servers)
            .collect()
    }

    /// Stops what runs that were killed left behind.
    pub(super) fn stop_stale(&self) {
        for (path, mut record) in self.others() {
            if record.owner.as_ref().is_some_and(Process::is_alive) {
                continue;
            }
            eprintln!("services: stopping what an earlier run, killed before its end, left behind");
            record.stop();
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A panic elsewhere must not keep servers from being stopped.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines of a tool's output or a server's log, on one line.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "it printed nothing".to_owned();
    }
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
