//! Sessions of the Janus Token System: an anchor id, and a state proof that rotates.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::{Aid, DeviceFingerprint, IpAddress, Principal, StateProof, UserAgent};
use crate::json::Json;

/// A JTS session.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JtsSession {
    /// The anchor id.
    pub aid: Aid,
    /// Whose session it is.
    pub prn: Principal,
    /// The proof that is valid now.
    pub current_state_proof: StateProof,
    /// The proof before it, accepted within the grace window after the rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_state_proof: Option<StateProof>,
    /// 1 at first, and one more at each rotation.
    pub state_proof_version: u32,
    /// When the proof was rotated last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_timestamp: Option<Timestamp>,
    /// A fingerprint of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_fingerprint: Option<DeviceFingerprint>,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was used last.
    pub last_active: Timestamp,
    /// The `User-Agent` it was created by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<UserAgent>,
    /// The address it was created from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddress>,
    /// Anything else that the application keeps with it, up to
    /// [`MAX_METADATA_BYTES`](crate::MAX_METADATA_BYTES).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

impl fmt::Debug for JtsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JtsSession")
            .field("aid", &self.aid)
            .field("prn", &self.prn)
            .field("state_proof_version", &self.state_proof_version)
            .field("rotation_timestamp", &self.rotation_timestamp)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("last_active", &self.last_active)
            .finish_non_exhaustive()
    }
}

/// A session to create.
#[derive(Clone, Debug)]
pub struct NewJtsSession {
    /// Whose session it is.
    pub prn: Principal,
    /// How long it lives, or `None` for
    /// [`Settings::jts_session_lifetime`](crate::Settings::jts_session_lifetime).
    pub lifetime: Option<Duration>,
    /// A fingerprint of the device.
    pub device_fingerprint: Option<DeviceFingerprint>,
    /// The `User-Agent` that asks.
    pub user_agent: Option<UserAgent>,
    /// The address it asks from.
    pub ip_address: Option<IpAddress>,
    /// Anything else to keep with it, up to [`MAX_METADATA_BYTES`](crate::MAX_METADATA_BYTES).
    pub metadata: Option<Json>,
}

impl NewJtsSession {
    /// A session of `prn` with nothing else said.
    #[must_use]
    pub fn of(prn: Principal) -> Self {
        Self {
            prn,
            lifetime: None,
            device_fingerprint: None,
            user_agent: None,
            ip_address: None,
            metadata: None,
        }
    }

    /// The session that this becomes, with a new anchor id and state proof. For backends.
    #[must_use]
    pub fn start(self, now: Timestamp, expires_at: Timestamp) -> JtsSession {
        JtsSession {
            aid: Aid::generate(),
            prn: self.prn,
            current_state_proof: StateProof::generate(),
            previous_state_proof: None,
            state_proof_version: 1,
            rotation_timestamp: None,
            device_fingerprint: self.device_fingerprint,
            created_at: now,
            expires_at,
            last_active: now,
            user_agent: self.user_agent,
            ip_address: self.ip_address,
            metadata: self.metadata,
        }
    }
}

/// How many sessions a principal may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPolicy {
    /// Any number.
    AllowAll,
    /// One: all others are revoked.
    Single,
    /// This many: the oldest are revoked until it holds.
    Max(NonZeroU32),
}

impl SessionPolicy {
    /// The greatest number of live sessions after a creation, or `None` for any number.
    #[must_use]
    pub fn limit(self) -> Option<u32> {
        match self {
            Self::AllowAll => None,
            Self::Single => Some(1),
            Self::Max(n) => Some(n.get()),
        }
    }
}

/// A session that was created, and those that its policy revoked for it.
#[derive(Clone, Debug)]
pub struct CreatedJtsSession {
    /// The new session.
    pub session: JtsSession,
    /// The sessions revoked in the same step, oldest first.
    pub revoked: Vec<Aid>,
}

/// What a state proof is worth.
#[derive(Clone, Debug, PartialEq)]
pub enum StateProofStatus {
    /// The current proof of this session.
    Valid(Box<JtsSession>),
    /// The previous proof of this session, rotated less than the grace window ago.
    ValidWithinGrace(Box<JtsSession>),
    /// A proof of this session that was retired earlier: somebody replays it.
    Compromised {
        /// The session it belonged to.
        aid: Aid,
        /// Whose session that is.
        prn: Principal,
    },
    /// No live session has or had this proof.
    Unknown,
}

