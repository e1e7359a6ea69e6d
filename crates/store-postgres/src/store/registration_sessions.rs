//! Dynamic registrations under way.

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, MAX_PAYLOAD_BYTES, RegistrationSession, RegistrationSessionStore, Result,
    encode, parse_uuid,
};
use uuid::Uuid;

use super::{PostgresStore, at};
use crate::mapping::{self, At, JsonText};
use crate::queries::Query;

#[async_trait]
impl RegistrationSessionStore for PostgresStore {
    async fn set_registration_session(
        &self,
        id: Uuid,
        session: &RegistrationSession,
    ) -> Result<()> {
        const OPERATION: &str = "set_registration_session";
        let now = self.now();
        if session.expires_at <= now {
            let error = Error::invalid("expires_at", "expires_at is past");
            return Err(at(OPERATION, error));
        }
        let data =
            encode("session", session, MAX_PAYLOAD_BYTES).map_err(|error| at(OPERATION, error))?;
        let query = &self.queries().lti.set_registration_session;
        let answer = self
            .run(
                OPERATION,
                query,
                &[&id, &JsonText(&data), &At(session.expires_at), &At(now)],
            )
            .await?;
        if answer.changed == 0 {
            let message = "a registration session with this id exists";
            return Err(at(OPERATION, Error::new(ErrorKind::AlreadyExists, message)));
        }
        Ok(())
    }

    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        let query = &self.queries().lti.get_registration_session;
        self.registration("get_registration_session", query, id)
            .await
    }

    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        let query = &self.queries().lti.take_registration_session;
        self.registration("take_registration_session", query, id)
            .await
    }

    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.take_registration_session;
        let answer = self
            .run(
                "delete_registration_session",
                query,
                &[&id, &At(self.now())],
            )
            .await?;
        Ok(answer.changed > 0)
    }
}

impl PostgresStore {
    async fn registration(
        &self,
        operation: &'static str,
        query: &Query,
        id: &str,
    ) -> Result<Option<RegistrationSession>> {
        let Some(uuid) = parse_uuid(id) else {
            return Ok(None);
        };
        let answer = self
            .run(operation, query, &[&uuid, &At(self.now())])
            .await?;
        let decoded = answer
            .rows
            .first()
            .map(|row| mapping::payload(row, 0, "registration_sessions", id));
        decoded.transpose().map_err(|error| at(operation, error))
    }
}
