//! Sessions of the Janus Token System, all of a principal's in one partition.
//!
//! A pointer by the anchor id and one by each proof that was ever given out lead to a session. Those of
//! a session that is gone lead nowhere, until DynamoDB reaps them when it would have expired.

use std::collections::HashMap;

use async_trait::async_trait;
use store_core::{
    Aid, CleanupKind, CreatedJtsSession, JtsSession, JtsSessionStore, MAX_METADATA_BYTES,
    NewJtsSession, Principal, Renewal, Result, SessionPolicy, StateProofStatus, Timestamp, encode,
    expiry,
};
use tokio::sync::Mutex;

use super::jts_pointers::Pointer;
use super::sweep::{self, NAMED};
use super::{DynamoStore, within};
use crate::execute::{Answer, Operation, Transacted};
use crate::mapping::{self, Item, n, s};
use crate::queries::{self, Key};
use crate::write::Write;

/// How many items creating a session under a policy writes besides those that it revokes.
const CREATING: usize = 4;

#[async_trait]
impl JtsSessionStore for DynamoStore {
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        within("create_jts_session", async {
            let mut operation = self.begin().await?;
            let now = self.now();
            let lifetime = session.lifetime;
            let lifetime = lifetime.unwrap_or(self.settings().jts_session_lifetime);
            let expires_at = expiry(now, lifetime)?;
            let metadata = session.metadata.as_ref();
            let metadata = metadata
                .map(|metadata| encode("metadata", metadata, MAX_METADATA_BYTES))
                .transpose()?;
            let session = session.start(now, expires_at);
            let partition = queries::principal_partition(session.prn.as_str());
            let [new, anchor, pointer] = inserts(&session, metadata, &partition, None);
            let inserts = vec![new.when(queries::ABSENT), anchor, pointer];
            let Some(limit) = policy.limit() else {
                while operation.transact(inserts.clone()).await? != Transacted::Done {
                    operation.look_again().await?;
                }
                self.remember_new(&session, &partition);
                let revoked = Vec::new();
                return Ok(CreatedJtsSession { session, revoked });
            };
            let kept = limit as usize - 1;
            let revocable = self.inner.config.transaction_limit - CREATING;
            let mut revoked = Vec::new();
            let mut turn = None;
            loop {
                let (rev, living) = look(&operation, &partition, now).await?;
                let surplus = living.len().saturating_sub(kept);
                let last = surplus <= revocable;
                let oldest = &living[..surplus.min(revocable)];
                let mut writes = vec![pass(&partition, rev)];
                if last {
                    writes.extend(inserts.clone());
                }
                writes.extend(oldest.iter().map(|listed| {
                    let key = queries::jts_session(&partition, &listed.aid);
                    Write::delete(key).when(queries::EXISTS)
                }));
                match operation.transact(writes).await? {
                    Transacted::Done => {
                        let aids = oldest.iter().map(|listed| &*listed.aid);
                        revoked.extend(aids.map(Aid::from_stored));
                        if last {
                            self.remember_new(&session, &partition);
                            return Ok(CreatedJtsSession { session, revoked });
                        }
                    }
                    // Others of this process wait for their turn rather than for each other's defeat.
                    Transacted::Refused(_) if turn.is_none() => {
                        turn = Some(self.turn(&partition).lock().await);
                    }
                    Transacted::Refused(_) => operation.look_again().await?,
                }
            }
        })
        .await
    }

    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        within("get_jts_session", async {
            let operation = self.begin().await?;
            self.by_aid(&operation, aid).await
        })
        .await
    }

    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        within("validate_state_proof", self.validate(proof)).await
    }

    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        within("rotate_state_proof", self.rotate(aid, seen)).await
    }

    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal> {
        within("renew_state_proof", self.renew(proof)).await
    }

    async fn touch_jts_session(&self, aid: &str) -> Result<bool> {
        within("touch_jts_session", async {
            let operation = self.begin().await?;
            while let Some(found) = self.locate(&operation, aid).await? {
                let now = self.now();
                let update = Write::update(found.place.clone(), queries::TOUCH);
                let update = update.when(queries::TOUCHABLE).now(now);
                let seen = match operation.write(update).await? {
                    Answer::Done(_) => return Ok(true),
                    // It is gone, or was active later than this clock shows.
                    Answer::Refused(Some(item)) => Some(item),
                    Answer::Refused(None) => operation.get(found.place).await?,
                };
                let lives = mapping::live(seen, now)?.is_some();
                if lives || !self.forget_anchor(aid, found.remembered) {
                    return Ok(lives);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        within("delete_jts_session", async {
            let operation = self.begin().await?;
            while let Some(found) = self.locate(&operation, aid).await? {
                let deleted = self.delete(&operation, found.place).await?;
                if deleted || !self.forget_anchor(aid, found.remembered) {
                    return Ok(deleted);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        within("delete_jts_sessions", async {
            let mut operation = self.begin().await?;
            if !Principal::accepts(prn) {
                return Ok(0);
            }
            let partition = queries::principal_partition(prn);
            let (_, living) = look(&operation, &partition, self.now()).await?;
            let aids: Vec<String> = living.into_iter().map(|listed| listed.aid).collect();
            if aids.len() <= self.inner.config.transaction_limit {
                return sweep::delete_together(&mut operation, &partition, aids).await;
            }
            // More than a transaction holds: goes on even if the caller does not wait for it.
            let store = self.clone();
            let rest = async move { store.delete_many(operation, &partition, &aids).await };
            match tokio::spawn(rest).await {
                Ok(deleted) => deleted,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        })
        .await
    }

    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        within("list_jts_sessions", async {
            let operation = self.begin().await?;
            if !Principal::accepts(prn) {
                return Ok(Vec::new());
            }
            let partition = queries::principal_partition(prn);
            let items = operation.query(&partition, queries::JTS_SESSIONS).await?;
            let now = self.now();
            let sessions = items.into_iter().map(mapping::jts_session);
            let mut sessions = sessions.collect::<Result<Vec<_>>>()?;
            sessions.retain(|session| session.expires_at > now);
            sessions.sort_by(|a, b| {
                let by_use = b.last_active.cmp(&a.last_active);
                by_use.then_with(|| a.aid.cmp(&b.aid))
            });
            Ok(sessions)
        })
        .await
    }

    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        within("count_jts_sessions", async {
            let operation = self.begin().await?;
            if !Principal::accepts(prn) {
                return Ok(0);
            }
            let partition = queries::principal_partition(prn);
            let (_, living) = look(&operation, &partition, self.now()).await?;
            Ok(living.len() as u64)
        })
        .await
    }

    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool> {
        within("delete_oldest_jts_session", async {
            let mut operation = self.begin().await?;
            if !Principal::accepts(prn) {
                return Ok(false);
            }
            let partition = queries::principal_partition(prn);
            loop {
                let (_, living) = look(&operation, &partition, self.now()).await?;
                let Some(oldest) = living.first() else {
                    return Ok(false);
                };
                let key = queries::jts_session(&partition, &oldest.aid);
                if self.delete(&operation, key).await? {
                    return Ok(true);
                }
                operation.look_again().await?;
            }
        })
        .await
    }
}

impl DynamoStore {
    /// The live session with an anchor id.
    pub(super) async fn by_aid(
        &self,
        operation: &Operation,
        aid: &str,
    ) -> Result<Option<JtsSession>> {
        while let Some(found) = self.locate(operation, aid).await? {
            let item = mapping::live(operation.get(found.place).await?, self.now())?;
            if item.is_some() || !self.forget_anchor(aid, found.remembered) {
                return item.map(mapping::jts_session).transpose();
            }
        }
        Ok(None)
    }

    /// Held by the one login to a principal that is tried again, of those that were refused before. A few
    /// principals share one.
    fn turn(&self, partition: &str) -> &Mutex<()> {
        let turns = &self.inner.turns;
        let spread = |sum: usize, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
        &turns[partition.bytes().fold(0, spread) % turns.len()]
    }

    /// Deletes a live session and tells whether there was one.
    pub(super) async fn delete(&self, operation: &Operation, key: Key) -> Result<bool> {
        let delete = Write::delete(key).when(queries::LIVE);
        Ok(operation.write(delete.now(self.now())).await?.happened())
    }

    /// Deletes more sessions than a transaction holds: leaves word of them first.
    async fn delete_many(
        &self,
        mut operation: Operation,
        partition: &str,
        aids: &[String],
    ) -> Result<u64> {
        let mut words = Vec::new();
        for some in aids.chunks(NAMED) {
            let key = queries::leftover(&uuid::Uuid::new_v4().to_string());
            let word = sweep::leave_sessions(key.clone(), partition, some);
            operation.write(word).await?;
            words.push((key, some));
        }
        let mut deleted = 0;
        for (key, some) in words {
            deleted += self
                .sweep_sessions(&mut operation, key, partition, some)
                .await?;
        }
        Ok(deleted)
    }
}

/// What a session is created by: itself, what leads to it by its anchor id, and the pointer of its proof,
/// which names the `prior` one.
pub(super) fn inserts(
    session: &JtsSession,
    metadata: Option<String>,
    partition: &str,
    prior: Option<&str>,
) -> [Write; 3] {
    let aid = session.aid.as_str();
    let key = queries::jts_session(partition, aid);
    let mut item = mapping::jts_item(session, metadata);
    queries::expire(
        &mut item,
        CleanupKind::JtsSessions,
        &key,
        session.expires_at,
    );
    let anchor = HashMap::from([
        ("home".to_owned(), s(partition)),
        (
            queries::REAP_AT.to_owned(),
            queries::reap_at(session.expires_at),
        ),
    ]);
    let pointer = Pointer {
        partition: partition.to_owned(),
        aid: aid.to_owned(),
        expires_at: session.expires_at,
    };
    let digest = queries::spelt_digest(session.current_state_proof.as_str());
    [
        Write::put(key, item),
        Write::put(queries::anchor(aid), anchor),
        pointer.write(&digest, prior),
    ]
}

/// Lets one login under a policy pass.
fn pass(partition: &str, rev: i64) -> Write {
    Write::update(queries::principal(partition), queries::PASS)
        .when(queries::NOBODY_PASSED)
        .with(":seen", n(rev))
        .with(":next", n(rev + 1))
}

/// A session of a principal, in brief.
struct Listed {
    created_at: Timestamp,
    aid: String,
}

/// How many logins under a policy have passed, and the live sessions, oldest first. The former is read
/// first, so that nobody passes in between unnoticed.
async fn look(
    operation: &Operation,
    partition: &str,
    now: Timestamp,
) -> Result<(i64, Vec<Listed>)> {
    const BRIEF: &str = "sk, aid, created_at, expires_at, rev";
    let items = operation.query_some(partition, "", Some(BRIEF)).await?;
    let mut rev = 0;
    let mut living = Vec::new();
    for mut item in items {
        if item.contains_key("rev") {
            rev = mapping::number(&item, "rev")?;
        } else if is_live(&item, now)? {
            living.push(Listed {
                created_at: mapping::instant(&item, "created_at")?,
                aid: mapping::take(&mut item, "aid")?,
            });
        }
    }
    living.sort_by(|a, b| {
        let by_age = a.created_at.cmp(&b.created_at);
        by_age.then_with(|| a.aid.cmp(&b.aid))
    });
    Ok((rev, living))
}

fn is_live(item: &Item, now: Timestamp) -> Result<bool> {
    Ok(mapping::instant(item, "expires_at")? > now)
}
