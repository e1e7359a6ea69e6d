//! Dynamic registrations under way.

use async_trait::async_trait;
use store_core::{
    CleanupKind, Error, MAX_PAYLOAD_BYTES, RegistrationSession, RegistrationSessionStore, Result,
    encode, parse_uuid,
};
use uuid::Uuid;

use super::{BACKEND, MemoryStore, already_exists};
use crate::table::Table;

pub(super) type RegistrationSessions = Table<Uuid, RegistrationSession>;

#[async_trait]
impl RegistrationSessionStore for MemoryStore {
    async fn set_registration_session(
        &self,
        id: Uuid,
        session: &RegistrationSession,
    ) -> Result<()> {
        const OPERATION: &str = "set_registration_session";
        encode("session", session, MAX_PAYLOAD_BYTES)
            .map_err(|error| error.at(BACKEND, OPERATION))?;
        let (session, expires_at) = (session.clone(), session.expires_at);
        self.adding_step(
            OPERATION,
            CleanupKind::RegistrationSessions,
            |state, now| {
                if expires_at <= now {
                    let message = format!("expires_at is {expires_at}, which is over");
                    return Err(Error::invalid("expires_at", message));
                }
                if state
                    .registration_sessions
                    .add(id, session, expires_at, now)
                {
                    Ok(())
                } else {
                    Err(already_exists("a live registration session has this id"))
                }
            },
        )
    }

    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        self.step("get_registration_session", |state, now| {
            let row = parse_uuid(id).and_then(|id| state.registration_sessions.get(&id, now));
            Ok(row.map(|row| row.value.clone()))
        })
    }

    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        self.step("take_registration_session", |state, now| {
            Ok(parse_uuid(id).and_then(|id| state.registration_sessions.take(&id, now)))
        })
    }

    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        self.step("delete_registration_session", |state, now| {
            let row = parse_uuid(id).and_then(|id| state.registration_sessions.take(&id, now));
            Ok(row.is_some())
        })
    }
}
