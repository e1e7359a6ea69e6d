//! The database servers that tests run against: found, started, and stopped again.
//!
//! A server comes from a URL in the environment, else from what `services up` left running, else from a container,
//! else from a private server of installed binaries, which are installed first where that is possible. Which one was
//! taken is printed with the reason.

mod certificates;
mod containers;
mod dynamodb;
mod env;
mod install;
mod mariadb;
mod mysql;
mod native;
mod pgbouncer;
mod postgres;
mod process;
mod record;
mod server;
mod supervisor;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

pub(crate) use self::process::Stop;
pub(crate) use self::server::{Kind, Server, Source, masked};
pub(crate) use self::supervisor::Supervisor;

/// Every kind of server.
pub(crate) const KINDS: &[&dyn Kind] = &[
    &postgres::Postgres,
    &mysql::MySql,
    &mariadb::MariaDb,
    &dynamodb::DynamoDb,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start servers, leave them running and print their variables for a shell: eval "$(cargo xtask services up)".
    Up {
        /// Take servers from here only.
        #[arg(long, value_enum)]
        services: Option<Source>,
    },
    /// Stop what `up` left running.
    Down,
    /// Say what runs.
    Status,
}

pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    match args.action {
        Action::Up { services } => up(supervisor, services),
        Action::Down => {
            supervisor.stop_stale();
            if supervisor.stop_kept() {
                println!("services: stopped");
            } else {
                println!("services: nothing was running");
            }
            Ok(true)
        }
        Action::Status => status(supervisor),
    }
}

fn up(supervisor: &Supervisor, source: Option<Source>) -> Result<bool> {
    let kept = supervisor
        .kept()
        .map_or(Vec::new(), |record| record.servers);
    if let Some(server) = kept
        .iter()
        .find(|server| source.is_some_and(|source| source != server.source))
    {
        bail!(
            "{} runs from {} already; stop it first with `cargo xtask services down`",
            server.version,
            server.source.name()
        );
    }
    let servers = provide(supervisor, KINDS, source)?;
    if servers.started {
        supervisor.keep()?;
        eprintln!("services: left running; stop them with `cargo xtask services down`");
    }
    for (name, value) in servers.variables() {
        println!("export {name}='{value}'");
    }
    Ok(true)
}

fn status(supervisor: &Supervisor) -> Result<bool> {
    let kept = supervisor.kept();
    let others = supervisor.servers_of_others();
    if kept.is_none() && others.is_empty() {
        println!("services: nothing runs; `cargo xtask services up` starts servers");
    }
    for server in kept.iter().flat_map(|record| &record.servers) {
        let kind = kind(&server.kind)?;
        let state = match kind.probe(server.url(kind)) {
            Ok(_) => "running".to_owned(),
            Err(error) => format!("does not answer ({error:#}); run `cargo xtask services down`"),
        };
        describe(server, &state);
    }
    for server in &others {
        describe(server, "running for a test run under way");
    }
    Ok(true)
}

fn describe(server: &Server, state: &str) {
    println!("{} ({}): {state}", server.version, server.source.name());
    for (name, value) in &server.variables {
        println!("  {name}={}", masked(value));
    }
}

/// The kind of server that a backend of this name needs.
pub(crate) fn kind(name: &str) -> Result<&'static dyn Kind> {
    KINDS
        .iter()
        .copied()
        .find(|kind| kind.name() == name)
        .with_context(|| format!("no kind of server is named {name}"))
}

/// Servers that answer.
#[derive(Debug)]
pub(crate) struct Servers {
    servers: Vec<Server>,
    /// Whether any of them was started by this run.
    started: bool,
}

impl Servers {
    /// What tests get in their environment.
    pub(crate) fn variables(&self) -> BTreeMap<&str, &str> {
        self.servers
            .iter()
            .flat_map(|server| &server.variables)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// Every variable that tests may get; those that `Servers::variables` lacks must not be inherited.
pub(crate) fn all_variables() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|kind| {
        kind.other_variables()
            .iter()
            .copied()
            .chain([kind.url_variable()])
    })
}

