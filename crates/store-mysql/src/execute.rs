//! Running statements: a connection, the statement, its answer or its failure, and what then.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Error as DriverError, Params as DriverParams, Row};
use store_core::{Backoff, Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{Instrument, Span, field};

use crate::error::{self, Evict, Failure};
use crate::mapping::Param;
use crate::pool::{Connections, Lease};
use crate::queries::{Access, Query};

mod batch;

pub(crate) use self::batch::Batch;

/// What a statement answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed.
    pub(crate) changed: u64,
    /// How many rows it found to change, whether they were already so or not.
    pub(crate) matched: u64,
}

impl Answer {
    /// The first row, or the only one.
    pub(crate) fn first(self) -> Option<Row> {
        self.rows.into_iter().next()
    }
}

/// What follows on a first look in a transaction.
pub(crate) enum Then<'a, T> {
    /// Do these, commit, and answer.
    Commit(Batch<'a>, T),
    /// Leave all as it was, and answer.
    Leave(T),
}

/// A driver's error, and whether it may have come after a change.
struct Failed(DriverError, Access);

/// What went wrong in a transaction of two parts.
enum Stopped {
    Driver(Failed),
    /// The decision between the parts was an error of the caller's.
    Decided(Error),
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Driver(failed)
    }
}

/// What is done on a connection.
trait Work: Sync {
    type Output: Send;

    /// Whether it leaves no transaction behind when it fails.
    const ALONE: bool = false;

    /// What telemetry calls it after.
    fn query(&self) -> &Query;

    fn access(&self) -> Access {
        Access::Write
    }

    fn once(&self, lease: &mut Lease)
    -> impl Future<Output = Result<Self::Output, Stopped>> + Send;
}

/// A prepared statement.
struct Alone<'a> {
    query: &'a Query,
    params: &'a [Param<'a>],
}

impl Work for Alone<'_> {
    type Output = Answer;

    const ALONE: bool = true;

    fn query(&self) -> &Query {
        self.query
    }

    fn access(&self) -> Access {
        self.query.access
    }

    async fn once(&self, lease: &mut Lease) -> Result<Answer, Stopped> {
        let answer = prepared(lease, self.query, self.params).await;
        answer.map_err(|error| Failed(error, self.query.access).into())
    }
}

/// A transaction as one text.
struct Together<'a>(Batch<'a>);

impl Work for Together<'_> {
    type Output = Vec<Answer>;

    fn query(&self) -> &Query {
        self.0.query
    }

    async fn once(&self, lease: &mut Lease) -> Result<Vec<Answer>, Stopped> {
        let answers = begin(lease, &self.0).await;
        answers.map_err(|error| Failed(error, Access::Write).into())
    }
}

/// A look with locks, and what is made of it.
struct LookThen<'a, D> {
    look: Batch<'a>,
    decide: D,
}

impl<'a, T, D> Work for LookThen<'_, D>
where
    T: Send,
    D: Fn(Vec<Answer>) -> Result<Then<'a, T>> + Send + Sync,
{
    type Output = T;

    fn query(&self) -> &Query {
        self.look.query
    }

    async fn once(&self, lease: &mut Lease) -> Result<T, Stopped> {
        let seen = begin(lease, &self.look).await;
        let seen = seen.map_err(|error| Failed(error, Access::Read))?;
        match (self.decide)(seen).map_err(Stopped::Decided)? {
            Then::Commit(steps, value) => {
                let count = steps.count;
                let done = together(lease, &steps.ending(), count, 0).await;
                done.map_err(|error| Failed(error, Access::Write))?;
                Ok(value)
            }
            Then::Leave(value) => {
                let ended = lease.query_drop("ROLLBACK").await;
                ended.map_err(|error| Failed(error, Access::Read))?;
                Ok(value)
            }
        }
    }
}

/// How often a statement is sent at most.
const ATTEMPTS: u32 = 6;

/// As many operations as can be under way at once; what is under way holds one permit, closing takes
/// all of them.
const PERMITS: u32 = 1 << 20;

/// Runs statements on pooled connections.
pub(crate) struct Executor {
    connections: Connections,
    open: Semaphore,
    statement_timeout: Duration,
    server: ServerName,
}

/// Where the server is, for telemetry.
#[derive(Debug, Default)]
pub(crate) struct ServerName {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) namespace: String,
}

impl Executor {
    pub(crate) fn new(
        connections: Connections,
        statement_timeout: Duration,
        server: ServerName,
    ) -> Self {
        Self {
            connections,
            open: Semaphore::new(PERMITS as usize),
            statement_timeout,
            server,
        }
    }

    /// Runs one prepared statement in one round trip.
    pub(crate) async fn run(&self, query: &Query, params: &[Param<'_>]) -> Result<Answer> {
        self.attempt(&Alone { query, params }).await
    }

    /// Runs statements in one transaction and answers what each did. The whole transaction is sent at
    /// once, so that it is one round trip, holds its locks no longer than the server needs, and
    /// happens whole or not at all if the caller goes away.
    pub(crate) async fn run_together(&self, batch: Batch<'_>) -> Result<Vec<Answer>> {
        self.attempt(&Together(batch.whole())).await
    }

    /// Looks with locks, decides, and acts on it, in one transaction of two round trips.
    pub(crate) async fn look_then<'a, T, D>(&self, look: Batch<'_>, decide: D) -> Result<T>
    where
        T: Send,
        D: Fn(Vec<Answer>) -> Result<Then<'a, T>> + Send + Sync,
    {
        self.attempt(&LookThen { look, decide }).await
    }

