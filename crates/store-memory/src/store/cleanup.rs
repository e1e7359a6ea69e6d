//! Deleting what has expired.

use async_trait::async_trait;
use store_core::{CleanupKind, CleanupStore, Result, Timestamp};

use super::{MemoryStore, State};

impl State {
    /// Removes up to `limit` expired rows of a kind, those that expired first, and tells how many.
    pub(super) fn reap(&mut self, kind: CleanupKind, now: Timestamp, limit: u32) -> u64 {
        match kind {
            CleanupKind::Nonces => self.nonces.reap(now, limit),
            CleanupKind::Sessions => self.lti_sessions.reap(now, limit),
            CleanupKind::RegistrationSessions => self.registration_sessions.reap(now, limit),
            CleanupKind::JtsSessions => self.jts_sessions.reap(now, limit),
            CleanupKind::LoginSessions => self.login_sessions.reap(now, limit),
        }
    }
}

#[async_trait]
impl CleanupStore for MemoryStore {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        self.step("delete_expired", |state, now| {
            Ok(state.reap(kind, now, limit))
        })
    }
}