/// Finds or starts one server of each kind. The supervisor stops what this starts.
pub(crate) fn provide(
    supervisor: &Supervisor,
    kinds: &[&dyn Kind],
    source: Option<Source>,
) -> Result<Servers> {
    supervisor.stop_stale();
    let mut found = Servers {
        servers: Vec::new(),
        started: false,
    };
    for &kind in kinds {
        let provided = provide_one(supervisor, kind, source)
            .with_context(|| format!("there is no {} to test against", kind.product()));
        let (server, started) = match provided {
            Ok(provided) => provided,
            Err(error) if !kind.required() => {
                supervisor.check_running()?;
                eprintln!(
                    "services: tests on {} will be skipped: {error:#}",
                    kind.product()
                );
                continue;
            }
            Err(error) => return Err(error),
        };
        if started {
            supervisor.add_server(&server)?;
        }
        found.started |= started;
        found.servers.push(server);
    }
    Ok(found)
}

fn provide_one(
    supervisor: &Supervisor,
    kind: &dyn Kind,
    forced: Option<Source>,
) -> Result<(Server, bool)> {
    let mut refusals = Vec::new();
    let mut refuse = |source: Source, reason: String| {
        eprintln!(
            "services: {} not from {}: {reason}",
            kind.product(),
            source.name()
        );
        refusals.push(format!("{}: {reason}", source.name()));
    };
    let allowed = |source| forced.is_none_or(|forced| forced == source);
    if allowed(Source::Env) {
        match env::find(kind)? {
            Some(server) => {
                announce(kind, &server, &format!("{} is set", kind.url_variable()));
                return Ok((server, false));
            }
            None => refuse(Source::Env, format!("{} is not set", kind.url_variable())),
        }
    }
    let started = supervisor.started(kind.name());
    if let Some(server) = started.filter(|server| allowed(server.source)) {
        announce(kind, &server, "started by this run before");
        return Ok((server, false));
    }
    if let Some(server) = left_running(supervisor, kind).filter(|server| allowed(server.source)) {
        announce(kind, &server, "left running by `cargo xtask services up`");
        return Ok((server, false));
    }
    type Start = fn(&Supervisor, &dyn Kind) -> Result<(Server, String)>;
    let ways: [(Source, Start); 2] = [
        (Source::Containers, containers::start),
        (Source::Native, native::start),
    ];
    for (source, start) in ways.into_iter().filter(|(source, _)| allowed(*source)) {
        let mark = supervisor.mark();
        match start(supervisor, kind) {
            Ok((mut server, why)) => {
                announce(kind, &server, &why);
                if let Err(error) = kind.start_front(supervisor, &mut server) {
                    eprintln!("services: {error:#}");
                }
                return Ok((server, true));
            }
            Err(error) => {
                supervisor.stop_since(mark)?;
                refuse(source, format!("{error:#}"));
            }
        }
    }
    let packages = match kind.packages() {
        [] => String::new(),
        packages => format!(
            " (on Debian and Ubuntu: apt-get install {})",
            packages.join(" ")
        ),
    };
    bail!(
        "tried {}\nDo one of these: set {}, start Docker or Podman, or install {}{packages}.",
        refusals.join("; "),
        kind.url_variable(),
        kind.product(),
    )
}

fn announce(kind: &dyn Kind, server: &Server, why: &str) {
    eprintln!(
        "services: {} from {} at {}: {why}",
        server.version,
        server.source.name(),
        masked(server.url(kind))
    );
}

/// A server that `services up` left, if all that belongs to it still runs.
fn left_running(supervisor: &Supervisor, kind: &dyn Kind) -> Option<Server> {
    let record = supervisor.kept()?;
    let server = record
        .servers
        .iter()
        .find(|server| server.kind == kind.name())?;
    if record.processes_live() && kind.probe(server.url(kind)).is_ok() {
        return Some(server.clone());
    }
    eprintln!("services: what `services up` left no longer answers; clearing it away");
    supervisor.stop_kept();
    None
}

/// Waits until the server answers and returns its version. `alive` errs when waiting has become useless.
fn wait_until_ready(
    supervisor: &Supervisor,
    kind: &dyn Kind,
    url: &str,
    limit: Duration,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<String> {
    let began = Instant::now();
    let mut reported = 0;
    loop {
        match kind.probe(url) {
            Ok(version) => return Ok(version.unwrap_or_else(|| kind.product().to_owned())),
            Err(error) if began.elapsed() >= limit => {
                return Err(error.context(format!("no answer after {} s", limit.as_secs())));
            }
            Err(_) => {}
        }
        supervisor.check_running()?;
        alive()?;
        let seconds = began.elapsed().as_secs() / 5 * 5;
        if seconds > reported {
            reported = seconds;
            eprintln!(
                "services: waiting for {} ({seconds} s of {} s)",
                kind.product(),
                limit.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}
