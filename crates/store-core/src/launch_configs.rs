//! What a tool needs to answer a launch, looked up by what the launch says.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::identifiers::{ClientId, DeploymentId, EndpointUrl, Issuer};

/// The endpoints of the platform that a launch comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchConfig {
    /// The platform's issuer identifier.
    pub iss: Issuer,
    /// The client id that the platform gave the tool.
    pub client_id: ClientId,
    /// The deployment found: the one asked for, or `default`.
    pub deployment_id: DeploymentId,
    /// The platform's OIDC authentication endpoint.
    pub auth_url: EndpointUrl,
    /// The platform's OAuth 2.0 token endpoint.
    pub token_url: EndpointUrl,
    /// Where the platform publishes its keys.
    pub jwks_url: EndpointUrl,
}

/// Derives launch configs from clients and deployments, so that they can't go stale.
#[async_trait]
pub trait LaunchConfigStore: Send + Sync {
    /// The launch config of a deployment of the client `(iss, client_id)`: of the deployment with this
    /// `deployment_id`, or else of the one whose `deployment_id` is `default`, or `None`.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>>;

    /// Makes sure that the client and the deployment exist and that the client has these endpoints.
    ///
    /// A client that exists keeps its id and name and takes the endpoints (for all of its
    /// deployments); a new one is named after its issuer. A deployment that exists is left alone.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()>;
}
