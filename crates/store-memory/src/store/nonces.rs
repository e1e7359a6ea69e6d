//! Nonces.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{CleanupKind, Nonce, NonceStore, Result, expiry};

use super::{MemoryStore, already_exists};
use crate::table::Table;

/// Whether each nonce has been consumed.
pub(super) type Nonces = Table<Arc<str>, bool>;

#[async_trait]
impl NonceStore for MemoryStore {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        let lifetime = lifetime.unwrap_or(self.settings().nonce_lifetime);
        self.adding_step("store_nonce", CleanupKind::Nonces, |state, now| {
            let expires_at = expiry(now, lifetime)?;
            if state
                .nonces
                .add(nonce.as_str().into(), false, expires_at, now)
            {
                Ok(())
            } else {
                Err(already_exists("this nonce was stored before"))
            }
        })
    }

    async fn consume_nonce(&self, nonce: &str) -> Result<bool> {
        self.step("consume_nonce", |state, now| {
            let used = state.nonces.get_mut(nonce, now);
            Ok(used.is_some_and(|used| !std::mem::replace(used, true)))
        })
    }
}
