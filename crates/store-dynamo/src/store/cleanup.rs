//! Deleting what has expired and DynamoDB has not reaped yet.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::future::join_all;
use store_core::{CleanupKind, CleanupStore, Result, Timestamp};

use super::{DynamoStore, within};
use crate::execute::Operation;
use crate::mapping::{self, Item, at};
use crate::queries::{self, EXPIRY_SHARDS, Key};
use crate::write::Write;

/// How many items one round takes off the index at most.
const ROUND: u32 = 250;
/// How many deletions are under way at once.
const ABREAST: usize = 16;

#[async_trait]
impl CleanupStore for DynamoStore {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        within("delete_expired", async {
            let mut operation = self.begin().await?;
            let now = self.now();
            let clean_at = &self.inner.clean_at[kind as usize];
            // Whatever was created since expires after its creation, so in this millisecond nothing can
            // have been added.
            if limit == 0 || clean_at.load(Ordering::Relaxed) == now.unix_millis() {
                return Ok(0);
            }
            self.sweep_leftovers(&mut operation, kind, now).await?;
            let mut deleted = 0;
            let mut passed = vec![None; EXPIRY_SHARDS as usize];
            while deleted < limit {
                let wanted = (limit - deleted).min(ROUND);
                let oldest = next(&operation, kind, now, wanted, &mut passed).await?;
                if oldest.is_empty() {
                    clean_at.store(now.unix_millis(), Ordering::Relaxed);
                    break;
                }
                for some in oldest.chunks(ABREAST) {
                    let deletes = some.iter().cloned().map(|key| {
                        // It may have been created again, or be extended, since the index was read.
                        let delete = Write::delete(key).when(queries::EXPIRED);
                        operation.write(delete.now(now))
                    });
                    for answer in join_all(deletes).await {
                        deleted += u32::from(answer?.happened());
                    }
                }
            }
            Ok(u64::from(deleted))
        })
        .await
    }
}

/// The keys of the next few that expired first, over all shards, after those that were `passed` in each.
async fn next(
    operation: &Operation,
    kind: CleanupKind,
    now: Timestamp,
    wanted: u32,
    passed: &mut [Option<Item>],
) -> Result<Vec<Key>> {
    let shards = (0..EXPIRY_SHARDS).zip(&*passed).map(|(shard, from)| {
        let partition = queries::expiry_partition(kind, shard);
        operation.query_expired(partition, at(now), wanted, from.clone())
    });
    let mut all = Vec::new();
    for (shard, items) in join_all(shards).await.into_iter().enumerate() {
        for item in items? {
            all.push((mapping::instant(&item, "expires_at")?, shard, item));
        }
    }
    all.sort_by_key(|(expires_at, ..)| *expires_at);
    all.truncate(wanted as usize);
    let mut keys = Vec::with_capacity(all.len());
    for (_, shard, item) in all {
        keys.extend(Key::of(&item));
        passed[shard] = Some(item);
    }
    Ok(keys)
}
