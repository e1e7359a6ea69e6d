//! Processes by their id and birth, so that one that merely inherited an id is never touched.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How a process is asked to end, before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stop {
    /// SIGTERM: tools.
    Terminate,
    /// SIGTERM and minutes of patience: a package manager must not be cut off.
    TerminatePatiently,
    /// SIGQUIT: PostgreSQL ends at once, without waiting for its clients.
    Quit,
    /// SIGKILL: for what keeps nothing. PgBouncer's meaning of other signals differs between releases.
    Kill,
}

impl Stop {
    fn signal(self) -> Signal {
        match self {
            Self::Terminate | Self::TerminatePatiently => Signal::SIGTERM,
            Self::Quit => Signal::SIGQUIT,
            Self::Kill => Signal::SIGKILL,
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Terminate | Self::Quit | Self::Kill => Duration::from_secs(10),
            Self::TerminatePatiently => Duration::from_secs(180),
        }
    }
}

/// A process that leads a process group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Process {
    id: u32,
    born: Option<String>,
    name: String,
    stop: Stop,
}

impl Process {
    pub(super) fn new(id: u32, name: String, stop: Stop) -> Self {
        Self {
            id,
            born: born(id),
            name,
            stop,
        }
    }

    pub(super) fn current() -> Option<Self> {
        let process = Self::new(std::process::id(), "xtask".to_owned(), Stop::Terminate);
        process.born.is_some().then_some(process)
    }

    pub(super) fn is(&self, id: u32) -> bool {
        self.id == id
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id).unwrap_or(i32::MAX))
    }

    pub(crate) fn is_alive(&self) -> bool {
        match waitpid(self.pid(), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => true,
            Ok(_) => false,
            // Not a child of this process: a server that an earlier command started.
            Err(_) => self.born.is_some() && born(self.id) == self.born,
        }
    }

    /// Asks the whole group to end.
    pub(super) fn signal(&self) {
        if self.is_alive() {
            // An error means that it has just ended by itself.
            let _ = killpg(self.pid(), self.stop.signal());
        }
    }

    /// Waits for the end and hastens it when patience runs out.
    pub(super) fn finish(&self) {
        if !self.ends_within(self.stop.patience()) {
            eprintln!("warning: {} does not end, killing it", self.name);
            let _ = killpg(self.pid(), Signal::SIGKILL);
            if !self.ends_within(Duration::from_secs(5)) {
                eprintln!(
                    "warning: {} (process {}) could not be killed",
                    self.name, self.id
                );
            }
        }
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// Whether the child succeeded within the limit; it is killed after that.
pub(super) fn wait(child: &mut Child, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// When the process began, in whatever form the system tells it; none for one that has ended.
fn born(id: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before the last parenthesis may hold blanks. After it, field 1 is the state and field 20 the start.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        return fields.nth(18).map(str::to_owned);
    }
    let output = Command::new("ps")
        .args(["-o", "lstart=", "-p", &id.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_process_is_alive_until_it_is_stopped() {
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let process = Process::new(child.id(), "sleep".to_owned(), Stop::Terminate);
        assert!(process.is_alive());
        process.signal();
        process.finish();
        assert!(!process.is_alive());
        assert!(child.wait().is_err(), "it was waited for");
    }

    #[test]
    fn an_inherited_id_is_another_process() {
        let mut process = Process::current().unwrap();
        assert!(process.is_alive());
        process.born = Some("long ago".to_owned());
        assert!(!process.is_alive());
    }
}
