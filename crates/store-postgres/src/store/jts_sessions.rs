//! Sessions of the Janus Token System.

use async_trait::async_trait;
use store_core::{
    Aid, CreatedJtsSession, Error, ErrorKind, JtsSession, JtsSessionStore, MAX_CLOCK_SKEW,
    MAX_METADATA_BYTES, NewJtsSession, Principal, ProofStanding, Renewal, Result, SessionPolicy,
    StateProof, StateProofStatus, Timestamp, encode, expiry, judge_proof, judged_at, proof_digest,
};

use tokio_postgres::types::ToSql;

use super::{PostgresStore, at};
use crate::mapping::{self, At, JsonText};

/// How often a step is looked at again because somebody else changed the session in between.
const LOOKS: u32 = 8;

#[async_trait]
impl JtsSessionStore for PostgresStore {
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

        let insert = &self.queries().jts.create_jts_session;
        let prn = session.prn.as_str();
        let row: [&(dyn ToSql + Sync); 9] = [
            &session.aid.as_str(),
            &prn,
            &session.current_state_proof.as_str(),
            &At(now),
            &At(expires_at),
            &session
                .device_fingerprint
                .as_ref()
                .map(|text| text.as_str()),
            &session.user_agent.as_ref().map(|text| text.as_str()),
            &session.ip_address.as_ref().map(|text| text.as_str()),
            &metadata.as_deref().map(JsonText),
        ];
        let Some(limit) = policy.limit() else {
            self.run(OPERATION, insert, &row).await?;
            let revoked = Vec::new();
            return Ok(CreatedJtsSession { session, revoked });
        };
        let lock = &self.queries().jts.lock_principal;
        let revoke = &self.queries().jts.revoke_oldest;
        let kept = i64::from(limit - 1);
        let answers = self
            .inner
            .executor
            .run_together(&[
                (lock, &[&prn]),
                (revoke, &[&prn, &At(now), &kept]),
                (insert, &row),
            ])
            .await
            .map_err(|error| at(OPERATION, error))?;
        let revoked = answers.get(1).map(|answer| &answer.rows[..]);
        let revoked = revoked.unwrap_or_default().iter();
        let revoked = revoked
            .map(|row| mapping::text(row, 0))
            .collect::<Result<_>>()
            .map_err(|error| at(OPERATION, error))?;
        Ok(CreatedJtsSession { session, revoked })
    }

    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        if !Aid::accepts(aid) {
            return Ok(None);
        }
        let query = &self.queries().jts.get_jts_session;
        let answer = self
            .run("get_jts_session", query, &[&aid, &At(self.now())])
            .await?;
        let session = answer.rows.first().map(mapping::jts_session).transpose();
        session.map_err(|error| at("get_jts_session", error))
    }

    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        const OPERATION: &str = "validate_state_proof";
        if !StateProof::accepts(proof) {
            return Ok(StateProofStatus::Unknown);
        }
        let arrived = self.now();
        // Nearly every proof is current, and this statement is the cheaper one.
        let query = &self.queries().jts.find_by_current_proof;
        let answer = self.run(OPERATION, query, &[&proof, &At(arrived)]).await?;
        if let Some(row) = answer.rows.first() {
            let session = mapping::jts_session(row).map_err(|error| at(OPERATION, error))?;
            let grace = self.settings().rotation_grace;
            if judge_proof(&session, proof, arrived, grace) == ProofStanding::Current {
                return Ok(StateProofStatus::Valid(Box::new(session)));
            }
        }
        let found = self.find_by_proof(OPERATION, proof, arrived).await?;
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
        let answer = self
            .run("touch_jts_session", query, &[&aid, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }

    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        if !Aid::accepts(aid) {
            return Ok(false);
        }
        let query = &self.queries().jts.delete_jts_session;
        let answer = self
            .run("delete_jts_session", query, &[&aid, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }

    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        if !Principal::accepts(prn) {
            return Ok(0);
        }
        let query = &self.queries().jts.delete_jts_sessions;
        let answer = self
            .run("delete_jts_sessions", query, &[&prn, &At(self.now())])
            .await?;
        Ok(answer.changed)
    }

    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        if !Principal::accepts(prn) {
            return Ok(Vec::new());
        }
        let query = &self.queries().jts.list_jts_sessions;
        let answer = self
            .run("list_jts_sessions", query, &[&prn, &At(self.now())])
            .await?;
        let sessions = answer.rows.iter().map(mapping::jts_session);
        sessions
            .collect::<Result<_>>()
            .map_err(|error| at("list_jts_sessions", error))
    }

    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        if !Principal::accepts(prn) {
            return Ok(0);
        }
        let query = &self.queries().jts.count_jts_sessions;
        let answer = self
            .run("count_jts_sessions", query, &[&prn, &At(self.now())])
            .await?;
        let count = answer
            .rows
            .first()
            .map(|row| mapping::column::<i64>(row, 0));
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
        let answer = self
            .run("delete_oldest_jts_session", query, &[&prn, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }
}

impl PostgresStore {
    /// Replaces `seen` by a new proof where it is current; of the session `aid` if one is named.
    async fn rotate(
        &self,
        operation: &'static str,
        aid: Option<&str>,
        seen: &str,
    ) -> Result<Option<Box<JtsSession>>> {
        let fresh = StateProof::generate();
        let query = &self.queries().jts.rotate;
        let answer = self
            .run(
                operation,
                query,
                &[&seen, &fresh.as_str(), &At(self.now()), &aid],
            )
            .await?;
        let session = answer.rows.first().map(mapping::jts_session).transpose();
        session
            .map(|session| session.map(Box::new))
            .map_err(|error| at(operation, error))
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
        let digest = &proof_digest(proof)[..];
        let query = &self.queries().jts.find_by_proof;
        let mut waited = false;
        loop {
            let answer = self
                .run(operation, query, &[&proof, &At(self.now()), &digest])
                .await?;
            let Some(row) = answer.rows.first() else {
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
