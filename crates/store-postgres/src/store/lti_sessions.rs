//! Sessions that LTI launches open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, Expiring, LtiSession, LtiSessionData, LtiSessionStore, MAX_PAYLOAD_BYTES,
    Result, Timestamp, encode, expiry, parse_uuid,
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{PostgresStore, at};
use crate::mapping::{self, At, JsonBytes, JsonText};

#[async_trait]
impl LtiSessionStore for PostgresStore {
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp> {
        const OPERATION: &str = "add_lti_session";
        let now = self.now();
        let lifetime = lifetime.unwrap_or(self.settings().lti_session_lifetime);
        let expires_at = expiry(now, lifetime).map_err(|error| at(OPERATION, error))?;
        let data = encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)
            .map_err(|error| at(OPERATION, error))?;
        let query = &self.queries().lti.add_lti_session;
        let answer = self
            .run(
                OPERATION,
                query,
                &[&session.id, &JsonText(&data), &At(expires_at), &At(now)],
            )
            .await?;
        if answer.changed == 0 {
            let message = "an LTI session with this id exists";
            return Err(at(OPERATION, Error::new(ErrorKind::AlreadyExists, message)));
        }
        Ok(expires_at)
    }

    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        const OPERATION: &str = "get_lti_session";
        let Some(id) = parse_uuid(id) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_lti_session;
        let answer = self.run(OPERATION, query, &[&id, &At(self.now())]).await?;
        let session = answer.rows.first().map(|row| session(row, id)).transpose();
        session
            .map(|session| session.map(Arc::new))
            .map_err(|error| at(OPERATION, error))
    }

    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_lti_session;
        let answer = self
            .run("delete_lti_session", query, &[&id, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }
}

/// Columns: data, expires_at.
pub(super) fn session(row: &Row, id: Uuid) -> Result<Expiring<LtiSession>> {
    let data = mapping::column::<JsonBytes<'_>>(row, 0)?;
    let value = LtiSession::from_data(id, data.0).map_err(|_| mapping::corrupt("sessions", id))?;
    let expires_at = mapping::timestamp(row, 1)?;
    Ok(Expiring { value, expires_at })
}
