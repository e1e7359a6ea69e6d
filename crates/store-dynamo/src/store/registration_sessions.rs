//! Dynamic registrations under way.

use async_trait::async_trait;
use store_core::{
    CleanupKind, Error, ErrorKind, MAX_PAYLOAD_BYTES, RegistrationSession,
    RegistrationSessionStore, Result, encode, parse_uuid,
};
use uuid::Uuid;

use super::{DynamoStore, within};
use crate::execute::Answer;
use crate::mapping::{self, item, s};
use crate::queries;
use crate::write::Write;

/// What the items are called in errors.
const KIND: &str = "registration_sessions";

#[async_trait]
impl RegistrationSessionStore for DynamoStore {
    async fn set_registration_session(
        &self,
        id: Uuid,
        session: &RegistrationSession,
    ) -> Result<()> {
        within("set_registration_session", async {
            let operation = self.begin().await?;
            let now = self.now();
            let expires_at = session.expires_at;
            if expires_at <= now {
                return Err(Error::invalid("expires_at", "expires_at is past"));
            }
            let data = encode("session", session, MAX_PAYLOAD_BYTES)?;
            let key = queries::registration(&id.to_string());
            let mut item = item([("payload", s(data))]);
            queries::expire(
                &mut item,
                CleanupKind::RegistrationSessions,
                &key,
                expires_at,
            );
            let put = Write::put(key, item).when(queries::ABSENT_OR_EXPIRED);
            if operation.write(put.now(now)).await?.happened() {
                return Ok(());
            }
            let message = "a registration session with this id exists";
            Err(Error::new(ErrorKind::AlreadyExists, message))
        })
        .await
    }

    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        within("get_registration_session", async {
            let operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(None);
            }
            let found = operation.get(queries::registration(id)).await?;
            let item = mapping::live(found, self.now())?;
            item.map(|item| mapping::payload(&item, KIND, id))
                .transpose()
        })
        .await
    }

    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        within("take_registration_session", async {
            let operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(None);
            }
            let delete = Write::delete(queries::registration(id)).when(queries::LIVE);
            let taken = operation.write(delete.now(self.now()).returning()).await?;
            match taken {
                Answer::Done(Some(item)) => mapping::payload(&item, KIND, id).map(Some),
                Answer::Done(None) | Answer::Refused(_) => Ok(None),
            }
        })
        .await
    }

    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        within("delete_registration_session", async {
            let operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(false);
            }
            let delete = Write::delete(queries::registration(id)).when(queries::LIVE);
            Ok(operation.write(delete.now(self.now())).await?.happened())
        })
        .await
    }
}
