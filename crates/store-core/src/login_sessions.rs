//! Login sessions of a web front end, with row locks for refreshing tokens once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backoff::Backoff;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::identifiers::{LockToken, LoginSessionId};

/// The properties of a login session.
pub type LoginData = Map<String, Value>;

/// A login session. `Debug` shows the names of its properties, not their values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LoginSession {
    /// Its id, chosen by the caller. Whoever knows it has the session.
    pub id: LoginSessionId,
    /// Its properties, up to [`MAX_PAYLOAD_BYTES`](crate::MAX_PAYLOAD_BYTES) in all.
    pub data: LoginData,
    /// When it expires.
    pub expires_at: Timestamp,
    /// 1 at first, and one more at each change of `data`.
    pub version: u64,
}

impl fmt::Debug for LoginSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSession")
            .field("properties", &self.data.keys().collect::<Vec<_>>())
            .field("expires_at", &self.expires_at)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What came of an attempt to lock a login session.
#[derive(Clone, Debug, PartialEq)]
pub enum LockOutcome {
    /// The caller has the lock.
    Acquired {
        /// What the holder shows to write under the lock and to release it.
        token: LockToken,
        /// The session as it is under the lock.
        session: LoginSession,
        /// When the next caller may take the lock over.
        until: Timestamp,
    },
    /// Somebody else has the lock.
    Held {
        /// When it can be taken over at the latest.
        until: Timestamp,
    },
    /// The verification property is no longer what the caller saw, so somebody else did already
    /// what the lock was wanted for.
    Superseded {
        /// The session as it is now.
        session: LoginSession,
    },
}

/// The lock on a stored session. For backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockState {
    /// When it can be taken over.
    pub until: Timestamp,
}

/// Why a lock was not acquired. For backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockDecision {
    /// It can be acquired.
    Free,
    /// The verification property is no longer what the caller saw.
    Superseded,
    /// Somebody else has it until then.
    Held(Timestamp),
}

/// The rule for locking a session with these properties. For backends.
///
/// A changed verification property is told even while the lock is held: whoever waits for the lock
/// only to find the work done need not wait.
#[must_use]
pub fn judge_lock(
    data: &LoginData,
    property: &str,
    expected: &str,
    lock: Option<LockState>,
    now: Timestamp,
) -> LockDecision {
    if data.get(property).and_then(Value::as_str) != Some(expected) {
        return LockDecision::Superseded;
    }
    match lock {
        Some(lock) if lock.until > now => LockDecision::Held(lock.until),
        _ => LockDecision::Free,
    }
}

/// Keeps login sessions.
///
/// Writes say what they expect: [`save`](Self::save_login_session) the version it replaces, the
/// others nothing but that the session lives. Each may also be *fenced* by a lock token: it then
/// changes nothing unless the token is still the lock holder's. A lock does not stop writes without
/// a token.
#[async_trait]
pub trait LoginSessionStore: Send + Sync {
    /// Creates a session with version 1.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if a live one has this id,
    /// [`InvalidInput`](ErrorKind::InvalidInput) for data over the limit or a lifetime out of range.
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession>;

    /// The live session with this id, or `None`, also for a malformed id.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if what is stored does not decode.
    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>>;

    /// Replaces the data of the session if it still has `session.version`, and returns the new
    /// version. The stored expiry stays unless a `lifetime` from now is given; `session.expires_at`
    /// is not looked at, so that a save never undoes an extension.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if no live session has this id (it is never re-created),
    /// [`LockLost`](ErrorKind::LockLost) if `fence` is no longer the holder's,
    /// [`Conflict`](ErrorKind::Conflict) if the version moved: load again,
    /// [`InvalidInput`](ErrorKind::InvalidInput) for data over the limit or a lifetime out of range.
    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64>;

    /// Sets these properties, leaves all others as they are, and returns the new version. Of two
    /// calls at once both take effect. The way to write under a lock, since it can't conflict.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`LockLost`](ErrorKind::LockLost), and
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the session's data would exceed the limit.
    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64>;

