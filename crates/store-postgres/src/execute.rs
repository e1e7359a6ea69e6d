//! Running statements: a connection, the statement, its answer or its failure, and what then.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::TryStreamExt;
use futures_util::future::{join_all, join3};
use store_core::{Backoff, Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error as DriverError, Row, RowStream, Statement};
use tracing::{Instrument, Span, field};

use crate::error::{self, Evict, Failure};
use crate::mapping::Param;
use crate::pool::{Connections, Lent, SHARED_PATIENCE};
use crate::queries::{Access, Query};

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement and its parameters.
pub(crate) type Step<'a> = (&'a Query, Params<'a>);

/// What a statement answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed.
    pub(crate) changed: u64,
}

/// A driver's error, and whether it may have come after a change.
struct Failed(DriverError, Access);

/// Opens a transaction whose later statements see what was committed while the earlier ones waited,
/// whatever the server's default is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// How often a statement is sent at most.
const ATTEMPTS: u32 = 4;

/// As many operations as can be under way at once; what is under way holds one permit, closing takes
/// all of them.
const PERMITS: u32 = 1 << 20;

/// Runs statements on pooled connections.
pub(crate) struct Executor {
    connections: Connections,
    open: Semaphore,
    /// Statements are prepared once per connection, unless a pooler stands between.
    prepare: bool,
    /// The server ends statements after the statement timeout; this is a little longer, for when it
    /// does not.
    patience: Duration,
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
        prepare: bool,
        statement_timeout: Duration,
        server: ServerName,
    ) -> Self {
        Self {
            connections,
            open: Semaphore::new(PERMITS as usize),
            prepare,
            patience: statement_timeout + Duration::from_secs(1),
            server,
        }
    }

    /// Runs one statement in one round trip.
    pub(crate) async fn run(&self, query: &Query, params: Params<'_>) -> Result<Answer> {
        let mut answers = self.attempt(&[(query, params)]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Runs statements in one transaction and answers what each did. The whole transaction is sent at
    /// once, so that it is one round trip, holds its locks no longer than the server needs, and
    /// happens whole or not at all if the caller goes away.
    pub(crate) async fn run_together(&self, steps: &[Step<'_>]) -> Result<Vec<Answer>> {
        self.attempt(steps).await
    }

    /// A connection for a script, and the permit to hold while it runs.
    pub(crate) async fn connection(&self) -> Result<(Object, SemaphorePermit<'_>)> {
        let permit = self.permit().await?;
        Ok((self.connections.get().await?, permit))
    }

    /// Waits for what is under way, then refuses everything.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.open.acquire_many(PERMITS).await {
            self.open.close();
            drop(all);
        }
        self.connections.close();
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        self.open.acquire().await.map_err(|_| error::closed())
    }

    /// Takes a connection and does the steps on it, again where that is safe, within bounds.
    async fn attempt(&self, steps: &[Step<'_>]) -> Result<Vec<Answer>> {
        let span = self.span(steps[0].0);
        let _permit = self.permit().await?;
        let result = self.attempts(steps).instrument(span.clone()).await;
        if let Err(error) = &result {
            record(&span, error);
        }
        result
    }

    async fn attempts(&self, steps: &[Step<'_>]) -> Result<Vec<Answer>> {
        let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
        let mut share = self.prepare && matches!(steps, [(query, _)] if query.is_lookup);
        let mut left = ATTEMPTS;
        loop {
            let connection = match share {
                true => self.connections.get_shared().await?,
                false => Lent::own(self.connections.get().await?),
            };
            let patience = match connection.is_shared {
                true => self.patience.min(SHARED_PATIENCE),
                false => self.patience,
            };
            let outcome = tokio::time::timeout(patience, self.perform(&connection, steps)).await;
            let Failure {
                error,
                retry,
                evict,
            } = match outcome {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(Failed(error, access))) => error::statement(&error, access),
                Err(_elapsed) if connection.is_shared => {
                    // It may be another's statement that takes so long.
                    self.connections.set_aside(&connection, self.patience);
                    share = false;
                    continue;
                }
                Err(_elapsed) => error::unanswered(steps[0].0.access),
            };
            if evict != Evict::Nothing {
                self.connections.evict(&connection, evict == Evict::All);
            }
            left -= 1;
            if !retry || left == 0 {
                return Err(error);
            }
            drop(connection);
            backoff.sleep().await;
        }
    }

    async fn perform(
        &self,
        connection: &ClientWrapper,
        steps: &[Step<'_>],
    ) -> Result<Vec<Answer>, Failed> {
        if let [(query, params)] = *steps {
            let statement = self.statement(connection, query).await?;
            let answer = send(connection, query, statement, params).await;
            return match answer {
                Ok(answer) => Ok(vec![answer]),
                Err(error) => Err(Failed(error, query.access)),
            };
        }
        let mut sent = Vec::with_capacity(steps.len());
        for (query, params) in steps {
            let statement = self.statement(connection, query).await?;
            sent.push(send(connection, query, statement, params));
        }
        // Each sends itself when it is first polled, which happens in this order.
        let (begun, answers, committed) = join3(
            connection.batch_execute(BEGIN),
            join_all(sent),
            connection.batch_execute("COMMIT"),
        )
        .await;
        let answers = answers.into_iter().collect::<Result<_, _>>();
        let whole = begun
            .and(answers)
            .and_then(|answers| committed.map(|()| answers));
        whole.map_err(|error| Failed(error, Access::Write))
    }

    async fn statement(
        &self,
        connection: &ClientWrapper,
        query: &Query,
    ) -> Result<Option<Statement>, Failed> {
        if !self.prepare {
            return Ok(None);
        }
        let prepared = connection.prepare_typed_cached(&query.sql, query.types);
        prepared
            .await
            .map(Some)
            .map_err(|error| Failed(error, Access::Read))
    }

    /// A span with OpenTelemetry's stable attributes of database clients.
    fn span(&self, query: &Query) -> Span {
        tracing::info_span!(
            target: "store_postgres",
            "postgresql",
            otel.kind = "client",
            otel.name = query.summary,
            db.system.name = "postgresql",
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

/// Sends a statement at the first poll and collects its answer.
async fn send(
    connection: &ClientWrapper,
    query: &Query,
    statement: Option<Statement>,
    params: Params<'_>,
) -> Result<Answer, DriverError> {
    let params = params.iter().copied().map(Param);
    let stream: RowStream = match statement {
        Some(statement) => {
            let params: Vec<Param<'_>> = params.collect();
            connection.query_raw(&statement, params).await?
        }
        None => {
            let params: Vec<(Param<'_>, Type)> = params.zip(query.types.iter().cloned()).collect();
            connection.query_typed_raw(&query.sql, params).await?
        }
    };
    let mut stream = std::pin::pin!(stream);
    let mut answer = Answer::default();
    while let Some(row) = stream.try_next().await? {
        answer.rows.push(row);
    }
    answer.changed = stream.rows_affected().unwrap_or_default();
    Ok(answer)
}
