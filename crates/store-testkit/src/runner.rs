//! Runs one case: a runtime, a namespace and a time limit of its own, and tidying up whatever happens.

use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use store_core::{Capabilities, Settings};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::cases::{Case, Need};
use crate::panics::{self, Watch};
use crate::world::World;

/// How long a case may take.
const CASE_LIMIT: Duration = Duration::from_secs(60);
/// How long closing the stores of a case may take, and then removing its namespace.
const TIDY_LIMIT: Duration = Duration::from_secs(30);

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name, such as `nonces::consumed_exactly_once`.
    pub case: &'static str,
    /// Whether it passed.
    pub status: Status,
    /// How long it took.
    pub took: Duration,
}

/// Whether a case passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed, with what it found.
    Failed(String),
    /// It was not run, for this reason.
    Skipped(String),
}

/// A backend and what was learnt of it.
pub(crate) struct LaneRunner {
    backend: Box<dyn Backend>,
    facts: OnceLock<Result<Facts, String>>,
}

/// What a backend says of itself.
struct Facts {
    server: String,
    capabilities: Capabilities,
}

impl LaneRunner {
    pub(crate) fn new(backend: Box<dyn Backend>) -> Self {
        Self {
            backend,
            facts: OnceLock::new(),
        }
    }

    pub(crate) fn backend(&self) -> &'static str {
        self.backend.name()
    }

    pub(crate) fn lane(&self) -> &'static str {
        self.backend.lane()
    }

    /// The server's name and version, once a case has run.
    pub(crate) fn server(&self) -> Option<&str> {
        let facts = self.facts.get()?.as_ref().ok()?;
        Some(&facts.server)
    }

    /// Runs a case unless the backend lacks what it needs.
    pub(crate) fn run(&self, case: &'static Case) -> Outcome {
        let started = Instant::now();
        let status = match self.facts() {
            Err(reason) => Status::Failed(format!("the backend does not answer: {reason}")),
            Ok(facts) => match self.lacks(case.need, facts) {
                Some(reason) => Status::Skipped(reason.to_owned()),
                None => match watched(self.drive(case, facts)) {
                    Ok(()) => Status::Passed,
                    Err(reason) => Status::Failed(reason),
                },
            },
        };
        Outcome {
            case: case.name,
            status,
            took: started.elapsed(),
        }
    }

    fn facts(&self) -> Result<&Facts, &str> {
        let facts = self.facts.get_or_init(|| {
            let mut facts = None;
            watched(async {
                facts = Some(self.ask().await);
                Ok(())
            })?;
            facts.ok_or_else(|| "nothing was learnt".to_owned())
        });
        facts.as_ref().map_err(String::as_str)
    }

    async fn ask(&self) -> Facts {
        let namespace = self.backend.namespace().await;
        let store = namespace.open_as_admin(Settings::default()).await;
        let health = store.health().await;
        let capabilities = store.capabilities();
        store.close().await;
        namespace.remove().await;
        Facts {
            server: health.expect("a server that answers").server,
            capabilities,
        }
    }

    fn lacks(&self, need: Need, facts: &Facts) -> Option<&'static str> {
        let Capabilities {
            durable,
            schema,
            atomic_revocation,
        } = facts.capabilities;
        match need {
            Need::Schema if !schema => Some("this backend has no tables to create"),
            Need::Durable if !durable => Some("this backend keeps nothing beyond its process"),
            Need::AtomicRevocation if !atomic_revocation => {
                Some("this backend revokes a crowd of sessions in batches")
            }
            Need::Uncached if self.backend.caches() => {
                Some("this lane caches, so it may see late what another store wrote")
            }
            _ => None,
        }
    }

    async fn drive(&self, case: &'static Case, facts: &Facts) -> Result<(), String> {
        let namespace = self.backend.namespace().await;
        let world = World::new(case.name, namespace, facts.capabilities);
        let run = AssertUnwindSafe((case.run)(world.clone())).catch_unwind();
        let result = match timeout(CASE_LIMIT, run).await {
            Ok(Ok(())) => Ok(()),
            // The watch has the message.
            Ok(Err(_panic)) => Err(String::new()),
            Err(_) => Err(format!("not finished after {} s", CASE_LIMIT.as_secs())),
        };
        let closed = timeout(TIDY_LIMIT, world.close_all()).await;
        let removed = timeout(TIDY_LIMIT, world.remove_namespace()).await;
        result?;
        closed.map_err(|_| "its stores did not close".to_owned())?;
        removed.map_err(|_| "its namespace could not be removed".to_owned())
    }
}

/// Runs a future on a runtime of its own and fails if anything panics on the way, spawned tasks
/// included.
fn watched(future: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let watch = Watch::default();
    let runtime = runtime(&watch);
    watch.enter();
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(future)));
    runtime.shutdown_timeout(Duration::from_secs(5));
    panics::leave();
    let mut messages = watch.messages();
    match result {
        Ok(Ok(())) if messages.is_empty() => return Ok(()),
        Ok(Err(reason)) if !reason.is_empty() => messages.insert(0, reason),
        _ => {}
    }
    Err(messages.join("\n"))
}

fn runtime(watch: &Watch) -> Runtime {
    let watch = watch.clone();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || watch.enter())
        .build()
        .expect("the operating system gives threads")
}
