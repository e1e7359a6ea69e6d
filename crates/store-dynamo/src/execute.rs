//! Sending requests: what a request is, its answer or its failure, and what then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use store_core::{Backoff, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Instrument, Span, field};

use crate::error::{self, Again, Failure};
use crate::mapping::Item;

mod reads;
mod writes;

/// Whether a request changes anything, and whether it does harm twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// A write that can be told apart from its repetition: refused is no proof that it did not happen.
    Write,
    /// A write that is the same when it happens twice.
    Idempotent,
}

/// What came of a write with a condition.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It happened. With the item after an update or before a deletion, where that was asked for.
    Done(Option<Item>),
    /// Its condition does not hold. With the item that is there, where the server tells.
    Refused(Option<Item>),
}

impl Answer {
    pub(crate) fn happened(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// What came of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transacted {
    Done,
    /// The conditions of these writes do not hold, and nothing happened.
    Refused(Vec<usize>),
}

/// How often a request that does not get through, or may be lost, is sent at most.
const ATTEMPTS: u32 = 4;

/// As many operations as can be under way at once; what is under way holds one permit, closing takes
/// all of them.
const PERMITS: u32 = 1 << 20;

/// Sends requests to one table.
#[derive(Clone)]
pub(crate) struct Executor {
    client: Client,
    table: Arc<str>,
    open: Arc<Semaphore>,
    budget: Duration,
    server: Arc<ServerName>,
}

/// Where the server is, for telemetry.
#[derive(Debug, Default)]
pub(crate) struct ServerName {
    pub(crate) address: String,
    pub(crate) port: u16,
}

/// An operation under way: what it is called, and the permit that closing waits for.
pub(crate) struct Operation {
    executor: Executor,
    started: Instant,
    backoff: Backoff,
    _permit: OwnedSemaphorePermit,
}

impl Executor {
    pub(crate) fn new(client: Client, table: &str, budget: Duration, server: ServerName) -> Self {
        Self {
            client,
            table: table.into(),
            open: Arc::new(Semaphore::new(PERMITS as usize)),
            budget,
            server: Arc::new(server),
        }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn server(&self) -> &ServerName {
        &self.server
    }

    /// Starts an operation, unless the store was closed.
    pub(crate) async fn begin(&self) -> Result<Operation> {
        let permit = Arc::clone(&self.open).acquire_owned().await;
        Ok(Operation {
            executor: self.clone(),
            started: Instant::now(),
            backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(250)),
            _permit: permit.map_err(|_| error::closed())?,
        })
    }

    /// Waits for what is under way, then refuses everything.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.open.acquire_many(PERMITS).await {
            self.open.close();
            drop(all);
        }
    }

    /// A span with OpenTelemetry's attributes of database clients.
    fn span(&self, request: &'static str) -> Span {
        tracing::info_span!(
            target: "store_dynamo",
            "dynamodb",
            otel.kind = "client",
            otel.name = request,
            db.system.name = "aws.dynamodb",
            db.operation.name = request,
            db.collection.name = &*self.table,
            db.query.summary = request,
            db.response.status_code = field::Empty,
            error.type = field::Empty,
            server.address = self.server.address,
            server.port = self.server.port,
        )
    }

    /// Sends a request, again where that is safe, within bounds.
    pub(crate) async fn send<T, F, R>(
        &self,
        request: &'static str,
        access: Access,
        send: F,
    ) -> Result<T>
    where
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, Failure>> + Send,
    {
        let span = self.span(request);
        let result = self.attempts(access, send).instrument(span.clone()).await;
        if let Err(error) = &result {
            record(&span, error);
        }
        result
    }

    async fn attempts<T, F, R>(&self, access: Access, send: F) -> Result<T>
    where
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<T, Failure>> + Send,
    {
        let started = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let mut left = ATTEMPTS;
        let mut unsure = None;
        loop {
            let Failure { error, again } = match unlogged(send()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let retry = match again {
                Again::No => false,
                Again::Busy => true,
                Again::NotSent | Again::Unsure => {
                    left -= 1;
                    left > 0 && (again == Again::NotSent || access != Access::Write)
                }
            };
            let pause = backoff.next_pause();
            if !retry || started.elapsed() + pause > self.budget {
                // An earlier attempt may have happened, whatever became of the last one.
                return Err(unsure.unwrap_or(error));
            }
            if again == Again::Unsure && access != Access::Read {
                unsure.get_or_insert(error);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Keeps what the SDK logs, which is whole requests and answers, from whoever listens.
async fn unlogged<T>(sent: impl Future<Output = T>) -> T {
    if LevelFilter::current() == LevelFilter::OFF {
        return sent.await;
    }
    // Another subscriber than this one would be made known to every place that logs, at each request.
    sent.with_subscriber(Dispatch::none()).await
}

fn record(span: &Span, error: &Error) {
    span.record("error.type", error.kind().as_str());
    if let Some(code) = error.code() {
        span.record("db.response.status_code", code);
    }
}

impl Operation {
    /// Waits a little before things are looked at again because somebody else changed them, unless that
    /// has gone on for too long.
    pub(crate) async fn look_again(&mut self) -> Result<()> {
        if self.started.elapsed() > self.executor.budget {
            return Err(error::restless());
        }
        self.backoff.sleep().await;
        Ok(())
    }
}
