//! The JSON form of an LTI session.
//!
//! Written by hand because the claims stay unparsed text ([`serde_json::value::RawValue`]), which a
//! derived `flatten` can't read.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;
use uuid::Uuid;

use super::parts::Name;
use super::{LtiContext, LtiLaunch, LtiPlatform, LtiSession, LtiUser};
use crate::json::Json;

/// An LTI session without its id: what a row's `data` holds. For backends.
#[derive(Clone, Copy, Debug)]
pub struct LtiSessionData<'a>(pub &'a LtiSession);

impl Serialize for LtiSessionData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fields(self.0, serializer.serialize_map(None)?)
    }
}

impl Serialize for LtiSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        serialize_fields(self, map)
    }
}

fn serialize_fields<M: SerializeMap>(session: &LtiSession, mut map: M) -> Result<M::Ok, M::Error> {
    map.serialize_entry("jwtPayload", &session.jwt_payload)?;
    map.serialize_entry("user", &session.user)?;
    map.serialize_entry("context", &session.context)?;
    map.serialize_entry("platform", &session.platform)?;
    map.serialize_entry("launch", &session.launch)?;
    if let Some(resource_link) = &session.resource_link {
        map.serialize_entry("resourceLink", resource_link)?;
    }
    if let Some(services) = &session.services {
        map.serialize_entry("services", services)?;
    }
    map.serialize_entry("customParameters", &session.custom_parameters)?;
    map.serialize_entry("isAdmin", &session.is_admin)?;
    map.serialize_entry("isInstructor", &session.is_instructor)?;
    map.serialize_entry("isStudent", &session.is_student)?;
    map.serialize_entry(
        "isAssignmentAndGradesAvailable",
        &session.is_assignment_and_grades_available,
    )?;
    map.serialize_entry("isDeepLinkingAvailable", &session.is_deep_linking_available)?;
    map.serialize_entry(
        "isNameAndRolesAvailable",
        &session.is_name_and_roles_available,
    )?;
    for (name, value) in &session.extra {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

impl<'de> Deserialize<'de> for LtiSession {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SessionVisitor(None))
    }
}

impl LtiSession {
    /// The session whose row has this id and this JSON as its `data`. For backends.
    ///
    /// # Errors
    /// If the JSON is not a session's. The error may quote what it read: don't show it.
    pub fn from_data(id: Uuid, data: &[u8]) -> serde_json::Result<Self> {
        // Checked as a whole, which is faster than string by string.
        let data = std::str::from_utf8(data).map_err(de::Error::custom)?;
        let mut deserializer = serde_json::Deserializer::from_str(data);
        let session = SessionVisitor(Some(id)).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(session)
    }
}

/// Reads a session; its id too, unless it is known already.
struct SessionVisitor(Option<Uuid>);

impl<'de> DeserializeSeed<'de> for SessionVisitor {
    type Value = LtiSession;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LtiSession, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SessionVisitor {
    type Value = LtiSession;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an LTI session")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LtiSession, A::Error> {
        let mut id = self.0;
        let mut user: Option<LtiUser> = None;
        let mut context: Option<LtiContext> = None;
        let mut platform: Option<LtiPlatform> = None;
        let mut launch: Option<LtiLaunch> = None;
        let mut jwt_payload: Option<Json> = None;
        let mut resource_link = None;
        let mut services = None;
        let mut custom_parameters: Option<Map<_, _>> = None;
        let mut is_admin = false;
        let mut is_instructor = false;
        let mut is_student = false;
        let mut is_assignment_and_grades_available = false;
        let mut is_deep_linking_available = false;
        let mut is_name_and_roles_available = false;
        let mut extra = Map::new();
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "id" if self.0.is_some() => drop(map.next_value::<de::IgnoredAny>()?),
                "id" => id = Some(map.next_value()?),
                "user" => user = Some(map.next_value()?),
                "context" => context = Some(map.next_value()?),
                "platform" => platform = Some(map.next_value()?),
                "launch" => launch = Some(map.next_value()?),
                "jwtPayload" => jwt_payload = Some(map.next_value()?),
                "resourceLink" => resource_link = map.next_value()?,
                "services" => services = map.next_value()?,
                "customParameters" => custom_parameters = map.next_value()?,
                "isAdmin" => is_admin = map.next_value()?,
                "isInstructor" => is_instructor = map.next_value()?,
                "isStudent" => is_student = map.next_value()?,
                "isAssignmentAndGradesAvailable" => {
                    is_assignment_and_grades_available = map.next_value()?;
                }
                "isDeepLinkingAvailable" => is_deep_linking_available = map.next_value()?,
                "isNameAndRolesAvailable" => is_name_and_roles_available = map.next_value()?,
                _ => drop(extra.insert(name.into_owned(), map.next_value()?)),
            }
        }
        let missing = de::Error::missing_field;
        Ok(LtiSession {
            id: id.ok_or_else(|| missing("id"))?,
            user: user.ok_or_else(|| missing("user"))?,
            context: context.unwrap_or_default(),
            platform: platform.ok_or_else(|| missing("platform"))?,
            launch: launch.ok_or_else(|| missing("launch"))?,
            resource_link,
            services,
            custom_parameters: custom_parameters.unwrap_or_default(),
            is_admin,
            is_instructor,
            is_student,
            is_assignment_and_grades_available,
            is_deep_linking_available,
            is_name_and_roles_available,
            jwt_payload: jwt_payload.ok_or_else(|| missing("jwtPayload"))?,
            extra,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn stored() -> Value {
        json!({
            "jwtPayload": {"sub": "u1", "https://example.org/claim": [1, 2.5, null]},
            "user": {"id": "u1", "roles": ["instructor"], "pronouns": "they"},
            "context": {"id": "c", "label": "C", "title": "Course", "type": ["x"]},
            "platform": {"issuer": "i", "clientId": "c", "deploymentId": "d", "name": "n"},
            "launch": {"target": "https://tool.example"},
            "services": {"ags": {"scopes": ["s"], "new": 1}, "newService": {"a": true}},
            "customParameters": {"a": "b"},
            "isAdmin": false, "isInstructor": true, "isStudent": false,
            "isAssignmentAndGradesAvailable": true, "isDeepLinkingAvailable": false,
            "isNameAndRolesAvailable": false,
            "futureField": {"kept": ["as", "is"]},
        })
    }

    #[test]
    fn fields_that_are_not_known_survive_at_every_level() {
        let data = stored();
        let id = Uuid::from_u128(7);
        let session = LtiSession::from_data(id, data.to_string().as_bytes()).unwrap();
        assert_eq!(session.id, id);
        assert_eq!(
            serde_json::to_value(LtiSessionData(&session)).unwrap(),
            data
        );

        let whole = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<LtiSession>(&whole).unwrap(), session);
        let value = serde_json::to_value(&session).unwrap();
        assert_eq!(
            serde_json::from_value::<LtiSession>(value).unwrap(),
            session
        );
    }

    #[test]
    fn what_is_not_a_session_is_refused() {
        let mut data = stored();
        data["user"] = json!(5);
        let id = Uuid::from_u128(7);
        assert!(LtiSession::from_data(id, data.to_string().as_bytes()).is_err());
        assert!(LtiSession::from_data(id, b"{}").is_err());
        assert!(LtiSession::from_data(id, b"[]").is_err());
    }
}
