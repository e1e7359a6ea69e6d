//! Launch configs, derived from clients and deployments.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    DEFAULT_DEPLOYMENT_ID, LaunchConfig, LaunchConfigStore, Name, NewClient, NewDeployment, Result,
};

use super::MemoryStore;

#[async_trait]
impl LaunchConfigStore for MemoryStore {
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>> {
        self.step("get_launch_config", |state, _| {
            let Some(row) = state.clients.find(iss, client_id) else {
                return Ok(None);
            };
            let asked_for = row.deployments.find(deployment_id);
            let found = asked_for.or_else(|| row.deployments.find(DEFAULT_DEPLOYMENT_ID));
            Ok(found.map(|deployment| {
                Arc::new(LaunchConfig {
                    iss: row.client.iss.clone(),
                    client_id: row.client.client_id.clone(),
                    deployment_id: deployment.deployment_id.clone(),
                    auth_url: row.client.auth_url.clone(),
                    token_url: row.client.token_url.clone(),
                    jwks_url: row.client.jwks_url.clone(),
                })
            }))
        })
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        self.step("save_launch_config", |state, _| {
            let (iss, client_id) = (config.iss.as_str(), config.client_id.as_str());
            if state.clients.find(iss, client_id).is_none() {
                state.clients.add(NewClient {
                    name: Name::from_stored(iss),
                    iss: config.iss.clone(),
                    client_id: config.client_id.clone(),
                    auth_url: config.auth_url.clone(),
                    token_url: config.token_url.clone(),
                    jwks_url: config.jwks_url.clone(),
                })?;
            }
            let Some(row) = state.clients.find_mut(iss, client_id) else {
                unreachable!("the client was there or has been added");
            };
            row.client.auth_url.clone_from(&config.auth_url);
            row.client.token_url.clone_from(&config.token_url);
            row.client.jwks_url.clone_from(&config.jwks_url);
            if row
                .deployments
                .find(config.deployment_id.as_str())
                .is_none()
            {
                row.deployments.add(NewDeployment {
                    deployment_id: config.deployment_id.clone(),
                    name: None,
                    description: None,
                })?;
            }
            Ok(())
        })
    }
}
