//! Sessions that LTI launches open.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::json::Json;

mod codec;
mod debug;
mod launch;
mod parts;

pub use codec::LtiSessionData;

/// What a launch told about the user, the course, the platform and its services.
///
/// In JSON the fields are in camelCase, as the npm family stores them. Fields that this version does
/// not know survive a round trip, at every level. `Debug` shows nothing of it or its parts.
#[derive(Clone, PartialEq)]
pub struct LtiSession {
    /// Its id, chosen by the caller. Whoever knows it has the session.
    pub id: Uuid,
    /// Who launched.
    pub user: LtiUser,
    /// The course or other context launched from.
    pub context: LtiContext,
    /// The platform launched from.
    pub platform: LtiPlatform,
    /// What was launched.
    pub launch: LtiLaunch,
    /// The link launched, unless it was another kind of launch.
    pub resource_link: Option<LtiResourceLink>,
    /// The LTI Advantage services that the platform offers.
    pub services: Option<LtiServices>,
    /// The custom parameters of the launch.
    pub custom_parameters: Map<String, Value>,
    /// Whether the user has an administrator role.
    pub is_admin: bool,
    /// Whether the user has an instructor role.
    pub is_instructor: bool,
    /// Whether the user has a learner role.
    pub is_student: bool,
    /// Whether Assignment and Grade Services are offered.
    pub is_assignment_and_grades_available: bool,
    /// Whether this is a deep-linking launch.
    pub is_deep_linking_available: bool,
    /// Whether Names and Role Provisioning Services are offered.
    pub is_name_and_roles_available: bool,
    /// The payload of the ID token as the platform signed it.
    pub jwt_payload: Json,
    /// Fields that this version does not know.
    pub extra: Map<String, Value>,
}

/// Who launched.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiUser {
    /// The platform's id of the user; none for an anonymous launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The roles in short, such as `instructor`.
    pub roles: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A course or other context.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiContext {
    /// The platform's id of it.
    pub id: String,
    /// A short label, such as a course code.
    pub label: String,
    /// The title.
    pub title: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A platform, as a launch names it.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiPlatform {
    /// The issuer.
    pub issuer: String,
    /// The client id.
    pub client_id: String,
    /// The deployment id.
    pub deployment_id: String,
    /// A name for people.
    pub name: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What was launched.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiLaunch {
    /// Where the user wants to go.
    pub target: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A resource link.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiResourceLink {
    /// The platform's id of it.
    pub id: String,
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The LTI Advantage services that a platform offers.
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LtiServices {
    /// Assignment and Grade Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ags: Option<AgsService>,
    /// Names and Role Provisioning Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nrps: Option<NrpsService>,
    /// Deep linking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_linking: Option<DeepLinkingService>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Assignment and Grade Services (LTI-AGS 2.0 §3.1).
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgsService {
    /// The line item of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineitem: Option<String>,
    /// The line items of the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineitems: Option<String>,
    /// The scopes that the tool may ask for.
    pub scopes: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Names and Role Provisioning Services (LTI-NRPS 2.0 §3.6.1).
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NrpsService {
    /// Where the members are listed.
    pub membership_url: String,
    /// The versions that the platform speaks.
    pub versions: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Deep-linking settings (LTI-DL 2.0 §4.4.1).
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeepLinkingService {
    /// Where the response goes.
    pub return_url: String,
    /// The types of content that are accepted.
    pub accept_types: Vec<String>,
    /// Where content can be presented.
    pub accept_presentation_document_targets: Vec<String>,
    /// The media types that are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_media_types: Option<String>,
    /// Whether several items can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_multiple: Option<bool>,
    /// Whether items are kept without asking the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_create: Option<bool>,
    /// What the platform wants back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Something stored, and when it expires. Used as the thing itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Expiring<T> {
    /// The thing.
    pub value: T,
    /// When it expires.
    pub expires_at: Timestamp,
}

impl<T> Deref for Expiring<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Keeps LTI sessions.
#[async_trait]
pub trait LtiSessionStore: Send + Sync {
    /// Adds a session under the id it has, to live for `lifetime`, or for
    /// [`Settings::lti_session_lifetime`](crate::Settings::lti_session_lifetime) if none is given,
    /// and returns when it expires.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a live one has this id,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if its JSON, less the id, is longer than
    /// [`MAX_PAYLOAD_BYTES`](crate::MAX_PAYLOAD_BYTES), or for a lifetime out of range.
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp>;

    /// The live session with this id, or `None`, also for a malformed id.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if what is stored does not decode.
    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>>;

    /// Deletes a session and tells whether a live one existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_lti_session(&self, id: &str) -> Result<bool>;
}
