//! Requests that read. All reads of the table are consistent.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Get, KeysAndAttributes, TransactGetItem};
use store_core::{Backoff, Result};

use super::{Access, Operation};
use crate::error;
use crate::mapping::{Item, s};
use crate::queries::{EXPIRY, Key};

/// The most items that one batch reads.
const BATCH: usize = 100;

impl Operation {
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
                if self.started.elapsed() > executor.budget {
                    return Err(error::overloaded());
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

    /// The first `limit` items of a partition after `from`, and the key of the last one if there may be more.
    pub(crate) async fn query_page(
        &self,
        partition: &str,
        limit: u32,
        from: Option<Key>,
    ) -> Result<(Vec<Item>, Option<Key>)> {
        let executor = &self.executor;
        let request = executor.client.query().table_name(executor.table());
        let request = request
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", s(partition))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from.map(Key::into_item));
        let send = || async {
            let sent = request.clone().send().await;
            sent.map_err(|error| error::request(&error, Access::Read))
        };
        let page = executor.send("Query", Access::Read, send).await?;
        let last = page.last_evaluated_key.as_ref().and_then(Key::of);
        Ok((page.items.unwrap_or_default(), last))
    }

    /// Looks at up to `limit` items of the table after `from`, and finds those to which the filter applies.
    /// Also the key of the last one that it looked at, if there may be more.
    pub(crate) async fn scan_page(
        &self,
        filter: &'static str,
        values: HashMap<String, AttributeValue>,
        limit: u32,
        from: Option<Key>,
    ) -> Result<(Vec<Item>, Option<Key>)> {
        let executor = &self.executor;
        let request = executor.client.scan().table_name(executor.table());
        let request = request
            .consistent_read(true)
            .filter_expression(filter)
            .set_expression_attribute_values(Some(values))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from.map(Key::into_item));
        let send = || async {
            let sent = request.clone().send().await;
            sent.map_err(|error| error::request(&error, Access::Read))
        };
        let page = executor.send("Scan", Access::Read, send).await?;
        let last = page.last_evaluated_key.as_ref().and_then(Key::of);
        Ok((page.items.unwrap_or_default(), last))
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
            .index_name(EXPIRY)
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
}
