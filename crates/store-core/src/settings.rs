//! What an application can choose about a store's behaviour, the same on every backend.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Error, Result};

/// Lifetimes, windows and the clock of a store.
///
/// All processes that share a database should use the same settings.
///
/// ```
/// use std::time::Duration;
/// use store_core::Settings;
///
/// let settings = Settings { nonce_lifetime: Duration::from_secs(3600), ..Settings::default() };
/// assert_eq!(settings.rotation_grace, Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `now` comes from. The system's clock by default.
    pub clock: Arc<dyn Clock>,
    /// How long a nonce can be consumed. 600 s by default. Let it outlive the tokens that carry it:
    /// a nonce forgotten before its token expires can be replayed.
    pub nonce_lifetime: Duration,
    /// How long an LTI session lives. 24 h by default.
    pub lti_session_lifetime: Duration,
    /// How long a JTS session lives. 7 days by default.
    pub jts_session_lifetime: Duration,
    /// How long after a rotation the previous state proof is still accepted. 10 s by default.
    pub rotation_grace: Duration,
    /// How long a login session's lock outlives a holder that never releases it. 10 s by default.
    pub max_lock_time: Duration,
    /// The property of a login session that `lock` compares with what its caller saw.
    /// `refresh_token` by default (RFC 6749 §1.5).
    pub lock_verification_property: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            nonce_lifetime: Duration::from_secs(600),
            lti_session_lifetime: Duration::from_secs(24 * 3600),
            jts_session_lifetime: Duration::from_secs(7 * 24 * 3600),
            rotation_grace: Duration::from_secs(10),
            max_lock_time: Duration::from_secs(10),
            lock_verification_property: "refresh_token".to_owned(),
        }
    }
}

impl Settings {
    /// The clock's `now`.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// When something made `now` expires. For backends.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a lifetime under a millisecond or past the
/// year 9999.
pub fn expiry(now: Timestamp, lifetime: Duration) -> Result<Timestamp> {
    if lifetime < Duration::from_millis(1) {
        return Err(Error::invalid(
            "lifetime",
            "lifetime is under 1 ms, the least there is",
        ));
    }
    now.checked_add(lifetime)
        .ok_or_else(|| Error::invalid("lifetime", "lifetime ends after the year 9999"))
}
