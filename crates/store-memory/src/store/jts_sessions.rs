//! JTS sessions.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Aid, CleanupKind, CreatedJtsSession, Error, ErrorKind, JtsSession, JtsSessionStore,
    MAX_CLOCK_SKEW, MAX_METADATA_BYTES, NewJtsSession, ProofStanding, Renewal, Result,
    SessionPolicy, StateProof, StateProofStatus, StoredJtsSession, Timestamp, encode, expiry,
    judge_proof, proof_digest,
};

use super::{BACKEND, MemoryStore, not_found};
use crate::table::Table;

type Digest = [u8; 32];

/// Sessions by anchor id, with an index by every proof that each ever had and one by principal.
#[derive(Default)]
pub(super) struct JtsSessions {
    rows: Table<Arc<str>, Row>,
    by_proof: HashMap<Digest, Arc<str>>,
    /// In the order of creation, then of anchor ids.
    by_principal: HashMap<Box<str>, BTreeSet<(Timestamp, Arc<str>)>>,
}

struct Row {
    session: JtsSession,
    /// The digests of all proofs that it ever had. They die with it.
    proofs: Vec<Digest>,
}

/// What to do about a presented proof: the answer, or how long to wait before looking again.
enum Judged<T> {
    Answer(T),
    TooEarly(Duration),
}

impl JtsSessions {
    fn get(&self, aid: &str, now: Timestamp) -> Option<&JtsSession> {
        self.rows.get(aid, now).map(|row| &row.session)
    }

    fn get_by_proof(&self, proof: &str, now: Timestamp) -> Option<&JtsSession> {
        self.get(self.by_proof.get(&proof_digest(proof))?, now)
    }

    /// The live sessions of a principal, oldest first.
    fn of_principal(&self, prn: &str, now: Timestamp) -> impl Iterator<Item = &JtsSession> {
        let aids = self.by_principal.get(prn).into_iter().flatten();
        aids.filter_map(move |(_, aid)| self.get(aid, now))
    }

    fn create(&mut self, session: &JtsSession, policy: SessionPolicy, now: Timestamp) -> Vec<Aid> {
        let mut revoked = Vec::new();
        if let Some(limit) = policy.limit() {
            let others = self.of_principal(session.prn.as_str(), now);
            revoked.extend(others.map(|other| other.aid.clone()));
            let excess = (revoked.len() + 1).saturating_sub(limit as usize);
            revoked.truncate(excess);
        }
        for aid in &revoked {
            self.remove(aid.as_str());
        }
        self.insert(session.clone(), now);
        revoked
    }

    fn insert(&mut self, session: JtsSession, now: Timestamp) {
        let aid: Arc<str> = session.aid.as_str().into();
        let proof = proof_digest(session.current_state_proof.as_str());
        self.by_proof.insert(proof, Arc::clone(&aid));
        let principal = self.by_principal.entry(session.prn.as_str().into());
        let aids = principal.or_default();
        aids.insert((session.created_at, Arc::clone(&aid)));
        let expires_at = session.expires_at;
        let proofs = vec![proof];
        let added = self.rows.add(aid, Row { session, proofs }, expires_at, now);
        assert!(added, "anchor ids are random and never made twice");
    }

    pub(super) fn live(&self, now: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        self.rows.live(now)
    }

    /// The live session with this anchor id and what is known of its proofs.
    pub(super) fn stored(&self, aid: &str, now: Timestamp) -> Option<StoredJtsSession> {
        let row = &self.rows.get(aid, now)?.value;
        let proofs = row.proofs.iter().copied();
        Some(StoredJtsSession::new(row.session.clone(), proofs))
    }

    /// Adds a session as it is, whose anchor id no live one has.
    pub(super) fn place(&mut self, stored: StoredJtsSession, now: Timestamp) {
        let aid: Arc<str> = stored.session.aid.as_str().into();
        self.remove(&aid);
        self.insert(stored.session, now);
        for digest in &stored.retired_proofs {
            self.by_proof.insert(*digest, Arc::clone(&aid));
        }
        if let Some(row) = self.rows.get_mut(&aid, now) {
            row.proofs.extend(stored.retired_proofs);
        }
    }

