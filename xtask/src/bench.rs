//! `cargo xtask bench`: provides servers and peers, and measures.

mod peers;

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::services::{self, Kind, Source, Stop, Supervisor};

/// Backends that a server is provided for, as the measuring program names them, and the kind of server. For
/// `dynamo` that program starts an emulator by itself.
const SERVERS: &[(&str, &str)] = &[
    ("postgres", "postgres"),
    ("mysql", "mysql"),
    ("mariadb", "mariadb"),
    ("dynamodb-local", "dynamodb"),
];
/// What is measured on unless a backend is named.
const DEFAULT: &[&str] = &["postgres", "mysql", "mariadb"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the measuring program is asked for; --help lists it. Unless this names implementations (--implementation),
    /// peers are measured too, which building takes minutes the first time.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

impl Args {
    fn has(&self, name: &str) -> bool {
        let is = |option: &OsString| option.to_string_lossy().split('=').next() == Some(name);
        self.options.iter().any(is)
    }

    /// Whether anything is measured on a server that is to be provided.
    fn measures(&self) -> bool {
        let others = [
            "--help",
            "-h",
            "--version",
            "-V",
            "--url",
            "--merge",
            "instructions",
        ];
        !others.iter().any(|other| self.has(other))
    }

    /// The kinds of servers that are needed.
    fn kinds(&self) -> Result<Vec<&'static dyn Kind>> {
        let options: Vec<_> = self
            .options
            .iter()
            .map(|option| option.to_string_lossy())
            .collect();
        if !self.measures() {
            return Ok(Vec::new());
        }
        let spaced = options
            .windows(2)
            .filter(|pair| pair[0] == "--backend")
            .map(|pair| &*pair[1]);
        let joined = options
            .iter()
            .filter_map(|option| option.strip_prefix("--backend="));
        let mut backends: Vec<&str> = spaced.chain(joined).collect();
        if backends.is_empty() {
            backends.extend(DEFAULT);
        }
        let needed = SERVERS
            .iter()
            .filter(|(backend, _)| backends.contains(backend));
        needed.map(|(_, kind)| services::kind(kind)).collect()
    }
}

/// True if it was measured and, with `--check`, every target was reached.
pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    let mut measure = cargo(supervisor, "run");
    measure.args(["--quiet", "--"]).args(&args.options);
    for name in services::all_variables() {
        measure.env_remove(name);
    }
    for kind in args.kinds()? {
        let servers = services::provide(supervisor, &[kind], source(kind))?;
        measure.envs(servers.variables());
    }
    if args.measures() && !args.has("--implementation") {
        measure.envs(peers::provide(supervisor)?);
    }
    let mut build = cargo(supervisor, "build");
    if !succeeds(supervisor, &mut build)? {
        bail!("the measuring program does not build");
    }
    succeeds(supervisor, &mut measure)
}

/// Servers in containers keep their data in memory here, where waiting for the disk costs nothing. A private server
/// is what an application would meet, so it is preferred where the product can be installed.
fn source(kind: &dyn Kind) -> Option<Source> {
    let named = std::env::var_os(kind.url_variable()).is_some_and(|url| !url.is_empty());
    (!named && !kind.packages().is_empty()).then_some(Source::Native)
}

fn cargo(supervisor: &Supervisor, subcommand: &str) -> Command {
    let mut command = supervisor.workspace().cargo();
    command.args([subcommand, "--release", "--package", "benches"]);
    command
}

fn succeeds(supervisor: &Supervisor, command: &mut Command) -> Result<bool> {
    let mut child = supervisor.spawn(command, Stop::Terminate)?;
    let status = child.wait()?;
    supervisor.forget(&child)?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(options: &[&str]) -> Vec<&'static str> {
        let options = options.iter().map(OsString::from).collect();
        let kinds = Args { options }.kinds().unwrap();
        kinds.iter().map(|kind| kind.name()).collect()
    }

    #[test]
    fn servers_are_provided_for_what_is_measured() {
        assert_eq!(kinds(&[]), ["postgres", "mysql", "mariadb"]);
        assert_eq!(kinds(&["--quick", "--backend", "mariadb"]), ["mariadb"]);
        let two = ["--backend=postgres", "--backend", "dynamodb-local"];
        assert_eq!(kinds(&two), ["postgres", "dynamodb"]);
        for none in [
            ["--backend", "dynamo"],
            ["--merge", "a.json"],
            ["--quick", "--help"],
            ["instructions", "--record"],
        ] {
            assert!(kinds(&none).is_empty(), "{none:?}");
        }
    }
}