    /// A connection for a script, and the permit to hold while it runs.
    pub(crate) async fn connection(&self) -> Result<(Lease, SemaphorePermit<'_>)> {
        let permit = self.permit().await?;
        Ok((self.connections.get().await?, permit))
    }

    /// Whether the server that answered last is MariaDB.
    pub(crate) fn is_mariadb(&self) -> bool {
        self.connections.is_mariadb()
    }

    /// Waits for what is under way, then refuses everything.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.open.acquire_many(PERMITS).await {
            self.open.close();
            drop(all);
        }
        self.connections.close().await;
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        self.open.acquire().await.map_err(|_| error::closed())
    }

    /// Takes a connection and does the work on it, again where that is safe, within bounds.
    async fn attempt<W: Work>(&self, work: &W) -> Result<W::Output> {
        let span = self.span(work.query());
        let _permit = self.permit().await?;
        let result = self.attempts(work).instrument(span.clone()).await;
        span.record("db.system.name", self.system());
        if let Err(error) = &result {
            record(&span, error);
        }
        result
    }

    async fn attempts<W: Work>(&self, work: &W) -> Result<W::Output> {
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let mut lease = self.connections.get().await?;
            // Until the end of the answer: what is dropped on the way is not lent again.
            lease.settled = false;
            let outcome = tokio::time::timeout(self.statement_timeout, work.once(&mut lease)).await;
            let Failure {
                error,
                retry,
                evict,
            } = match outcome {
                Ok(Ok(value)) => {
                    lease.settled = true;
                    return Ok(value);
                }
                Ok(Err(Stopped::Decided(error))) => {
                    rollback(&mut lease).await;
                    return Err(error);
                }
                Ok(Err(Stopped::Driver(Failed(error, access)))) => error::statement(&error, access),
                Err(_elapsed) => error::unanswered(work.access()),
            };
            match evict {
                Evict::Nothing if W::ALONE => lease.settled = true,
                Evict::Nothing => rollback(&mut lease).await,
                Evict::This | Evict::All => self.connections.evict(lease, evict == Evict::All),
            }
            if !retry || left == 0 {
                return Err(error);
            }
            backoff.sleep().await;
        }
    }

    fn system(&self) -> &'static str {
        if self.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        }
    }

    /// A span with OpenTelemetry's stable attributes of database clients.
    fn span(&self, query: &Query) -> Span {
        tracing::info_span!(
            target: "store_mysql",
            "mysql",
            otel.kind = "client",
            otel.name = query.summary,
            db.system.name = field::Empty,
            db.namespace = self.server.namespace,
            db.operation.name = query.summary.split(' ').next(),
            db.collection.name = query.summary.split(' ').nth(1),
            db.query.summary = query.summary,
            db.response.status_code = field::Empty,
            error.type = field::Empty,
            server.address = self.server.address,
            server.port = self.server.port,
        )
    }
}

fn record(span: &Span, error: &Error) {
    span.record("error.type", error.kind().as_str());
    if let Some(code) = error.code() {
        span.record("db.response.status_code", code);
    }
}

/// Ends a transaction that failed half way, so that its connection can be lent again.
async fn rollback(lease: &mut Lease) {
    let ended = tokio::time::timeout(Duration::from_secs(1), lease.query_drop("ROLLBACK")).await;
    lease.settled = matches!(ended, Ok(Ok(())));
}

async fn prepared(
    lease: &mut Lease,
    query: &Query,
    params: &[Param<'_>],
) -> Result<Answer, DriverError> {
    let params = if params.is_empty() {
        DriverParams::Empty
    } else {
        DriverParams::Positional(params.iter().map(|param| param.value()).collect())
    };
    let statement = lease.statement(query).await?;
    let mut result = lease.exec_iter(statement, params).await?;
    let (changed, matched) = counts(result.affected_rows(), &result.info());
    let rows = result.collect().await?;
    result.drop_result().await?;
    Ok(Answer {
        rows,
        changed,
        matched,
    })
}

/// Sends a transaction, or the beginning of one. On a connection of the application's pool it says
/// which isolation level it wants; our own sessions have it.
async fn begin(lease: &mut Lease, batch: &Batch<'_>) -> Result<Vec<Answer>, DriverError> {
    const READ_COMMITTED: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;";
    if lease.is_own() {
        return together(lease, batch.beginning(), batch.count, 1).await;
    }
    let text = [READ_COMMITTED, batch.beginning()].concat();
    together(lease, &text, batch.count, 2).await
}

/// Sends statements as one text and collects what they answer, after passing over the first few.
async fn together(
    lease: &mut Lease,
    text: &str,
    statements: usize,
    skipped: usize,
) -> Result<Vec<Answer>, DriverError> {
    let mut result = lease.query_iter(text).await?;
    let mut answers = Vec::with_capacity(statements);
    for index in 0..statements + skipped {
        // The counts of a statement are known before its rows are read, and forgotten after.
        let (changed, matched) = counts(result.affected_rows(), &result.info());
        let rows = result.collect().await?;
        if index >= skipped {
            answers.push(Answer {
                rows,
                changed,
                matched,
            });
        }
    }
    result.drop_result().await?;
    Ok(answers)
}

/// An `UPDATE` counts the rows that it changed, and says in words how many it found.
fn counts(changed: u64, info: &str) -> (u64, u64) {
    let found = info.strip_prefix("Rows matched: ");
    let found = found.and_then(|rest| rest.split(' ').next()?.parse().ok());
    (changed, found.unwrap_or(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_found_are_told_from_rows_changed() {
        assert_eq!(
            counts(0, "Rows matched: 1  Changed: 0  Warnings: 0"),
            (0, 1)
        );
        assert_eq!(counts(3, ""), (3, 3));
    }
}
