//! What a tool needs to answer a launch.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    ClientId, DEFAULT_DEPLOYMENT_ID, DeploymentId, Issuer, LaunchConfig, LaunchConfigStore, Result,
};
use uuid::Uuid;

use super::{MySqlStore, at};
use crate::execute::Batch;
use crate::mapping::{self, Param};

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
        let params = [
            iss.into(),
            client_id.into(),
            deployment_id.into(),
            deployment_id.into(),
        ];
        let mut answer = self.run("get_launch_config", query, &params).await?;
        let row = answer.rows.first_mut();
        let config = row.map(mapping::launch_config).transpose();
        config
            .map(|config| config.map(Arc::new))
            .map_err(|error| at("get_launch_config", error))
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        let (iss, client_id): (Param<'_>, _) = ((&config.iss).into(), (&config.client_id).into());
        let auth_url = (&config.auth_url).into();
        let (token_url, jwks_url) = ((&config.token_url).into(), (&config.jwks_url).into());
        let client = [
            Uuid::now_v7().into(),
            iss,
            iss,
            client_id,
            auth_url,
            token_url,
            jwks_url,
            auth_url,
            token_url,
            jwks_url,
        ];
        let deployment = [
            Uuid::now_v7().into(),
            (&config.deployment_id).into(),
            iss,
            client_id,
        ];
        let queries = &self.queries().lti;
        let batch =
            Batch::new(&queries.save_client, &client).with(&queries.save_deployment, &deployment);
        self.run_together("save_launch_config", batch).await?;
        Ok(())
    }
}
