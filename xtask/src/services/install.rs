//! Missing packages, installed with apt-get on Debian and Ubuntu.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

use super::native::program;
use super::process::Stop;
use super::supervisor::Supervisor;

const LIMIT: Duration = Duration::from_secs(600);
/// Files that keep packages from making and starting servers of their own while they are installed.
const GUARDS: &[(&str, &str)] = &[
    ("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"),
    (
        "/etc/postgresql-common/createcluster.d/auth-store-xtask.conf",
        "create_main_cluster = false\n",
    ),
];

/// Installs the packages, leaving nothing running that wasn't.
pub(super) fn packages(supervisor: &Supervisor, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if env::consts::OS != "linux" || program("apt-get").is_none() {
        bail!("only Debian's and Ubuntu's packages ({names}) are installed by this command");
    }
    if !geteuid().is_root() {
        bail!("to have it installed run this as root, or run: sudo apt-get install {names}");
    }
    eprintln!("services: installing with apt-get: {names}");
    let mark = supervisor.mark();
    let installed = guard(supervisor).and_then(|()| {
        // A stale list of one repository need not keep the packages of another from being installed.
        if let Err(error) = apt(supervisor, &["update"]) {
            eprintln!("services: {error:#}");
        }
        apt(
            supervisor,
            &[&["install", "--no-install-recommends"], packages].concat(),
        )
    });
    supervisor.stop_since(mark)?;
    installed
}

fn apt(supervisor: &Supervisor, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    supervisor
        .run_gently(&mut command, LIMIT, Stop::TerminatePatiently)
        .map(|_| ())
}

fn guard(supervisor: &Supervisor) -> Result<()> {
    for (name, text) in GUARDS {
        let path = Path::new(name);
        // One that is there is the administrator's and stays.
        if path.exists() {
            continue;
        }
        supervisor.remove_at_end(path)?;
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("writing {name}"))?;
    }
    Ok(())
}