    /// Removes these properties, leaves all others as they are, and returns the new version.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) and [`LockLost`](ErrorKind::LockLost).
    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64>;

    /// Lets the session expire `lifetime` from now, sooner or later than before, and returns when.
    /// The version stays.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), and [`InvalidInput`](ErrorKind::InvalidInput) for a
    /// lifetime out of range.
    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp>;

    /// Deletes the session, whoever has its lock, and tells whether a live one existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn destroy_login_session(&self, id: &str) -> Result<bool>;

    /// Tries to take the lock of a session whose verification property
    /// ([`Settings::lock_verification_property`](crate::Settings::lock_verification_property)) is
    /// the string `expected`. No connection is held while the lock is.
    ///
    /// A lock that is never released can be taken over after
    /// [`Settings::max_lock_time`](crate::Settings::max_lock_time).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if no live session has this id.
    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome>;

    /// Releases the lock.
    ///
    /// # Errors
    /// [`LockLost`](ErrorKind::LockLost) if the token is no longer the holder's: the lock was
    /// released, or taken over after [`Settings::max_lock_time`](crate::Settings::max_lock_time);
    /// [`NotFound`](ErrorKind::NotFound) if no live session has this id.
    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()>;
}

/// The waiting form of [`LoginSessionStore::lock_login_session`], on every store.
#[async_trait]
pub trait LoginSessionStoreExt: LoginSessionStore {
    /// Tries to take the lock until it is acquired or superseded, or `patience` is over. Between
    /// attempts it pauses with jitter, holding nothing.
    ///
    /// # Errors
    /// [`Locked`](ErrorKind::Locked) when `patience` is over, and those of
    /// [`lock_login_session`](LoginSessionStore::lock_login_session).
    async fn lock_login_session_within(
        &self,
        id: &str,
        expected: &str,
        patience: Duration,
    ) -> Result<LockOutcome> {
        // A day is patience enough for any lock, and more could overflow.
        let patience = patience.min(Duration::from_secs(24 * 3600));
        let deadline = tokio::time::Instant::now() + patience;
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(250));
        loop {
            match self.lock_login_session(id, expected).await? {
                LockOutcome::Held { until } => {
                    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                    if left.is_zero() {
                        let message = format!("somebody else may hold the lock until {until}");
                        return Err(Error::new(ErrorKind::Locked, message)
                            .at("", "lock_login_session_within")
                            .retryable());
                    }
                    tokio::time::sleep(backoff.next_pause().min(left)).await;
                }
                outcome => return Ok(outcome),
            }
        }
    }
}

impl<S: LoginSessionStore + ?Sized> LoginSessionStoreExt for S {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lock_is_free_held_or_superseded() {
        let data = json!({"refresh_token": "r1", "n": 1});
        let data = data.as_object().unwrap();
        let at = Timestamp::from_unix_millis;
        let judge = |expected, lock: Option<i64>| {
            let lock = lock.map(|until| LockState { until: at(until) });
            judge_lock(data, "refresh_token", expected, lock, at(1_000))
        };
        assert_eq!(judge("r1", None), LockDecision::Free);
        assert_eq!(judge("r1", Some(1_000)), LockDecision::Free);
        assert_eq!(judge("r1", Some(1_001)), LockDecision::Held(at(1_001)));
        assert_eq!(judge("r0", Some(1_001)), LockDecision::Superseded);
        assert_eq!(
            judge_lock(data, "n", "1", None, at(0)),
            LockDecision::Superseded
        );
    }

    #[test]
    fn debug_shows_no_values() {
        let session = LoginSession {
            id: "id-hunter2".parse().unwrap(),
            data: json!({"refresh_token": "hunter2"})
                .as_object()
                .unwrap()
                .clone(),
            expires_at: Timestamp::MAX,
            version: 1,
        };
        assert!(!format!("{session:?}").contains("hunter2"));
    }
}
