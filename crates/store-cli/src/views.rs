//! What of the domain is shown, and how it is called in JSON.

use serde::Serialize;
use store::{Client, ClientWithDeployments, Deployment, JtsSession, Timestamp};
use uuid::Uuid;

#[derive(Debug, Serialize)]
pub(crate) struct ClientView<'a> {
    id: Uuid,
    name: &'a str,
    iss: &'a str,
    client_id: &'a str,
    auth_url: &'a str,
    token_url: &'a str,
    jwks_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<DeploymentView<'a>>>,
}

impl<'a> From<&'a Client> for ClientView<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            id: client.id,
            name: client.name.as_str(),
            iss: client.iss.as_str(),
            client_id: client.client_id.as_str(),
            auth_url: client.auth_url.as_str(),
            token_url: client.token_url.as_str(),
            jwks_url: client.jwks_url.as_str(),
            deployments: None,
        }
    }
}

impl<'a> From<&'a ClientWithDeployments> for ClientView<'a> {
    fn from(client: &'a ClientWithDeployments) -> Self {
        Self {
            deployments: Some(client.deployments.iter().map(Into::into).collect()),
            ..Self::from(&client.client)
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct DeploymentView<'a> {
    id: Uuid,
    deployment_id: &'a str,
    name: Option<&'a str>,
    description: Option<&'a str>,
}

impl<'a> From<&'a Deployment> for DeploymentView<'a> {
    fn from(deployment: &'a Deployment) -> Self {
        Self {
            id: deployment.id,
            deployment_id: deployment.deployment_id.as_str(),
            name: deployment.name.as_ref().map(|name| name.as_str()),
            description: deployment.description.as_ref().map(|text| text.as_str()),
        }
    }
}

/// A JTS session without its proofs and metadata.
#[derive(Debug, Serialize)]
pub(crate) struct SessionView<'a> {
    aid: &'a str,
    prn: &'a str,
    state_proof_version: u32,
    created_at: Timestamp,
    last_active: Timestamp,
    expires_at: Timestamp,
    rotated_at: Option<Timestamp>,
    ip_address: Option<&'a str>,
    user_agent: Option<&'a str>,
    device_fingerprint: Option<&'a str>,
}

impl<'a> From<&'a JtsSession> for SessionView<'a> {
    fn from(session: &'a JtsSession) -> Self {
        Self {
            aid: session.aid.as_str(),
            prn: session.prn.as_str(),
            state_proof_version: session.state_proof_version,
            created_at: session.created_at,
            last_active: session.last_active,
            expires_at: session.expires_at,
            rotated_at: session.rotation_timestamp,
            ip_address: session.ip_address.as_ref().map(|text| text.as_str()),
            user_agent: session.user_agent.as_ref().map(|text| text.as_str()),
            device_fingerprint: session
                .device_fingerprint
                .as_ref()
                .map(|text| text.as_str()),
        }
    }
}
