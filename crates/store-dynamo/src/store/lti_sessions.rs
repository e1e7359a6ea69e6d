//! Sessions that LTI launches open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    CleanupKind, Error, ErrorKind, Expiring, LtiSession, LtiSessionData, LtiSessionStore,
    MAX_PAYLOAD_BYTES, Result, Timestamp, encode, expiry, parse_uuid,
};
use uuid::Uuid;

use super::{DynamoStore, within};
use crate::mapping::{self, Item, item, s};
use crate::queries;
use crate::write::Write;

#[async_trait]
impl LtiSessionStore for DynamoStore {
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp> {
        within("add_lti_session", async {
            let operation = self.begin().await?;
            let now = self.now();
            let lifetime = lifetime.unwrap_or(self.settings().lti_session_lifetime);
            let expires_at = expiry(now, lifetime)?;
            let data = encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)?;
            let key = queries::lti_session(&session.id.to_string());
            let mut item = item([("payload", s(data))]);
            queries::expire(&mut item, CleanupKind::Sessions, &key, expires_at);
            let put = Write::put(key, item).when(queries::ABSENT_OR_EXPIRED);
            if operation.write(put.now(now)).await?.happened() {
                return Ok(expires_at);
            }
            let message = "an LTI session with this id exists";
            Err(Error::new(ErrorKind::AlreadyExists, message))
        })
        .await
    }

    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        within("get_lti_session", async {
            let operation = self.begin().await?;
            let Some(uuid) = parse_uuid(id) else {
                return Ok(None);
            };
            let found = operation.get(queries::lti_session(id)).await?;
            let Some(item) = mapping::live(found, self.now())? else {
                return Ok(None);
            };
            decode(uuid, &item).map(|session| Some(Arc::new(session)))
        })
        .await
    }

    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        within("delete_lti_session", async {
            let operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(false);
            }
            let delete = Write::delete(queries::lti_session(id)).when(queries::LIVE);
            Ok(operation.write(delete.now(self.now())).await?.happened())
        })
        .await
    }
}

pub(super) fn decode(id: Uuid, item: &Item) -> Result<Expiring<LtiSession>> {
    let data = mapping::text(item, "payload")?;
    let value = LtiSession::from_data(id, data.as_bytes());
    Ok(Expiring {
        value: value.map_err(|_| mapping::corrupt("sessions", id))?,
        expires_at: mapping::instant(item, "expires_at")?,
    })
}
