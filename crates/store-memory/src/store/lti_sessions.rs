//! LTI sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    CleanupKind, Expiring, LtiSession, LtiSessionData, LtiSessionStore, MAX_PAYLOAD_BYTES, Result,
    Timestamp, encode, expiry, parse_uuid,
};
use uuid::Uuid;

use super::{BACKEND, MemoryStore, already_exists};
use crate::table::Table;

/// By id. What is read is shared, not copied.
pub(super) type LtiSessions = Table<Uuid, Arc<Expiring<LtiSession>>>;

#[async_trait]
impl LtiSessionStore for MemoryStore {
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp> {
        const OPERATION: &str = "add_lti_session";
        encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)
            .map_err(|error| error.at(BACKEND, OPERATION))?;
        let lifetime = lifetime.unwrap_or(self.settings().lti_session_lifetime);
        let value = session.clone();
        self.adding_step(OPERATION, CleanupKind::Sessions, |state, now| {
            let expires_at = expiry(now, lifetime)?;
            let id = value.id;
            let row = Arc::new(Expiring { value, expires_at });
            if state.lti_sessions.add(id, row, expires_at, now) {
                Ok(expires_at)
            } else {
                Err(already_exists("a live LTI session has this id"))
            }
        })
    }

    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        self.step("get_lti_session", |state, now| {
            let row = parse_uuid(id).and_then(|id| state.lti_sessions.get(&id, now));
            Ok(row.map(|row| Arc::clone(&row.value)))
        })
    }

    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        self.step("delete_lti_session", |state, now| {
            let row = parse_uuid(id).and_then(|id| state.lti_sessions.take(&id, now));
            Ok(row.is_some())
        })
    }
}