    /// Removes a session, live or expired, from the rows and all indexes.
    fn remove(&mut self, aid: &str) -> Option<JtsSession> {
        let row = self.rows.remove(aid)?;
        let expires_at = row.expires_at;
        let Row { session, proofs } = row.value;
        debug_assert_eq!(expires_at, session.expires_at);
        for proof in proofs {
            self.by_proof.remove(&proof);
        }
        if let Some(aids) = self.by_principal.get_mut(session.prn.as_str()) {
            aids.remove(&(session.created_at, aid.into()));
            if aids.is_empty() {
                self.by_principal.remove(session.prn.as_str());
            }
        }
        Some(session)
    }

    /// Gives the live session with this anchor id a new proof.
    fn rotate(&mut self, aid: &str, now: Timestamp) -> Option<JtsSession> {
        let row = self.rows.get_mut(aid, now)?;
        let session = &mut row.session;
        let new = StateProof::generate();
        let digest = proof_digest(new.as_str());
        let old = std::mem::replace(&mut session.current_state_proof, new);
        session.previous_state_proof = Some(old);
        session.state_proof_version = session.state_proof_version.saturating_add(1);
        session.rotation_timestamp = Some(now);
        session.last_active = session.last_active.max(now);
        row.proofs.push(digest);
        let rotated = session.clone();
        self.by_proof.insert(digest, rotated.aid.as_str().into());
        Some(rotated)
    }

    fn validate(
        &self,
        proof: &str,
        now: Timestamp,
        grace: Duration,
        skew: Duration,
    ) -> Judged<StateProofStatus> {
        let Some(session) = self.get_by_proof(proof, now) else {
            return Judged::Answer(StateProofStatus::Unknown);
        };
        Judged::Answer(match judge_proof(session, proof, now, grace) {
            ProofStanding::Current => StateProofStatus::Valid(Box::new(session.clone())),
            ProofStanding::WithinGrace => {
                StateProofStatus::ValidWithinGrace(Box::new(session.clone()))
            }
            ProofStanding::FromTheFuture(ahead) if ahead <= skew => return Judged::TooEarly(ahead),
            ProofStanding::FromTheFuture(_) | ProofStanding::Retired => {
                StateProofStatus::Compromised {
                    aid: session.aid.clone(),
                    prn: session.prn.clone(),
                }
            }
        })
    }

    fn renew(
        &mut self,
        proof: &str,
        now: Timestamp,
        grace: Duration,
        skew: Duration,
    ) -> Judged<Renewal> {
        let status = match self.validate(proof, now, grace, skew) {
            Judged::Answer(status) => status,
            Judged::TooEarly(ahead) => return Judged::TooEarly(ahead),
        };
        Judged::Answer(match status {
            StateProofStatus::Valid(session) => {
                let rotated = self.rotate(session.aid.as_str(), now);
                rotated.map_or(Renewal::Unknown, |session| {
                    Renewal::Rotated(Box::new(session))
                })
            }
            StateProofStatus::ValidWithinGrace(session) => Renewal::Converged(session),
            StateProofStatus::Compromised { aid, prn } => {
                self.remove(aid.as_str());
                Renewal::Compromised { aid, prn }
            }
            StateProofStatus::Unknown => Renewal::Unknown,
        })
    }

    pub(super) fn reap(&mut self, now: Timestamp, limit: u32) -> u64 {
        let mut reaped = 0;
        while reaped < u64::from(limit) {
            let Some(aid) = self.rows.first_expired(now) else {
                break;
            };
            self.remove(&aid);
            reaped += 1;
        }
        reaped
    }

    /// How many rows, proofs and principals are kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 3] {
        let (proofs, principals) = (self.by_proof.len(), self.by_principal.len());
        [self.rows.len(), proofs, principals]
    }
}

