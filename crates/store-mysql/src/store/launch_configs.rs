//! What a tool needs to answer a launch.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    ClientId, DEFAULT_DEPLOYMENT_ID, DeploymentId, Issuer, LaunchConfig, LaunchConfigStore, Result,
};
use uuid::Uuid;

use super::{MySqlStore, at};
use crate::mapping;

#[async_trait]
impl LaunchConfigStore for MySqlStore {
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>> {
        if !Issuer::accepts(iss) || !ClientId::accepts(client_id) {
            return Ok(None);
        }
        // No deployment has a malformed id.
        let deployment_id = if DeploymentId::accepts(deployment_id) {
            deployment_id
        } else {
            DEFAULT_DEPLOYMENT_ID
        };
        let query = &self.queries().lti.get_launch_config;
        let params = vec![
            iss.into(),
            client_id.into(),
            deployment_id.into(),
            deployment_id.into(),
        ];
        let answer = self.run("get_launch_config", query, params).await?;
        let config = answer.rows.first().map(mapping::launch_config).transpose();
        config
            .map(|config| config.map(Arc::new))
            .map_err(|error| at("get_launch_config", error))
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        let (iss, client_id) = (config.iss.as_str(), config.client_id.as_str());
        let (auth_url, token_url) = (config.auth_url.as_str(), config.token_url.as_str());
        let jwks_url = config.jwks_url.as_str();
        let client = vec![
            mapping::id(Uuid::now_v7()),
            iss.into(),
            iss.into(),
            client_id.into(),
            auth_url.into(),
            token_url.into(),
            jwks_url.into(),
            auth_url.into(),
            token_url.into(),
            jwks_url.into(),
        ];
        let deployment = vec![
            mapping::id(Uuid::now_v7()),
            config.deployment_id.as_str().into(),
            iss.into(),
            client_id.into(),
        ];
        let queries = &self.queries().lti;
        let steps = [
            (&queries.save_client, client),
            (&queries.save_deployment, deployment),
        ];
        self.run_together("save_launch_config", &steps).await?;
        Ok(())
    }
}
