//! From the payload of a launch's ID token to a session.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    AgsService, DeepLinkingService, LtiContext, LtiLaunch, LtiPlatform, LtiResourceLink,
    LtiServices, LtiSession, LtiUser, NrpsService,
};
use crate::error::{Error, Result};
use crate::json::Json;

/// The claims that a session is made from (LTI 1.3 §5.3 and §5.4, LTI-AGS, LTI-NRPS, LTI-DL).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: Option<String>,
    name: Option<String>,
    email: Option<String>,
    family_name: Option<String>,
    given_name: Option<String>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/deployment_id")]
    deployment_id: String,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/target_link_uri")]
    target_link_uri: String,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/roles", default)]
    roles: Vec<String>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/context")]
    context: Option<ContextClaim>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/tool_platform")]
    tool_platform: Option<ToolPlatformClaim>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/resource_link")]
    resource_link: Option<ResourceLinkClaim>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti/claim/custom")]
    custom: Option<Map<String, Value>>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint")]
    ags: Option<AgsClaim>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice")]
    nrps: Option<NrpsClaim>,
    #[serde(rename = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings")]
    deep_linking: Option<DeepLinkingClaim>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct ContextClaim {
    id: String,
    label: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
struct ToolPlatformClaim {
    name: Option<String>,
}

#[derive(Deserialize)]
struct ResourceLinkClaim {
    id: String,
    title: Option<String>,
}

#[derive(Deserialize)]
struct AgsClaim {
    lineitem: Option<String>,
    lineitems: Option<String>,
    #[serde(default)]
    scope: Vec<String>,
}

#[derive(Deserialize)]
struct NrpsClaim {
    context_memberships_url: String,
    #[serde(default)]
    service_versions: Vec<String>,
}

#[derive(Deserialize)]
struct DeepLinkingClaim {
    deep_link_return_url: String,
    #[serde(default)]
    accept_types: Vec<String>,
    #[serde(default)]
    accept_presentation_document_targets: Vec<String>,
    accept_media_types: Option<String>,
    accept_multiple: Option<bool>,
    auto_create: Option<bool>,
    data: Option<String>,
}

/// The roles that sessions keep in short, by what their URIs contain.
const ROLES: [(&str, &str); 5] = [
    ("Instructor", "instructor"),
    ("Learner", "student"),
    ("Administrator", "admin"),
    ("ContentDeveloper", "content-developer"),
    ("Member", "member"),
];

impl LtiSession {
    /// A session with a new random id, from the payload of a launch's ID token, whose signature,
    /// audience and nonce the caller has checked.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is not the payload of an LTI 1.3 launch.
    pub fn from_launch_payload(payload: &str) -> Result<Self> {
        let claims: Claims = serde_json::from_str(payload).map_err(|error| {
            // Other reasons quote values.
            let reason = error.to_string();
            let reason = if reason.starts_with("missing field") {
                reason
            } else {
                let (line, column) = (error.line(), error.column());
                format!(
                    "it is no JSON, or a claim is of the wrong type, at line {line} column {column}"
                )
            };
            let message = format!("not the payload of an LTI 1.3 launch: {reason}");
            Error::invalid("launch payload", message)
        })?;
        let has_role = |name: &str| claims.roles.iter().any(|role| role.contains(name));
        let roles = ROLES.iter().filter(|(name, _)| has_role(name));
        let services = LtiServices {
            ags: claims.ags.map(|ags| AgsService {
                lineitem: ags.lineitem,
                lineitems: ags.lineitems,
                scopes: ags.scope,
                extra: Map::new(),
            }),
            nrps: claims.nrps.map(|nrps| NrpsService {
                membership_url: nrps.context_memberships_url,
                versions: nrps.service_versions,
                extra: Map::new(),
            }),
            deep_linking: claims.deep_linking.map(|settings| DeepLinkingService {
                return_url: settings.deep_link_return_url,
                accept_types: settings.accept_types,
                accept_presentation_document_targets: settings.accept_presentation_document_targets,
                accept_media_types: settings.accept_media_types,
                accept_multiple: settings.accept_multiple,
                auto_create: settings.auto_create,
                data: settings.data,
                extra: Map::new(),
            }),
            extra: Map::new(),
        };
        let client_id = match claims.aud {
            Audience::One(client_id) => client_id,
            Audience::Many(all) => all.into_iter().next().unwrap_or_default(),
        };
        Ok(Self {
            id: Uuid::new_v4(),
            is_admin: has_role("Administrator"),
            is_instructor: has_role("Instructor"),
            is_student: has_role("Learner"),
            is_assignment_and_grades_available: services.ags.is_some(),
            is_deep_linking_available: services.deep_linking.is_some(),
            is_name_and_roles_available: services.nrps.is_some(),
            user: LtiUser {
                roles: roles.map(|(_, short)| (*short).to_owned()).collect(),
                id: claims.sub,
                name: claims.name,
                email: claims.email,
                family_name: claims.family_name,
                given_name: claims.given_name,
                extra: Map::new(),
            },
            context: claims
                .context
                .map_or_else(LtiContext::default, |context| LtiContext {
                    label: context.label.unwrap_or_else(|| context.id.clone()),
                    title: context.title.unwrap_or_default(),
                    id: context.id,
                    extra: Map::new(),
                }),
            platform: LtiPlatform {
                name: claims
                    .tool_platform
                    .and_then(|platform| platform.name)
                    .unwrap_or_else(|| claims.iss.clone()),
                issuer: claims.iss,
                client_id,
                deployment_id: claims.deployment_id,
                extra: Map::new(),
            },
            launch: LtiLaunch {
                target: claims.target_link_uri,
                extra: Map::new(),
            },
            resource_link: claims.resource_link.map(|link| LtiResourceLink {
                id: link.id,
                title: link.title,
                extra: Map::new(),
            }),
            services: (services != LtiServices::default()).then_some(services),
            custom_parameters: claims.custom.unwrap_or_default(),
            jwt_payload: Json::parse(payload)?,
            extra: Map::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_minimal_launch_is_a_session() {
        let payload = json!({
            "iss": "https://lms.example", "aud": ["c1"],
            "https://purl.imsglobal.org/spec/lti/claim/deployment_id": "d1",
            "https://purl.imsglobal.org/spec/lti/claim/target_link_uri": "https://tool.example/",
            "https://purl.imsglobal.org/spec/lti/claim/roles":
                ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
        });
        let session = LtiSession::from_launch_payload(&payload.to_string()).unwrap();
        assert_eq!(session.platform.client_id, "c1");
        assert_eq!(session.platform.name, "https://lms.example");
        assert_eq!(session.user.roles, ["student"]);
        assert!(session.is_student && !session.is_instructor);
        assert_eq!(session.services, None);
    }

    #[test]
    fn what_is_not_a_launch_is_refused_without_quoting_it() {
        let error = LtiSession::from_launch_payload(r#"{"iss": "hunter2"}"#).unwrap_err();
        assert_eq!(error.field(), Some("launch payload"));
        assert!(!error.to_string().contains("hunter2"));
    }
}
