//! Sessions of the Janus Token System.

use async_trait::async_trait;
use store_core::{
    Aid, CreatedJtsSession, Error, ErrorKind, JtsSession, JtsSessionStore, MAX_CLOCK_SKEW,
    MAX_METADATA_BYTES, NewJtsSession, Principal, ProofStanding, Renewal, Result, SessionPolicy,
    StateProof, StateProofStatus, Timestamp, encode, expiry, judge_proof, judged_at, proof_digest,
};

use super::{MySqlStore, at};
use crate::execute::{Answer, Batch, Then};
use crate::mapping::{self, Param};

/// How often a step is looked at again because somebody else changed the session in between.
const LOOKS: u32 = 8;

#[async_trait]
impl JtsSessionStore for MySqlStore {
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        const OPERATION: &str = "create_jts_session";
        let now = self.now();
        let lifetime = session
            .lifetime
            .unwrap_or(self.settings().jts_session_lifetime);
        let expires_at = expiry(now, lifetime).map_err(|error| at(OPERATION, error))?;
        let metadata = session.metadata.as_ref();
        let metadata = metadata
            .map(|metadata| encode("metadata", metadata, MAX_METADATA_BYTES))
            .transpose()
            .map_err(|error| at(OPERATION, error))?;
        let session = session.start(now, expires_at);

        let queries = &self.queries().jts;
        let row = [
            (&session.aid).into(),
            (&session.prn).into(),
            (&session.current_state_proof).into(),
            now.into(),
            now.into(),
            expires_at.into(),
            session.device_fingerprint.as_ref().into(),
            session.user_agent.as_ref().into(),
            session.ip_address.as_ref().into(),
            metadata.as_ref().into(),
        ];
        let Some(limit) = policy.limit() else {
            self.run(OPERATION, &queries.create_jts_session, &row)
                .await?;
            let revoked = Vec::new();
            return Ok(CreatedJtsSession { session, revoked });
        };
        let kept = usize::try_from(limit - 1).unwrap_or(usize::MAX);
        let prn = (&session.prn).into();
        let look =
            Batch::new(&queries.take_turn, &[prn]).with(&queries.lock_sessions, &[prn, now.into()]);
        let revoke = |mut seen: Vec<Answer>| {
            let mut live = seen.pop().unwrap_or_default().rows;
            live.truncate(live.len().saturating_sub(kept));
            let too_many = live.iter_mut().map(|row| mapping::text(row, 0));
            let revoked: Vec<Aid> = too_many.collect::<Result<_>>()?;
            let create = Batch::new(&queries.create_jts_session, &row);
            let batch = revoked.iter().fold(create, |batch, aid| {
                batch.with(&queries.revoke, &[aid.into()])
            });
            Ok(Then::Commit(batch, revoked))
        };
        let created = self.inner.executor.look_then(look, revoke).await;
        let revoked = created.map_err(|error| at(OPERATION, error))?;
        Ok(CreatedJtsSession { session, revoked })
    }

    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        if !Aid::accepts(aid) {
            return Ok(None);
        }
        let query = &self.queries().jts.get_jts_session;
        let params = [aid.into(), self.now().into()];
        let mut answer = self.run("get_jts_session", query, &params).await?;
        let row = answer.rows.first_mut();
        let session = row.map(mapping::jts_session).transpose();
        session.map_err(|error| at("get_jts_session", error))
    }

    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        let arrived = self.now();
        let found = self
            .find_by_proof("validate_state_proof", proof, arrived)
            .await?;
        Ok(match found {
            None => StateProofStatus::Unknown,
            Some((ProofStanding::Current, session)) => StateProofStatus::Valid(session),
            Some((ProofStanding::WithinGrace, session)) => {
                StateProofStatus::ValidWithinGrace(session)
            }
            Some((ProofStanding::Retired | ProofStanding::FromTheFuture(_), session)) => {
                let JtsSession { aid, prn, .. } = *session;
                StateProofStatus::Compromised { aid, prn }
            }
        })
    }

    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        const OPERATION: &str = "rotate_state_proof";
        if Aid::accepts(aid)
            && StateProof::accepts(seen)
            && let Some(session) = self.rotate(OPERATION, Some(aid), seen).await?
        {
            return Ok(*session);
        }
        let error = match self.get_jts_session(aid).await? {
            Some(_) => Error::new(
                ErrorKind::Conflict,
                "the state proof is not the current one: somebody else rotated it",
            ),
            None => Error::new(ErrorKind::NotFound, "no live session has this aid"),
        };
        Err(at(OPERATION, error))
    }

    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal> {
        const OPERATION: &str = "renew_state_proof";
        if !StateProof::accepts(proof) {
            return Ok(Renewal::Unknown);
        }
        let arrived = self.now();
        for _ in 0..LOOKS {
            if let Some(session) = self.rotate(OPERATION, None, proof).await? {
                return Ok(Renewal::Rotated(session));
            }
            match self.find_by_proof(OPERATION, proof, arrived).await? {
                None => return Ok(Renewal::Unknown),
                // It became current between the two statements: once more.
                Some((ProofStanding::Current, _)) => {}
                Some((ProofStanding::WithinGrace, session)) => {
                    return Ok(Renewal::Converged(session));
                }
                Some((ProofStanding::Retired | ProofStanding::FromTheFuture(_), session)) => {
                    let JtsSession { aid, prn, .. } = *session;
                    // A retired proof never becomes valid again, so nothing else needs to hold. Of
                    // several replays at once one revokes; the others look again and find nothing.
                    let revoked = self.delete_jts_session(aid.as_str()).await;
                    if !revoked.map_err(|error| at(OPERATION, error))? {
                        continue;
                    }
                    return Ok(Renewal::Compromised { aid, prn });
                }
            }
        }
        let message = "the session kept changing; try again";
        Err(at(
            OPERATION,
            Error::new(ErrorKind::Conflict, message).retryable(),
        ))
    }

    async fn touch_jts_session(&self, aid: &str) -> Result<bool> {
        if !Aid::accepts(aid) {
            return Ok(false);
        }
        let query = &self.queries().jts.touch_jts_session;
        let now = self.now();
        let params = [now.into(), aid.into(), now.into()];
        let answer = self.run("touch_jts_session", query, &params).await?;
        Ok(answer.matched > 0)
    }

    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        if !Aid::accepts(aid) {
            return Ok(false);
        }
        let query = &self.queries().jts.delete_jts_session;
        let params = [aid.into(), self.now().into()];
        let answer = self.run("delete_jts_session", query, &params).await?;
        Ok(answer.changed > 0)
    }

    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        if !Principal::accepts(prn) {
            return Ok(0);
        }
        let query = &self.queries().jts.delete_jts_sessions;
        let params = [prn.into(), self.now().into()];
        let answer = self.run("delete_jts_sessions", query, &params).await?;
        Ok(answer.changed)
    }

    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        if !Principal::accepts(prn) {
            return Ok(Vec::new());
        }
        let query = &self.queries().jts.list_jts_sessions;
        let params = [prn.into(), self.now().into()];
        let mut answer = self.run("list_jts_sessions", query, &params).await?;
        let sessions = answer.rows.iter_mut().map(mapping::jts_session);
        sessions
            .collect::<Result<_>>()
            .map_err(|error| at("list_jts_sessions", error))
    }

    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        if !Principal::accepts(prn) {
            return Ok(0);
        }
        let query = &self.queries().jts.count_jts_sessions;
        let params = [prn.into(), self.now().into()];
        let answer = self.run("count_jts_sessions", query, &params).await?;
        let count = answer.rows.first().map(|row| mapping::number(row, 0));
        let count = count
            .transpose()
            .map_err(|error| at("count_jts_sessions", error))?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool> {
        if !Principal::accepts(prn) {
            return Ok(false);
        }
        let query = &self.queries().jts.delete_oldest_jts_session;
        let params = [prn.into(), self.now().into()];
        let answer = self
            .run("delete_oldest_jts_session", query, &params)
            .await?;
        Ok(answer.changed > 0)
    }
}

