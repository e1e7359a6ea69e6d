//! The deployments of a client.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use store_core::{
    Deployment, DeploymentStore, DeploymentUpdate, Error, NewDeployment, Result, parse_uuid,
};
use uuid::Uuid;

use super::{MemoryStore, already_exists, not_found};

/// The deployments of one client by id, and their ids by what launches call them.
#[derive(Default)]
pub(super) struct Deployments {
    rows: BTreeMap<Uuid, Deployment>,
    ids: HashMap<Box<str>, Uuid>,
}

impl Deployments {
    pub(super) fn list(&self) -> Vec<Deployment> {
        self.rows.values().cloned().collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Deployment> {
        self.rows.get(&parse_uuid(id)?)
    }

    pub(super) fn find(&self, deployment_id: &str) -> Option<&Deployment> {
        self.rows.get(self.ids.get(deployment_id)?)
    }

    pub(super) fn add(&mut self, deployment: NewDeployment) -> Result<Deployment> {
        if self.find(deployment.deployment_id.as_str()).is_some() {
            let message = "the client has a deployment of this deployment_id";
            return Err(already_exists(message));
        }
        let deployment = deployment.with_id(Uuid::now_v7());
        let key = deployment.deployment_id.as_str().into();
        self.ids.insert(key, deployment.id);
        self.rows.insert(deployment.id, deployment.clone());
        Ok(deployment)
    }

    fn update(&mut self, id: &str, update: DeploymentUpdate) -> Result<Deployment> {
        let row = parse_uuid(id).and_then(|id| self.rows.get_mut(&id));
        let row = row.ok_or_else(|| not_found("the client has no deployment with this id"))?;
        let DeploymentUpdate {
            deployment_id,
            name,
            description,
        } = update;
        let changed = Deployment {
            id: row.id,
            deployment_id: deployment_id.unwrap_or_else(|| row.deployment_id.clone()),
            name: name.unwrap_or_else(|| row.name.clone()),
            description: description.unwrap_or_else(|| row.description.clone()),
        };
        let new_key = changed.deployment_id.as_str();
        if self.ids.get(new_key).is_some_and(|id| *id != row.id) {
            let message = "the client has another deployment of this deployment_id";
            return Err(already_exists(message));
        }
        self.ids.remove(row.deployment_id.as_str());
        self.ids.insert(new_key.into(), row.id);
        row.clone_from(&changed);
        Ok(changed)
    }

    fn delete(&mut self, id: &str) -> bool {
        let row = parse_uuid(id).and_then(|id| self.rows.remove(&id));
        row.is_some_and(|row| self.ids.remove(row.deployment_id.as_str()).is_some())
    }
}

/// Deployments as they are, none like another.
impl Extend<Deployment> for Deployments {
    fn extend<I: IntoIterator<Item = Deployment>>(&mut self, deployments: I) {
        for deployment in deployments {
            let key = deployment.deployment_id.as_str().into();
            self.ids.insert(key, deployment.id);
            self.rows.insert(deployment.id, deployment);
        }
    }
}

impl FromIterator<Deployment> for Deployments {
    fn from_iter<I: IntoIterator<Item = Deployment>>(deployments: I) -> Self {
        let mut all = Self::default();
        all.extend(deployments);
        all
    }
}

fn no_client() -> Error {
    not_found("no client has this id")
}

#[async_trait]
impl DeploymentStore for MemoryStore {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        self.step("list_deployments", |state, _| {
            let client = state.clients.get(client).ok_or_else(no_client)?;
            Ok(client.deployments.list())
        })
    }

    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        self.step("get_deployment", |state, _| {
            let client = state.clients.get(client);
            Ok(client
                .and_then(|client| client.deployments.get(id))
                .cloned())
        })
    }

    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        self.step("add_deployment", |state, _| {
            let client = state.clients.get_mut(client).ok_or_else(no_client)?;
            client.deployments.add(deployment)
        })
    }

    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment> {
        self.step("update_deployment", |state, _| {
            let client = state.clients.get_mut(client).ok_or_else(no_client)?;
            client.deployments.update(id, update)
        })
    }

    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        self.step("delete_deployment", |state, _| {
            let client = state.clients.get_mut(client);
            Ok(client.is_some_and(|client| client.deployments.delete(id)))
        })
    }
}
