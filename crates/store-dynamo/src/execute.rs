//! Sending requests: what a request is, its answer or its failure, and what then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Get, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactGetItem,
};
use store_core::{Backoff, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use crate::error::{self, Again, Failure};
use crate::mapping::{Item, s};
use crate::queries::Key;
use crate::write::{Action, Write};

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
/// The most items that one batch reads.
const BATCH: usize = 100;

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
            // The SDK logs whole requests and answers.
            let sent = send().with_subscriber(NoSubscriber::default());
            let Failure { error, again } = match sent.await {
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

    /// Reads an item as it is now.
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Item>> {
        let executor = &self.executor;
        let request = executor.client.get_item();
        let request = request
            .table_name(executor.table())
            .set_key(Some(key.into_item()))
            .consistent_read(true);
        let send = || async {
            let sent = request.clone().send().await;
            sent.map(|answer| answer.item)
                .map_err(|error| error::request(&error, Access::Read))
        };
        executor.send("GetItem", Access::Read, send).await
    }

    /// Reads items as they are now, each at its own moment. In the order of their keys, which must differ.
    pub(crate) async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let executor = &self.executor;
        let mut found = HashMap::new();
        for batch in keys.chunks(BATCH) {
            let mut wanted: Vec<Item> = batch.iter().cloned().map(Key::into_item).collect();
            let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
            loop {
                let keys = KeysAndAttributes::builder()
                    .set_keys(Some(wanted))
                    .consistent_read(true)
                    .build()
                    .map_err(|_| error::unbuildable())?;
                let request = executor.client.batch_get_item();
                let request = request.request_items(executor.table(), keys);
                let send = || async {
                    let sent = request.clone().send().await;
                    sent.map_err(|error| error::request(&error, Access::Read))
                };
                let answer = executor.send("BatchGetItem", Access::Read, send).await?;
                let items = answer.responses.unwrap_or_default().into_values();
                for item in items.flatten() {
                    if let Some(key) = Key::of(&item) {
                        found.insert(key, item);
                    }
                }
                let left = answer.unprocessed_keys.unwrap_or_default().into_values();
                wanted = left.flat_map(|keys| keys.keys).collect();
                if wanted.is_empty() {
                    break;
                }
                backoff.sleep().await;
            }
        }
        Ok(keys.iter().map(|key| found.remove(key)).collect())
    }

    /// Reads items as they are at one moment, in the order of their keys.
    pub(crate) async fn snapshot(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>> {
        let executor = &self.executor;
        let gets = keys.into_iter().map(|key| {
            let get = Get::builder()
                .table_name(executor.table())
                .set_key(Some(key.into_item()));
            let get = get.build().map_err(|_| error::unbuildable())?;
            Ok(TransactGetItem::builder().get(get).build())
        });
        let gets = gets.collect::<Result<Vec<_>>>()?;
        let request = executor.client.transact_get_items();
        let request = request.set_transact_items(Some(gets));
        let send = || async {
            use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError as Refusal;
            let error = match request.clone().send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(Refusal::TransactionCanceledException(refusal)) = error.as_service_error() {
                let reasons = refusal.cancellation_reasons().iter();
                error::cancelled(reasons.map(|reason| reason.code()))?;
            }
            Err(error::request(&error, Access::Read))
        };
        let answer = executor
            .send("TransactGetItems", Access::Read, send)
            .await?;
        let items = answer.responses.unwrap_or_default().into_iter();
        Ok(items.map(|response| response.item).collect())
    }

    /// Reads a partition, or the part of it whose sort keys start with `start`, in their order: all pages.
    pub(crate) async fn query(&self, partition: &str, start: &str) -> Result<Vec<Item>> {
        self.query_some(partition, start, None).await
    }

    /// The same, of only some attributes.
    pub(crate) async fn query_some(
        &self,
        partition: &str,
        start: &str,
        attributes: Option<&'static str>,
    ) -> Result<Vec<Item>> {
        let executor = &self.executor;
        let request = executor.client.query().table_name(executor.table());
        let request = request
            .consistent_read(true)
            .set_projection_expression(attributes.map(str::to_owned))
            .expression_attribute_values(":pk", s(partition));
        let request = if start.is_empty() {
            request.key_condition_expression("pk = :pk")
        } else {
            request
                .key_condition_expression("pk = :pk AND begins_with(sk, :start)")
                .expression_attribute_values(":start", s(start))
        };
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let request = request.clone().set_exclusive_start_key(from);
            let send = || async {
                let sent = request.clone().send().await;
                sent.map_err(|error| error::request(&error, Access::Read))
            };
            let page = executor.send("Query", Access::Read, send).await?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(items);
            }
        }
    }

    /// The first `limit` of a partition of the expiry index that expired by `now`, after `from`.
    pub(crate) async fn query_expired(
        &self,
        partition: String,
        now: AttributeValue,
        limit: u32,
        from: Option<Item>,
    ) -> Result<Vec<Item>> {
        let executor = &self.executor;
        let request = executor.client.query().table_name(executor.table());
        let request = request
            .index_name(crate::queries::EXPIRY)
            .key_condition_expression("expiry = :kind AND expires_at <= :now")
            .expression_attribute_values(":kind", s(partition))
            .expression_attribute_values(":now", now)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from);
        let send = || async {
            let sent = request.clone().send().await;
            sent.map_err(|error| error::request(&error, Access::Read))
        };
        let page = executor.send("Query", Access::Read, send).await?;
        Ok(page.items.unwrap_or_default())
    }

    /// Does one write.
    pub(crate) async fn write(&self, write: Write) -> Result<Answer> {
        let executor = &self.executor;
        let access = match write.condition {
            None => Access::Idempotent,
            Some(_) => Access::Write,
        };
        let condition = write.condition.map(str::to_owned);
        let values = (!write.values.is_empty()).then_some(write.values);
        let returns = |value| write.returning.then_some(value);
        match write.action {
            Action::Put(item) => {
                let request = executor.client.put_item().table_name(executor.table());
                let request = request
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values);
                let send = || async {
                    match request.clone().send().await {
                        Ok(_) => Ok(Answer::Done(None)),
                        Err(error) => match error.as_service_error() {
                            Some(PutItemError::ConditionalCheckFailedException(_)) => {
                                Ok(Answer::Refused(None))
                            }
                            _ => Err(error::request(&error, access)),
                        },
                    }
                };
                executor.send("PutItem", access, send).await
            }
            Action::Update(key, expression) => {
                let request = executor.client.update_item().table_name(executor.table());
                let request = request
                    .set_key(Some(key.into_item()))
                    .update_expression(expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .set_return_values(returns(ReturnValue::AllNew))
                    .return_values_on_condition_check_failure(
                        ReturnValuesOnConditionCheckFailure::AllOld,
                    );
                let send = || async {
                    match request.clone().send().await {
                        Ok(answer) => Ok(Answer::Done(answer.attributes)),
                        Err(SdkError::ServiceError(context)) => match context.err() {
                            UpdateItemError::ConditionalCheckFailedException(refusal) => {
                                Ok(Answer::Refused(refusal.item().cloned()))
                            }
                            _ => Err(error::request(&SdkError::ServiceError(context), access)),
                        },
                        Err(error) => Err(error::request(&error, access)),
                    }
                };
                executor.send("UpdateItem", access, send).await
            }
            Action::Delete(key) => {
                let request = executor.client.delete_item().table_name(executor.table());
                let request = request
                    .set_key(Some(key.into_item()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .set_return_values(returns(ReturnValue::AllOld));
                let send = || async {
                    match request.clone().send().await {
                        Ok(answer) => Ok(Answer::Done(answer.attributes)),
                        Err(error) => match error.as_service_error() {
                            Some(DeleteItemError::ConditionalCheckFailedException(_)) => {
                                Ok(Answer::Refused(None))
                            }
                            _ => Err(error::request(&error, access)),
                        },
                    }
                };
                executor.send("DeleteItem", access, send).await
            }
            Action::Check(_) => Err(error::unbuildable()),
        }
    }

    /// Does several writes, all or none. It carries a token, so that DynamoDB does it once
    /// even if it is sent again because no answer came.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted> {
        let executor = &self.executor;
        let items = writes
            .into_iter()
            .map(|write| write.into_transaction(executor.table()))
            .collect::<Result<Vec<_>>>()?;
        let request = executor.client.transact_write_items();
        let request = request
            .set_transact_items(Some(items))
            .client_request_token(Uuid::new_v4().to_string());
        let send = || async {
            let error = match request.clone().send().await {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) => error,
            };
            if let Some(TransactWriteItemsError::TransactionCanceledException(refusal)) =
                error.as_service_error()
            {
                let reasons = refusal.cancellation_reasons().iter();
                let refused = error::cancelled(reasons.map(|reason| reason.code()))?;
                return Ok(Transacted::Refused(refused));
            }
            Err(error::request(&error, Access::Idempotent))
        };
        executor
            .send("TransactWriteItems", Access::Idempotent, send)
            .await
    }
}
