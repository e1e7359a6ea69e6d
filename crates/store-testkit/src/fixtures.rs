//! Things to store, the same at every run: they depend on the name of the case and on a number.

use serde_json::{Map, Value, json};
use store_core::{
    Client, ClientUpdate, DEFAULT_DEPLOYMENT_ID, Json, LaunchConfig, LoginData, LoginSessionId,
    LtiSession, NewClient, NewDeployment, NewJtsSession, Nonce, Principal, RegistrationSession,
    Timestamp,
};
use uuid::Uuid;

/// Makes things to store. What is made from another name or number differs.
#[derive(Clone, Debug)]
pub struct Fixtures {
    seed: u64,
}

impl Fixtures {
    /// The fixtures of the case with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        // FNV-1a.
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { seed }
    }

    /// A seed for the case's own random choices.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// SplitMix64 of the seed and a number.
    fn number(&self, n: u64) -> u64 {
        let mut z = self
            .seed
            .wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A UUID of version 4.
    #[must_use]
    pub fn uuid(&self, n: u64) -> Uuid {
        let high = u128::from(self.number(n));
        let low = u128::from(self.number(!n));
        let random = (high << 64 | low).to_be_bytes();
        uuid::Builder::from_random_bytes(random).into_uuid()
    }

    /// A client with an issuer of its own.
    #[must_use]
    pub fn client(&self, n: u64) -> NewClient {
        NewClient {
            name: text(format!("Platform {n}")),
            iss: text(format!("https://lms-{n}.example")),
            client_id: text(format!("client-{:x}", self.number(n))),
            auth_url: text(format!("https://lms-{n}.example/oidc/auth")),
            token_url: text(format!("https://lms-{n}.example/oauth/token")),
            jwks_url: text(format!("https://lms-{n}.example/.well-known/jwks.json")),
        }
    }

    /// A deployment.
    #[must_use]
    pub fn deployment(&self, n: u64) -> NewDeployment {
        NewDeployment {
            deployment_id: text(format!("deployment-{n}")),
            name: Some(text(format!("Deployment {n}"))),
            description: Some(text(format!("What deployment {n} is for"))),
        }
    }

    /// The deployment that launch configs fall back to.
    #[must_use]
    pub fn default_deployment(&self) -> NewDeployment {
        NewDeployment {
            deployment_id: text(DEFAULT_DEPLOYMENT_ID),
            name: None,
            description: None,
        }
    }

    /// A launch config whose client and deployment are those with this number.
    #[must_use]
    pub fn launch_config(&self, n: u64) -> LaunchConfig {
        let client = self.client(n);
        LaunchConfig {
            iss: client.iss,
            client_id: client.client_id,
            deployment_id: self.deployment(n).deployment_id,
            auth_url: client.auth_url,
            token_url: client.token_url,
            jwks_url: client.jwks_url,
        }
    }

    /// An LTI session with every field and every service, about 2.5 KB of JSON, with fields at every
    /// level that this version does not know.
    #[must_use]
    pub fn lti_session(&self, n: u64) -> LtiSession {
        let payload = launch_payload(n);
        let mut session = LtiSession::from_launch_payload(&payload.to_string())
            .expect("the fixture is a launch payload");
        session.id = self.uuid(n);
        let unknown = |level: &str| {
            let value = json!({"level": level, "list": [1, 2.5, null, true, "🎓"], "n": n});
            Map::from_iter([("xUnknown".to_owned(), value)])
        };
        session.extra = unknown("session");
        session.user.extra = unknown("user");
        session.context.extra = unknown("context");
        session.platform.extra = unknown("platform");
        session.launch.extra = unknown("launch");
        if let Some(link) = &mut session.resource_link {
            link.extra = unknown("resource link");
        }
        if let Some(services) = &mut session.services {
            services.extra = unknown("services");
            if let Some(ags) = &mut services.ags {
                ags.extra = unknown("ags");
            }
            if let Some(nrps) = &mut services.nrps {
                nrps.extra = unknown("nrps");
            }
            if let Some(deep_linking) = &mut services.deep_linking {
                deep_linking.extra = unknown("deep linking");
            }
        }
        session
    }

    /// An LTI session whose JSON is `bytes` longer than that of [`lti_session`](Self::lti_session).
    #[must_use]
    pub fn padded_lti_session(&self, n: u64, bytes: usize) -> LtiSession {
        let mut session = self.lti_session(n);
        let padding = bytes - r#","padding":"""#.len();
        let padding = Value::String("x".repeat(padding));
        session.extra.insert("padding".to_owned(), padding);
        session
    }

    /// A dynamic registration under way, with a token and a field that this version does not know.
    #[must_use]
    pub fn registration(&self, n: u64, expires_at: Timestamp) -> RegistrationSession {
        RegistrationSession {
            open_id_configuration: object(json!({
                "issuer": format!("https://lms-{n}.example"),
                "registration_endpoint": format!("https://lms-{n}.example/register"),
                "scopes_supported": ["openid", "https://purl.imsglobal.org/spec/lti-ags/scope/score"],
                "https://purl.imsglobal.org/spec/lti-platform-configuration": {
                    "product_family_code": "example", "version": "1.0",
                    "messages_supported": [{"type": "LtiResourceLinkRequest"}],
                },
            })),
            registration_token: Some(format!("registration-token-{:x}", self.number(n))),
            expires_at,
            extra: object(json!({"xUnknown": {"n": n}})),
        }
    }

    /// A nonce.
    #[must_use]
    pub fn nonce(&self, n: u64) -> Nonce {
        text(format!("nonce-{:016x}", self.number(n)))
    }

    /// A principal.
    #[must_use]
    pub fn principal(&self, n: u64) -> Principal {
        text(format!("user-{n}@example.org"))
    }

    /// A JTS session of the principal with this number, with every field set.
    #[must_use]
    pub fn jts_session(&self, n: u64) -> NewJtsSession {
        NewJtsSession {
            device_fingerprint: Some(text(format!("fp-{:x}", self.number(n)))),
            user_agent: Some(text("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101")),
            ip_address: Some(text("2001:db8::8a2e:370:7334")),
            metadata: Some(
                Json::new(&json!({"amr": ["pwd", "otp"], "n": n})).expect("metadata is JSON"),
            ),
            ..NewJtsSession::of(self.principal(n))
        }
    }

    /// The id of a login session.
    #[must_use]
    pub fn login_id(&self, n: u64) -> LoginSessionId {
        text(format!("login-{:016x}", self.number(n)))
    }

    /// The data of a login session whose `refresh_token` is `refresh-0`.
    #[must_use]
    pub fn login_data(&self) -> LoginData {
        object(json!({
            "access_token": "access-0",
            "refresh_token": "refresh-0",
            "expires_in": 3600,
            "user": {"sub": "248289761001", "name": "Jane Doe 🔑", "groups": ["staff", "ünïcode"]},
        }))
    }
}

