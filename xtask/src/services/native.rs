//! Private servers started from installed binaries, on loopback ports, with their data in a directory of their own.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::{User, geteuid};

use super::install;
use super::process::Stop;
use super::server::{Kind, Server, Source};
use super::supervisor::{Supervisor, tail};
use super::wait_until_ready;

const READY_LIMIT: Duration = Duration::from_secs(60);
/// Where system binaries lie that an ordinary user's PATH leaves out.
const SYSTEM_PATHS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// Starts a server of the kind, installing it first where that is possible. Also says why it was taken.
pub(super) fn start(supervisor: &Supervisor, kind: &dyn Kind) -> Result<(Server, String)> {
    let mut binaries = kind.installed(supervisor);
    if binaries.is_none() && kind.packages().is_empty() {
        bail!("it is not installed, and this command knows of no package of it");
    }
    if binaries.is_none() {
        install::packages(supervisor, kind.packages()).context("it is not installed")?;
        binaries = kind.installed(supervisor);
    }
    let binaries = binaries.context("it is not found, though its packages are installed")?;
    let variables = kind.start(supervisor, &binaries)?;
    let mut server = Server {
        kind: kind.name().to_owned(),
        source: Source::Native,
        version: String::new(),
        variables,
    };
    server.version = kind
        .probe(server.url(kind))?
        .unwrap_or_else(|| kind.product().to_owned());
    Ok((server, format!("started from {}", binaries.display())))
}

/// Every directory of the PATH and of system binaries.
pub(super) fn program_paths() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_PATHS.iter().map(PathBuf::from))
        .collect()
}

/// A program by its name.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    program_paths()
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A fresh password that needs no escaping in URLs and configuration files.
pub(super) fn password() -> Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).context("asking the system for random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A server's own directory and the user it runs as.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    user: Option<User>,
}

impl Home {
    /// Lies under target/services, or in the system's temporary directory where the server's user can't get there.
    pub(super) fn new(supervisor: &Supervisor, name: &str) -> Result<Self> {
        let user = unprivileged_user(name)?;
        let temporary = env::temp_dir();
        for below in [supervisor.directory(), &temporary] {
            let path = supervisor.scratch(below)?.join(name);
            fs::create_dir_all(&path)?;
            let home = Self {
                path,
                user: user.clone(),
            };
            home.own(&home.path, 0o755)?;
            let mut test = home.command(Path::new("/bin/sh"));
            let reachable = supervisor.run(
                test.args(["-c", "cd \"$HOME\" && touch .test"]),
                Duration::from_secs(5),
            );
            if reachable.is_ok() {
                return Ok(home);
            }
            supervisor.check_running()?;
        }
        bail!("no directory for {name} that its user can write to")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn own(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if let Some(user) = &self.user {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("giving {} to {}", path.display(), user.name))?;
        }
        Ok(())
    }

    /// Writes a file that the server can read and, unless it is public, nobody else.
    pub(super) fn write(&self, name: &str, text: &str, public: bool) -> Result<PathBuf> {
        let path = self.path.join(name);
        let mode = if public { 0o644 } else { 0o600 };
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))?;
        self.own(&path, mode)?;
        Ok(path)
    }

    /// A command that runs here as the server's user, free of settings meant for other servers.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env_clear()
            .env("HOME", &self.path)
            .env("LC_ALL", "C")
            .env("PATH", env::join_paths(program_paths()).unwrap_or_default());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Starts the server and waits until it answers at the URL.
    pub(super) fn serve(
        &self,
        supervisor: &Supervisor,
        kind: &dyn Kind,
        url: &str,
        mut command: Command,
        stop: Stop,
    ) -> Result<()> {
        let log = self.path.join("log");
        let output = File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let mut child = supervisor.spawn(&mut command, stop)?;
        let alive = || match child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                supervisor.forget(&child)?;
                bail!("it ended with {status}")
            }
        };
        wait_until_ready(supervisor, kind, url, READY_LIMIT, alive).with_context(|| {
            let text = fs::read(&log).unwrap_or_default();
            format!(
                "{}: {}",
                command.get_program().display(),
                tail(&String::from_utf8_lossy(&text))
            )
        })?;
        Ok(())
    }
}

/// Servers refuse to run as root, so root lends them a user: their own where the package made it, else nobody.
fn unprivileged_user(name: &str) -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for candidate in [name, "nobody"] {
        if let Some(user) = User::from_name(candidate)? {
            return Ok(Some(user));
        }
    }
    bail!("servers refuse to run as root, and there is no user {name} or nobody")
}
