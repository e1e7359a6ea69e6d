//! What a tool needs to answer a launch.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    ClientId, DEFAULT_DEPLOYMENT_ID, DeploymentId, Issuer, LaunchConfig, LaunchConfigStore, Result,
};
use uuid::Uuid;

use super::{PostgresStore, at};
use crate::mapping;

#[async_trait]
impl LaunchConfigStore for PostgresStore {
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
        let answer = self
            .run(
                "get_launch_config",
                query,
                &[&iss, &client_id, &deployment_id],
            )
            .await?;
        let config = answer.rows.first().map(mapping::launch_config).transpose();
        config
            .map(|config| config.map(Arc::new))
            .map_err(|error| at("get_launch_config", error))
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        self.run(
            "save_launch_config",
            &self.queries().lti.save_launch_config,
            &[
                &Uuid::now_v7(),
                &config.iss.as_str(),
                &config.client_id.as_str(),
                &config.auth_url.as_str(),
                &config.token_url.as_str(),
                &config.jwks_url.as_str(),
                &Uuid::now_v7(),
                &config.deployment_id.as_str(),
            ],
        )
        .await?;
        Ok(())
    }
}
