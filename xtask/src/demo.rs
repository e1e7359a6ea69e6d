//! `cargo xtask demo`: the story of an LTI launch and what follows, told by a store and checked as it goes.

mod devices;
pub(crate) mod emulator;
mod ending;
mod launch;
mod refresh;
mod registration;
mod story;
mod visit;
mod world;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use store_core::{Settings, Store};
use store_dynamo::DynamoStore;
use store_memory::MemoryStore;
use store_mysql::MySqlStore;
use store_postgres::PostgresStore;

use self::ending::Made;
use self::launch::Launch;
use self::story::{Format, Story};
use self::world::World;
use crate::services::{self, KINDS, Supervisor};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
On a database the demo creates the tables, as an application would, and leaves nothing else behind. It uses names of its
own and a clock that shows the year 2000, so that whatever else is stored there is neither changed nor expired by it.")]
pub(crate) struct Args {
    /// What keeps the state: memory needs no server, any other is found or started as `test` does [default: memory, or
    /// what --url names].
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Use the database at this URL, such as postgres://user:password@host/database.
    #[arg(long)]
    url: Option<String>,
    /// The payload of a launch's ID token as a JSON file [default: xtask/demo/launch.json].
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
    /// Print one JSON document instead of the story.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Memory,
    Postgres,
    /// MySQL or MariaDB. Without --url, MariaDB is found or started.
    Mysql,
    /// Without --url, an emulator in this process.
    Dynamo,
}

impl Backend {
    /// As servers are named.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Dynamo => "dynamo",
        }
    }

    /// The kind of server that is found or started for it, if any.
    fn server(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("postgres"),
            // Unlike MySQL it can be installed on Debian.
            Self::Mysql => Some("mariadb"),
            Self::Memory | Self::Dynamo => None,
        }
    }

    fn of_url(url: &str) -> Result<Self> {
        match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            Some(("mysql", _)) => Ok(Self::Mysql),
            Some(("dynamodb", _)) => Ok(Self::Dynamo),
            // The URL may hold a password, also where it is malformed.
            _ => bail!(
                "--url is of no kind that is known; it looks like postgres://user:password@host/database, mysql://user:password@host/database or dynamodb://region"
            ),
        }
    }
}

impl Args {
    fn backend(&self) -> Result<Backend> {
        let named = self.url.as_deref().map(Backend::of_url).transpose()?;
        match (self.backend, named) {
            (Some(Backend::Memory), Some(_)) => bail!("--backend memory has no --url"),
            (Some(asked), Some(named)) if asked != named => bail!(
                "--url names a {} database, not {}",
                named.name(),
                asked.name()
            ),
            (asked, named) => Ok(asked.or(named).unwrap_or(Backend::Memory)),
        }
    }
}

/// Tells the story and says whether all of it held.
pub(crate) fn run(supervisor: &Supervisor, args: &Args) -> Result<bool> {
    let launch = Launch::read(args.launch.as_deref())?;
    let backend = args.backend()?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => server(supervisor, backend)?,
    };
    let format = if args.json {
        Format::Json
    } else {
        Format::Text
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (settings, clock) = world::settings();
        let store = open(backend, &url, settings).await?;
        let shared = backend != Backend::Memory;
        let world = World::new(Arc::clone(&store), clock, launch, shared)?;
        let told = tell(&world, format, &mut anstream::stdout()).await;
        store.close().await;
        told
    })
}

/// The URL of a server that is found or started; empty for a backend that needs none.
fn server(supervisor: &Supervisor, backend: Backend) -> Result<String> {
    let kind = KINDS
        .iter()
        .find(|kind| Some(kind.name()) == backend.server());
    let Some(&kind) = kind else {
        return Ok(String::new());
    };
    let servers = services::provide(supervisor, &[kind], None)?;
    let url = servers.variables().get(kind.url_variable()).copied();
    Ok(url.context("the server has no URL")?.to_owned())
}

async fn open(backend: Backend, url: &str, settings: Settings) -> Result<Arc<dyn Store>> {
    Ok(match backend {
        Backend::Memory => Arc::new(MemoryStore::new(settings)),
        Backend::Postgres => Arc::new(
            PostgresStore::connect(url, settings)
                .await
                .context("opening the database")?,
        ),
        Backend::Mysql => Arc::new(
            MySqlStore::connect(url, settings)
                .await
                .context("opening the database")?,
        ),
        Backend::Dynamo if url.is_empty() => Arc::new(
            DynamoStore::open(emulator::start().await?, settings)
                .await
                .context("opening the emulator")?,
        ),
        Backend::Dynamo => Arc::new(
            DynamoStore::connect(url, settings)
                .await
                .context("opening DynamoDB")?,
        ),
    })
}

async fn tell(world: &World, format: Format, out: &mut dyn Write) -> Result<bool> {
    let health = world.store.health().await;
    let server = health.context("asking the store how it is")?.server;
    let mut story = Story::begin(format, &server, &world.launch.source, out);
    // A broken step ends its chapter, and the story goes on with the next that can be told.
    let mut made = Made {
        client: registration::platform(&mut story, world).await.ok(),
        ..Made::default()
    };
    if let Some(client) = &made.client {
        made.lti_session = visit::launch(&mut story, world, client).await.ok();
    }
    let _ = registration::dynamic(&mut story, world).await;
    let _ = devices::tell(&mut story, world).await;
    made.login_session = refresh::tell(&mut story, world).await.ok();
    let _ = ending::tell(&mut story, world, &made).await;
    Ok(story.end())
}

#[cfg(test)]
mod tests;
