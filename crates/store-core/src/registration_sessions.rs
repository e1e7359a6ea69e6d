//! Dynamic registrations under way.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Result;

/// What a tool remembers between the two steps of LTI dynamic registration
/// (IMS LTI Dynamic Registration §3.3 to 3.5).
///
/// In JSON `expiresAt` is in milliseconds since 1970, as the npm family stores it. `Debug` shows the
/// expiry only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationSession {
    /// The platform's OpenID configuration.
    pub open_id_configuration: Map<String, Value>,
    /// The bearer token that the platform wants with the registration request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_token: Option<String>,
    /// When it expires.
    #[serde(with = "unix_millis")]
    pub expires_at: Timestamp,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl fmt::Debug for RegistrationSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationSession")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

mod unix_millis {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.unix_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_unix_millis)
    }
}

/// Keeps dynamic registrations under way.
#[async_trait]
pub trait RegistrationSessionStore: Send + Sync {
    /// Keeps `session` under `id` until its `expires_at`.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a live one has this id,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it has expired already or is longer than
    /// [`MAX_PAYLOAD_BYTES`](crate::MAX_PAYLOAD_BYTES).
    async fn set_registration_session(&self, id: Uuid, session: &RegistrationSession)
    -> Result<()>;

    /// The live session with this id, or `None`, also for a malformed id.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if what is stored does not decode.
    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>>;

    /// Gets and deletes in one step: of several callers at most one gets the session, so that its
    /// token can't be used twice.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if what is stored does not decode.
    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>>;

    /// Deletes the session and tells whether a live one existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_registration_session(&self, id: &str) -> Result<bool>;
}