impl MySqlStore {
    /// Replaces `seen` by a new proof where it is current; of the session `aid` if one is named.
    async fn rotate(
        &self,
        operation: &'static str,
        aid: Option<&str>,
        seen: &str,
    ) -> Result<Option<Box<JtsSession>>> {
        let now = self.now();
        let fresh = StateProof::generate();
        let queries = &self.queries().jts;
        let (seen, at_now) = (seen.into(), now.into());
        let named = match aid {
            Some(aid) => Batch::new(&queries.name_session, &[aid.into()]),
            None => Batch::new(&queries.name_session_by_proof, &[seen]),
        };
        let batch = named
            .with(&queries.lock_session, &[seen, at_now])
            .with(&queries.retire_previous, &[seen, at_now])
            .with(
                &queries.rotate,
                &[(&fresh).into(), at_now, at_now, seen, at_now],
            );
        let mut answers = self.run_together(operation, batch).await?;
        let locked = answers
            .get_mut(1)
            .and_then(|answer| answer.rows.first_mut());
        let locked = locked.map(mapping::jts_session).transpose();
        let locked = locked.map_err(|error| at(operation, error))?;
        // What was read under the lock, and what the update then did to it.
        Ok(locked.map(|session| {
            Box::new(JtsSession {
                previous_state_proof: Some(session.current_state_proof),
                current_state_proof: fresh,
                state_proof_version: session.state_proof_version.saturating_add(1),
                rotation_timestamp: Some(now),
                last_active: session.last_active.max(now),
                ..session
            })
        }))
    }

    /// The live session that has or had this proof, and how the proof stands.
    ///
    /// A rotation by a server whose clock is a little ahead is waited out, so that its previous proof
    /// is not taken for a replay.
    async fn find_by_proof(
        &self,
        operation: &'static str,
        proof: &str,
        arrived: Timestamp,
    ) -> Result<Option<(ProofStanding, Box<JtsSession>)>> {
        if !StateProof::accepts(proof) {
            return Ok(None);
        }
        let queries = &self.queries().jts;
        let mut waited = false;
        loop {
            let now = self.now().into();
            let query = &queries.find_by_current_proof;
            let mut answer = self.run(operation, query, &[proof.into(), now]).await?;
            // The current proof is what is presented nearly always.
            if answer.rows.is_empty() {
                let digest = proof_digest(proof);
                let params = [proof.into(), now, Param::Bytes(&digest), now];
                answer = self
                    .run(operation, &queries.find_by_older_proof, &params)
                    .await?;
            }
            let Some(row) = answer.rows.first_mut() else {
                return Ok(None);
            };
            let session = mapping::jts_session(row).map_err(|error| at(operation, error))?;
            // The clock is read after the row, so that time can't seem to run backwards.
            let at = judged_at(&session, arrived, self.now());
            match judge_proof(&session, proof, at, self.settings().rotation_grace) {
                ProofStanding::FromTheFuture(gap) if gap <= MAX_CLOCK_SKEW && !waited => {
                    tokio::time::sleep(gap).await;
                    waited = true;
                }
                standing => return Ok(Some((standing, Box::new(session)))),
            }
        }
    }
}