impl StateProofStatus {
    /// The JTS error that a server answers with, or `None` for a valid proof.
    #[must_use]
    pub fn error_code(&self) -> Option<JtsErrorCode> {
        match self {
            Self::Valid(_) | Self::ValidWithinGrace(_) => None,
            Self::Compromised { .. } => Some(JtsErrorCode::SessionCompromised),
            Self::Unknown => Some(JtsErrorCode::StateProofInvalid),
        }
    }
}

/// What came of a renewal.
#[derive(Clone, Debug, PartialEq)]
pub enum Renewal {
    /// The proof was current: this is the session with its new one.
    Rotated(Box<JtsSession>),
    /// The proof was the previous one within grace: this is the session with the current proof that
    /// another request was given.
    Converged(Box<JtsSession>),
    /// The proof had been retired: the session was revoked.
    Compromised {
        /// The session that was revoked.
        aid: Aid,
        /// Whose session it was.
        prn: Principal,
    },
    /// No live session has or had this proof.
    Unknown,
}

impl Renewal {
    /// The JTS error that a server answers with, or `None` for a renewed session.
    #[must_use]
    pub fn error_code(&self) -> Option<JtsErrorCode> {
        match self {
            Self::Rotated(_) | Self::Converged(_) => None,
            Self::Compromised { .. } => Some(JtsErrorCode::SessionCompromised),
            Self::Unknown => Some(JtsErrorCode::StateProofInvalid),
        }
    }
}

/// The JTS error codes that a session store gives rise to (JTS specification, "Error codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JtsErrorCode {
    /// `JTS-401-03`: the state proof is unknown.
    StateProofInvalid,
    /// `JTS-401-04`: the session was terminated; what an application answers when a token's anchor
    /// id has no live session.
    SessionTerminated,
    /// `JTS-401-05`: a retired state proof was replayed.
    SessionCompromised,
}

impl JtsErrorCode {
    /// The code as JTS spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StateProofInvalid => "JTS-401-03",
            Self::SessionTerminated => "JTS-401-04",
            Self::SessionCompromised => "JTS-401-05",
        }
    }
}

impl fmt::Display for JtsErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a presented proof relates to a session that was found by it. For backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofStanding {
    /// It is the current proof.
    Current,
    /// It is the previous proof, within grace.
    WithinGrace,
    /// The rotation that retired it lies this far ahead of this process's clock. Wait that long and
    /// look again, if it is short enough for two servers' clocks to differ by; else it is retired.
    FromTheFuture(Duration),
    /// It was retired earlier.
    Retired,
}

/// The rule for a `presented` proof of `session`, which current, previous or older proofs share.
/// Proofs are compared in constant time. For backends.
///
/// The grace window is `rotation ≤ now < rotation + grace`: a clock that steps back never widens it.
#[must_use]
pub fn judge_proof(
    session: &JtsSession,
    presented: &str,
    now: Timestamp,
    grace: Duration,
) -> ProofStanding {
    let is = |proof: &StateProof| bool::from(proof.as_str().as_bytes().ct_eq(presented.as_bytes()));
    if is(&session.current_state_proof) {
        return ProofStanding::Current;
    }
    let rotated_at = match (&session.previous_state_proof, session.rotation_timestamp) {
        (Some(previous), Some(rotated_at)) if is(previous) => rotated_at,
        _ => return ProofStanding::Retired,
    };
    match now.since(rotated_at) {
        Some(elapsed) if elapsed < grace => ProofStanding::WithinGrace,
        Some(_) => ProofStanding::Retired,
        None => ProofStanding::FromTheFuture(rotated_at.since(now).unwrap_or_default()),
    }
}

/// The instant that a proof which arrived at `arrived` is judged at, when the session was read at
/// `now`. For backends.
///
/// A caller that waited for a connection, or for the very rotation that retired its proof, came in time
/// if it did when it arrived. An instant before the rotation counts as the rotation's, unless the clock
/// still shows one: then it has stepped back.
#[must_use]
pub fn judged_at(session: &JtsSession, arrived: Timestamp, now: Timestamp) -> Timestamp {
    match session.rotation_timestamp {
        Some(rotated_at) if now >= rotated_at => arrived.max(rotated_at),
        _ => now,
    }
}