impl MemoryStore {
    /// Judges a presented proof, and once more if it was retired a moment ahead of this clock. The
    /// last argument of `judge` is how far ahead that may be.
    async fn judge<T>(
        &self,
        operation: &'static str,
        judge: impl Fn(&mut JtsSessions, Timestamp, Duration) -> Judged<T>,
    ) -> Result<T> {
        let attempt = |skew| {
            self.step(operation, |state, now| {
                Ok(judge(&mut state.jts_sessions, now, skew))
            })
        };
        let mut judged = attempt(MAX_CLOCK_SKEW)?;
        loop {
            match judged {
                Judged::Answer(answer) => return Ok(answer),
                Judged::TooEarly(ahead) => tokio::time::sleep(ahead).await,
            }
            judged = attempt(Duration::ZERO)?;
        }
    }
}

#[async_trait]
impl JtsSessionStore for MemoryStore {
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        const OPERATION: &str = "create_jts_session";
        if let Some(metadata) = &session.metadata {
            encode("metadata", metadata, MAX_METADATA_BYTES)
                .map_err(|error| error.at(BACKEND, OPERATION))?;
        }
        let default = self.settings().jts_session_lifetime;
        let lifetime = session.lifetime.unwrap_or(default);
        self.adding_step(OPERATION, CleanupKind::JtsSessions, |state, now| {
            let session = session.start(now, expiry(now, lifetime)?);
            let revoked = state.jts_sessions.create(&session, policy, now);
            Ok(CreatedJtsSession { session, revoked })
        })
    }

    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        self.step("get_jts_session", |state, now| {
            Ok(state.jts_sessions.get(aid, now).cloned())
        })
    }

    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        let grace = self.settings().rotation_grace;
        self.judge("validate_state_proof", |sessions, now, skew| {
            sessions.validate(proof, now, grace, skew)
        })
        .await
    }

    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        let grace = self.settings().rotation_grace;
        self.step("rotate_state_proof", |state, now| {
            let no_session = || not_found("no live session has this anchor id");
            let sessions = &mut state.jts_sessions;
            let session = sessions.get(aid, now).ok_or_else(no_session)?;
            if judge_proof(session, seen, now, grace) != ProofStanding::Current {
                let message = "this is not the session's current proof";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            sessions.rotate(aid, now).ok_or_else(no_session)
        })
    }

    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal> {
        let grace = self.settings().rotation_grace;
        self.judge("renew_state_proof", |sessions, now, skew| {
            sessions.renew(proof, now, grace, skew)
        })
        .await
    }

    async fn touch_jts_session(&self, aid: &str) -> Result<bool> {
        self.step("touch_jts_session", |state, now| {
            let row = state.jts_sessions.rows.get_mut(aid, now);
            Ok(row.is_some_and(|row| {
                row.session.last_active = row.session.last_active.max(now);
                true
            }))
        })
    }

    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        self.step("delete_jts_session", |state, now| {
            let removed = state.jts_sessions.remove(aid);
            Ok(removed.is_some_and(|session| session.expires_at > now))
        })
    }

    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        self.step("delete_jts_sessions", |state, now| {
            let sessions = &mut state.jts_sessions;
            let live = sessions.of_principal(prn, now).count() as u64;
            let all = sessions.by_principal.get(prn).cloned();
            for (_, aid) in all.into_iter().flatten() {
                sessions.remove(&aid);
            }
            Ok(live)
        })
    }

    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        self.step("list_jts_sessions", |state, now| {
            let sessions = state.jts_sessions.of_principal(prn, now);
            let mut sessions: Vec<_> = sessions.cloned().collect();
            sessions.sort_by_key(|session| (Reverse(session.last_active), session.aid.clone()));
            Ok(sessions)
        })
    }

    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        self.step("count_jts_sessions", |state, now| {
            Ok(state.jts_sessions.of_principal(prn, now).count() as u64)
        })
    }

    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool> {
        self.step("delete_oldest_jts_session", |state, now| {
            let sessions = &mut state.jts_sessions;
            let oldest = sessions.of_principal(prn, now).next();
            let oldest = oldest.map(|session| session.aid.clone());
            Ok(oldest.is_some_and(|aid| sessions.remove(aid.as_str()).is_some()))
        })
    }
}
