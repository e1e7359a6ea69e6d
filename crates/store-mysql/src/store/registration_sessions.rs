//! Dynamic registrations under way.

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, MAX_PAYLOAD_BYTES, RegistrationSession, RegistrationSessionStore, Result,
    encode, parse_uuid,
};
use uuid::Uuid;

use super::{MySqlStore, at};
use crate::execute::{Answer, Batch};
use crate::mapping;

#[async_trait]
impl RegistrationSessionStore for MySqlStore {
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
        let queries = &self.queries().lti;
        let (id, until) = (id.into(), session.expires_at.into());
        let insert = [id, (&data).into(), until];
        let replace = [(&data).into(), until, id, now.into()];
        let added = self.insert(
            OPERATION,
            (&queries.set_registration_session, &insert),
            (&queries.replace_registration_session, &replace),
        );
        if !added.await? {
            let message = "a registration session with this id exists";
            return Err(at(OPERATION, Error::new(ErrorKind::AlreadyExists, message)));
        }
        Ok(())
    }

    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        const OPERATION: &str = "get_registration_session";
        let Some(uuid) = parse_uuid(id) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_registration_session;
        let params = [uuid.into(), self.now().into()];
        let answer = self.run(OPERATION, query, &params).await?;
        registration(&answer, id).map_err(|error| at(OPERATION, error))
    }

    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        const OPERATION: &str = "take_registration_session";
        let Some(uuid) = parse_uuid(id) else {
            return Ok(None);
        };
        let queries = &self.queries().lti;
        let params = [uuid.into(), self.now().into()];
        let batch = Batch::new(&queries.lock_registration_session, &params)
            .with(&queries.delete_registration_session, &params);
        let answers = self.run_together(OPERATION, batch).await?;
        match answers.first() {
            Some(answer) => registration(answer, id).map_err(|error| at(OPERATION, error)),
            None => Ok(None),
        }
    }

    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_registration_session;
        let params = [id.into(), self.now().into()];
        let answer = self
            .run("delete_registration_session", query, &params)
            .await?;
        Ok(answer.changed > 0)
    }
}

fn registration(answer: &Answer, id: &str) -> Result<Option<RegistrationSession>> {
    let row = answer.rows.first();
    let decoded = row.map(|row| mapping::payload(row, 0, "registrationSessions", id));
    decoded.transpose()
}