/// What a store remembers of a retired proof: its SHA-256, so that a stolen database gives no proofs
/// away. For backends.
#[must_use]
pub fn proof_digest(proof: &str) -> [u8; 32] {
    Sha256::digest(proof.as_bytes()).into()
}

/// How far two servers' clocks may differ before [`ProofStanding::FromTheFuture`] counts as retired.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_millis(250);

/// Keeps JTS sessions.
#[async_trait]
pub trait JtsSessionStore: Send + Sync {
    /// Creates a session under a policy, which holds however many are created at once.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for metadata over its limit or a lifetime
    /// out of range.
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession>;

    /// The live session with this anchor id, or `None`
    /// ([`SessionTerminated`](JtsErrorCode::SessionTerminated) to a JTS client).
    ///
    /// # Errors
    /// Those of the connection only.
    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>>;

    /// What a state proof is worth. Changes nothing; prefer [`renew`](Self::renew_state_proof).
    ///
    /// # Errors
    /// Those of the connection only.
    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus>;

    /// Replaces the current proof, if it is `seen`, by a new one, marks the session as active now, and
    /// returns it as stored. Of several rotations from the same proof exactly one succeeds.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if no live session has this anchor id,
    /// [`Conflict`](crate::ErrorKind::Conflict) if `seen` is not its current proof.
    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession>;

    /// Validates and rotates in one atomic step; the operation that applications should call.
    ///
    /// - Current proof: rotates it.
    /// - Previous proof within grace: returns the session with its current proof and rotates
    ///   nothing, so that parallel tabs converge.
    /// - Retired proof: revokes the session.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal>;

    /// Marks a live session as active now and tells whether there was one. Never moves back.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn touch_jts_session(&self, aid: &str) -> Result<bool>;

    /// Deletes a session and tells whether a live one existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_jts_session(&self, aid: &str) -> Result<bool>;

    /// Deletes all sessions of a principal and tells how many were live.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64>;

    /// The live sessions of a principal, most recently active first, then by anchor id.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>>;

    /// How many live sessions a principal has.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn count_jts_sessions(&self, prn: &str) -> Result<u64>;

    /// Deletes the live session of a principal that was created first, then by anchor id, and tells
    /// whether there was one.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn the_grace_window_is_half_open_and_never_widens() {
        let start = Timestamp::from_unix_millis(1_000_000);
        let mut session = NewJtsSession::of("alice".parse().unwrap()).start(start, Timestamp::MAX);
        let old = session.current_state_proof.clone();
        let judge = |session: &JtsSession, now| judge_proof(session, old.as_str(), now, GRACE);
        assert_eq!(judge(&session, start), ProofStanding::Current);

        session.previous_state_proof = Some(old.clone());
        session.current_state_proof = StateProof::generate();
        assert_eq!(
            judge(&session, start),
            ProofStanding::Retired,
            "no rotation time"
        );

        session.rotation_timestamp = Some(start);
        assert_eq!(judge(&session, start), ProofStanding::WithinGrace);
        let last = Timestamp::from_unix_millis(1_009_999);
        assert_eq!(judge(&session, last), ProofStanding::WithinGrace);
        let end = Timestamp::from_unix_millis(1_010_000);
        assert_eq!(judge(&session, end), ProofStanding::Retired);
        let stepped_back = Timestamp::from_unix_millis(999_000);
        let skew = Duration::from_secs(1);
        assert_eq!(
            judge(&session, stepped_back),
            ProofStanding::FromTheFuture(skew)
        );
    }

    #[test]
    fn who_waited_is_judged_as_of_its_arrival() {
        let at = Timestamp::from_unix_millis;
        let mut session = NewJtsSession::of("alice".parse().unwrap()).start(at(0), Timestamp::MAX);
        session.rotation_timestamp = Some(at(100));
        assert_eq!(
            judged_at(&session, at(90), at(99_999)),
            at(100),
            "it waited for the rotation"
        );
        assert_eq!(judged_at(&session, at(150), at(99_999)), at(150));
        assert_eq!(
            judged_at(&session, at(50), at(50)),
            at(50),
            "the clock stepped back"
        );
    }

    #[test]
    fn debug_holds_no_proof() {
        let session =
            NewJtsSession::of("alice".parse().unwrap()).start(Timestamp::MIN, Timestamp::MAX);
        assert!(!format!("{session:?}").contains("sp_"));
    }
}