/// The JSON object that `value` is.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// A text of any kind.
///
/// # Panics
/// If `value` is none of this kind.
#[must_use]
pub fn text<K: store_core::TextKind>(value: impl Into<Box<str>>) -> store_core::Text<K> {
    store_core::Text::new(value).unwrap_or_else(|error| panic!("{error}"))
}

/// The update that sets every field of a client to that of another.
#[must_use]
pub fn update_to(client: &NewClient) -> ClientUpdate {
    ClientUpdate {
        name: Some(client.name.clone()),
        iss: Some(client.iss.clone()),
        client_id: Some(client.client_id.clone()),
        auth_url: Some(client.auth_url.clone()),
        token_url: Some(client.token_url.clone()),
        jwks_url: Some(client.jwks_url.clone()),
    }
}

/// The client without its id.
#[must_use]
pub fn without_id(client: &Client) -> NewClient {
    let client = client.clone();
    NewClient {
        name: client.name,
        iss: client.iss,
        client_id: client.client_id,
        auth_url: client.auth_url,
        token_url: client.token_url,
        jwks_url: client.jwks_url,
    }
}

/// The payload of the ID token of a resource-link launch with every service and some custom parameters.
fn launch_payload(n: u64) -> Value {
    json!({
        "iss": format!("https://lms-{n}.example"),
        "aud": format!("client-{n}"),
        "azp": format!("client-{n}"),
        "sub": format!("a6d5c443-1f51-4783-ba1a-{n:012x}"),
        "exp": 1_893_459_600_u64,
        "iat": 1_893_456_000_u64,
        "nonce": format!("fc5fdc6d-5dd6-47f4-b2c9-{n:012x}"),
        "name": "Ms Jane Marie Doe", "given_name": "Jane", "family_name": "Doe",
        "email": "jane@platform.example",
        "https://purl.imsglobal.org/spec/lti/claim/message_type": "LtiResourceLinkRequest",
        "https://purl.imsglobal.org/spec/lti/claim/version": "1.3.0",
        "https://purl.imsglobal.org/spec/lti/claim/deployment_id": "07940580-b309-415e-a37c-914d387c1150",
        "https://purl.imsglobal.org/spec/lti/claim/target_link_uri": "https://tool.example/lti/48320/ruix8782rs",
        "https://purl.imsglobal.org/spec/lti/claim/roles": [
            "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Student",
            "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner",
            "http://purl.imsglobal.org/vocab/lis/v2/membership#Mentor",
        ],
        "https://purl.imsglobal.org/spec/lti/claim/context": {
            "id": "c1d887f0-a1a3-4bca-ae25-c375edcc131a", "label": "ECON 1010",
            "title": "Economics as a Social Science",
            "type": ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering"],
        },
        "https://purl.imsglobal.org/spec/lti/claim/resource_link": {
            "id": "200d101f-2c14-434a-a0f3-57c2a42369fd", "title": "Introduction Assignment",
        },
        "https://purl.imsglobal.org/spec/lti/claim/tool_platform": {
            "guid": "ex/48bbb541-ce55-456e-8b7d-ebc59a38d435", "name": "Platform", "version": "1.0",
        },
        "https://purl.imsglobal.org/spec/lti/claim/custom": {"xstart": "2017-04-21T01:00:00Z", "n": n},
        "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint": {
            "scope": ["https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"],
            "lineitems": "https://platform.example/context/2923/lineitems",
            "lineitem": "https://platform.example/context/2923/lineitems/1",
        },
        "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": {
            "context_memberships_url": "https://platform.example/context/2923/memberships",
            "service_versions": ["2.0"],
        },
        "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings": {
            "deep_link_return_url": "https://platform.example/deep_links",
            "accept_types": ["link", "ltiResourceLink"],
            "accept_presentation_document_targets": ["iframe", "window"],
            "accept_media_types": "image/*,text/html", "accept_multiple": true, "auto_create": false,
            "data": "csrftoken:c7fbba78",
        },
    })
}
