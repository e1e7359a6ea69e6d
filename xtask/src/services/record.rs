//! The record of what was started, and how it is played backwards.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::process::{Process, wait};
use super::server::Server;

const COMPOSE_DOWN_LIMIT: Duration = Duration::from_secs(60);

/// What was started, in order, and the servers that it makes up.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The run that tears this down, or none where `services down` does.
    pub(super) owner: Option<Process>,
    pub(super) processes: Vec<Process>,
    /// Compose command lines, up to and without their subcommand.
    pub(super) composes: Vec<Vec<String>>,
    pub(super) paths: Vec<PathBuf>,
    pub(super) servers: Vec<Server>,
}

impl Record {
    pub(super) fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The record holds passwords, so only its owner may read it.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let part = path.with_extension("part");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .with_context(|| format!("writing {}", part.display()))?;
        serde_json::to_writer_pretty(&file, self)?;
        fs::rename(&part, path).with_context(|| format!("writing {}", path.display()))
    }

    pub(super) fn processes_live(&self) -> bool {
        self.processes.iter().all(Process::is_alive)
    }

    /// Stops it all, newest first. What can't be stopped is reported; the rest is stopped all the same.
    pub(super) fn stop(&mut self) {
        self.servers.clear();
        for process in self.processes.iter().rev() {
            process.signal();
        }
        for process in self.processes.drain(..).rev() {
            process.finish();
        }
        for compose in self.composes.drain(..) {
            let mut down = compose_command(&compose);
            down.args(["down", "-v", "-t", "1"])
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let stopped = down
                .spawn()
                .is_ok_and(|mut child| wait(&mut child, COMPOSE_DOWN_LIMIT).unwrap_or(false));
            if !stopped {
                eprintln!(
                    "warning: containers may be left; run: {} down -v",
                    compose.join(" ")
                );
            }
        }
        for path in self.paths.drain(..).rev() {
            if let Err(error) = remove(&path) {
                eprintln!("warning: cannot remove {}: {error}", path.display());
            }
        }
    }
}

/// Builds a command from a recorded compose command line.
pub(super) fn compose_command(compose: &[String]) -> Command {
    let mut command = Command::new(&compose[0]);
    command.args(&compose[1..]);
    command
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
