//! One-time values.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::identifiers::Nonce;

/// Keeps nonces until they expire, consumed or not, so that none can be used or stored twice.
#[async_trait]
pub trait NonceStore: Send + Sync {
    /// Stores a nonce that can be consumed once within `lifetime`, or within
    /// [`Settings::nonce_lifetime`](crate::Settings::nonce_lifetime) if none is given.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if it was stored before and has not expired,
    /// consumed or not.
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()>;

    /// Consumes a nonce: `true` exactly once for a stored, unexpired, unused one, however many try at
    /// the same moment.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn consume_nonce(&self, nonce: &str) -> Result<bool>;
}
