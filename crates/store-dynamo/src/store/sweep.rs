//! Finishing deletions that are more than one transaction can hold.
//!
//! The transaction that deletes a client also leaves word of what is left: its deployments, which nobody
//! can see without their client. A deletion of more sessions than fit a transaction leaves word of all of
//! them before it starts. What was interrupted is finished by cleanup, which finds the word in its index.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use store_core::{CleanupKind, Result, Timestamp};

use super::DynamoStore;
use crate::execute::{Operation, Transacted};
use crate::mapping::{self, Item, at, item, s};
use crate::queries::{self, Key};
use crate::write::Write;

/// How many deletions are under way at once.
const ABREAST: usize = 16;
/// The most sessions that one word names, so that it fits an item.
pub(super) const NAMED: usize = 2_000;

/// Leaves word of a client whose deployments are to be swept.
pub(super) fn leave_client(id: &str, base: &str) -> Write {
    let mut word = item([("client", s(id)), ("base", s(base))]);
    show(&mut word, CleanupKind::Sessions);
    Write::put(queries::leftover(id), word)
}

/// Leaves word of sessions that are to be deleted.
pub(super) fn leave_sessions(key: Key, partition: &str, aids: &[String]) -> Write {
    let aids = aids.iter().map(s).collect();
    let mut word = item([("home", s(partition)), ("aids", AttributeValue::L(aids))]);
    show(&mut word, CleanupKind::JtsSessions);
    Write::put(key, word)
}

/// Puts a word into the index, but leaves it out of what DynamoDB reaps.
fn show(word: &mut Item, kind: CleanupKind) {
    let partition = queries::leftovers_partition(kind);
    word.insert(queries::EXPIRY.to_owned(), s(partition));
    word.insert("expires_at".to_owned(), at(Timestamp::MIN));
}

impl DynamoStore {
    /// Sweeps what a deleted client left: its deployments, their markers, its claim, and then the word.
    pub(super) async fn sweep_client(
        &self,
        operation: &Operation,
        id: &str,
        base: &str,
    ) -> Result<()> {
        let partition = queries::client_partition(id);
        let deployments = operation.query(&partition, queries::DEPLOYMENTS).await?;
        for some in deployments.chunks(ABREAST) {
            let sweeps = some.iter().map(async |deployment| {
                let Some(key) = Key::of(deployment) else {
                    return Ok(());
                };
                let deployment_id = mapping::text(deployment, "deployment_id")?;
                let marker = queries::marker(base, deployment_id);
                operation.write(delete_own(marker, id)).await?;
                operation.write(Write::delete(key)).await?;
                Ok(())
            });
            join_all(sweeps).await.into_iter().collect::<Result<()>>()?;
        }
        let claim = queries::base_claim(base);
        operation.write(delete_own(claim, id)).await?;
        operation
            .write(Write::delete(queries::leftover(id)))
            .await?;
        Ok(())
    }

    /// Deletes sessions that word was left of, a transaction at a time, and then the word. Tells how many
    /// were there.
    pub(super) async fn sweep_sessions(
        &self,
        operation: &mut Operation,
        word: Key,
        partition: &str,
        aids: &[String],
    ) -> Result<u64> {
        let mut deleted = 0;
        for some in aids.chunks(self.inner.config.transaction_limit) {
            deleted += delete_together(operation, partition, some.to_vec()).await?;
        }
        operation.write(Write::delete(word)).await?;
        Ok(deleted)
    }

    /// Finishes what interrupted deletions left.
    pub(super) async fn sweep_leftovers(
        &self,
        operation: &mut Operation,
        kind: CleanupKind,
        now: Timestamp,
    ) -> Result<()> {
        if !matches!(kind, CleanupKind::Sessions | CleanupKind::JtsSessions) {
            return Ok(());
        }
        let partition = queries::leftovers_partition(kind);
        let words = operation
            .query_expired(partition, at(now), 100, None)
            .await?;
        for key in words.iter().filter_map(Key::of) {
            let Some(mut word) = operation.get(key.clone()).await? else {
                continue;
            };
            if kind == CleanupKind::Sessions {
                let id = mapping::take(&mut word, "client")?;
                let base = mapping::take(&mut word, "base")?;
                self.sweep_client(operation, &id, &base).await?;
            } else {
                let partition = mapping::take(&mut word, "home")?;
                let aids = aids(&word);
                self.sweep_sessions(operation, key, &partition, &aids)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Deletes up to a transaction's worth of sessions at one moment, and tells how many were there.
pub(super) async fn delete_together(
    operation: &mut Operation,
    partition: &str,
    mut aids: Vec<String>,
) -> Result<u64> {
    while !aids.is_empty() {
        let delete = |aid: &String| {
            let delete = Write::delete(queries::jts_session(partition, aid));
            delete.when(queries::EXISTS)
        };
        match operation
            .transact(aids.iter().map(delete).collect())
            .await?
        {
            Transacted::Done => return Ok(aids.len() as u64),
            // Somebody else deleted these already.
            Transacted::Refused(refused) => {
                let mut index = 0;
                aids.retain(|_| {
                    index += 1;
                    !refused.contains(&(index - 1))
                });
            }
        }
    }
    Ok(0)
}

fn aids(word: &Item) -> Vec<String> {
    let aids = match word.get("aids") {
        Some(AttributeValue::L(aids)) => &aids[..],
        _ => &[],
    };
    let texts = aids.iter().filter_map(|aid| aid.as_s().ok());
    texts.cloned().collect()
}

/// Deletes a marker or claim unless it belongs to another client by now.
fn delete_own(key: Key, client: &str) -> Write {
    let delete = Write::delete(key).when(queries::OWN_MARKER);
    delete.with(":client", s(client))
}
