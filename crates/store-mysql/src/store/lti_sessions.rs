//! Sessions that LTI launches open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Error, ErrorKind, Expiring, LtiSession, LtiSessionData, LtiSessionStore, MAX_PAYLOAD_BYTES,
    Result, Timestamp, encode, expiry, parse_uuid,
};

use super::{MySqlStore, at};
use crate::mapping;

#[async_trait]
impl LtiSessionStore for MySqlStore {
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
        let queries = &self.queries().lti;
        let id = session.id.into();
        let insert = [id, (&data).into(), expires_at.into()];
        let replace = [(&data).into(), expires_at.into(), id, now.into()];
        let added = self.insert(
            OPERATION,
            (&queries.add_lti_session, &insert),
            (&queries.replace_lti_session, &replace),
        );
        if !added.await? {
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
        let params = [id.into(), self.now().into()];
        let answer = self.run(OPERATION, query, &params).await?;
        let Some(row) = answer.first() else {
            return Ok(None);
        };
        let session = mapping::lti_session(&row, 0, id).map_err(|error| at(OPERATION, error))?;
        Ok(Some(Arc::new(session)))
    }

    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_lti_session;
        let params = [id.into(), self.now().into()];
        let answer = self.run("delete_lti_session", query, &params).await?;
        Ok(answer.changed > 0)
    }
}
