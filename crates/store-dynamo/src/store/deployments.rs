//! Deployments of the tool on a platform.
//!
//! A deployment is two items: itself, and a marker found by the client's base and its `deployment_id`,
//! which makes that unique and is what a launch looks for.

use async_trait::async_trait;
use store_core::{
    Deployment, DeploymentStore, DeploymentUpdate, Error, ErrorKind, NewDeployment, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::clients::{self, unknown};
use super::{DynamoStore, within};
use crate::execute::{Operation, Transacted};
use crate::mapping::{self, StoredClient, StoredDeployment, item, n, s};
use crate::queries;
use crate::write::Write;

#[async_trait]
impl DeploymentStore for DynamoStore {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        within("list_deployments", async {
            let operation = self.begin().await?;
            if parse_uuid(client).is_none() {
                return Err(unknown());
            }
            let found = clients::read(&operation, client).await?;
            found.map(|found| found.deployments).ok_or_else(unknown)
        })
        .await
    }

    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        within("get_deployment", async {
            let operation = self.begin().await?;
            let found = stored(&operation, client, id).await?;
            Ok(found.map(|(_, stored)| stored.deployment))
        })
        .await
    }

    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        within("add_deployment", async {
            let operation = self.begin().await?;
            if parse_uuid(client).is_none() {
                return Err(unknown());
            }
            let Some(owner) = clients::stored(&operation, client).await? else {
                return Err(unknown());
            };
            let stored = StoredDeployment {
                deployment: deployment.with_id(Uuid::now_v7()),
                rev: 1,
            };
            let mut writes = insert(&owner, &stored);
            writes.push(owner_exists(&owner));
            match operation.transact(writes).await? {
                Transacted::Done => Ok(stored.deployment),
                Transacted::Refused(refused) if refused == [MARKER] => Err(taken()),
                Transacted::Refused(_) => Err(unknown()),
            }
        })
        .await
    }

    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment> {
        within("update_deployment", async {
            let mut operation = self.begin().await?;
            loop {
                let Some((owner, seen)) = stored(&operation, client, id).await? else {
                    return Err(missing());
                };
                let mut next = seen.clone();
                apply(&mut next.deployment, update.clone());
                if next.deployment == seen.deployment {
                    return Ok(next.deployment);
                }
                next.rev += 1;
                let renamed = next.deployment.deployment_id != seen.deployment.deployment_id;
                let mut writes = vec![
                    owner_exists(&owner),
                    Write::put(
                        queries::deployment(client, id),
                        mapping::deployment_item(&next),
                    )
                    .when(queries::UNCHANGED)
                    .with(":seen", n(seen.rev)),
                ];
                if renamed {
                    writes.push(put_marker(&owner, &next.deployment));
                    writes.push(delete_marker(&owner, &seen.deployment));
                }
                match operation.transact(writes).await? {
                    Transacted::Done => return Ok(next.deployment),
                    Transacted::Refused(refused) if refused == [2] => return Err(taken()),
                    Transacted::Refused(_) => operation.look_again().await?,
                }
            }
        })
        .await
    }

    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        within("delete_deployment", async {
            let mut operation = self.begin().await?;
            loop {
                let Some((owner, seen)) = stored(&operation, client, id).await? else {
                    return Ok(false);
                };
                let delete = Write::delete(queries::deployment(client, id));
                let writes = vec![
                    owner_exists(&owner),
                    delete.when(queries::UNCHANGED).with(":seen", n(seen.rev)),
                    delete_marker(&owner, &seen.deployment),
                ];
                match operation.transact(writes).await? {
                    Transacted::Done => return Ok(true),
                    Transacted::Refused(_) => operation.look_again().await?,
                }
            }
        })
        .await
    }
}

/// Where the marker stands in [`insert`].
const MARKER: usize = 0;

/// Adds a deployment of a client that must exist.
pub(crate) fn insert(owner: &StoredClient, stored: &StoredDeployment) -> Vec<Write> {
    let client = owner.client.id.to_string();
    let deployment = &stored.deployment;
    let key = queries::deployment(&client, &deployment.id.to_string());
    vec![
        put_marker(owner, deployment),
        Write::put(key, mapping::deployment_item(stored)).when(queries::ABSENT),
    ]
}

/// A marker is free too if the client that left it there is gone.
fn put_marker(owner: &StoredClient, deployment: &Deployment) -> Write {
    let client = s(owner.client.id);
    let key = queries::marker(&owner.base, deployment.deployment_id.as_str());
    let marker = item([("client", client.clone()), ("deployment", s(deployment.id))]);
    let put = Write::put(key, marker);
    put.when(queries::MARKER_FREE).with(":client", client)
}

fn delete_marker(owner: &StoredClient, deployment: &Deployment) -> Write {
    let key = queries::marker(&owner.base, deployment.deployment_id.as_str());
    Write::delete(key)
}

pub(crate) fn owner_exists(owner: &StoredClient) -> Write {
    let id = owner.client.id.to_string();
    Write::check(queries::client(&id)).when(queries::EXISTS)
}

/// A deployment and its client, if both are there.
async fn stored(
    operation: &Operation,
    client: &str,
    id: &str,
) -> Result<Option<(StoredClient, StoredDeployment)>> {
    if parse_uuid(client).is_none() || parse_uuid(id).is_none() {
        return Ok(None);
    }
    let keys = [queries::deployment(client, id), queries::client(client)];
    let mut found = operation.get_all(&keys).await?.into_iter();
    match (found.next().flatten(), found.next().flatten()) {
        (Some(deployment), Some(client)) => Ok(Some((
            mapping::client(client)?,
            mapping::deployment(deployment)?,
        ))),
        _ => Ok(None),
    }
}

fn apply(deployment: &mut Deployment, update: DeploymentUpdate) {
    if let Some(deployment_id) = update.deployment_id {
        deployment.deployment_id = deployment_id;
    }
    if let Some(name) = update.name {
        deployment.name = name;
    }
    if let Some(description) = update.description {
        deployment.description = description;
    }
}

fn taken() -> Error {
    let message = "the client has a deployment with this deployment_id";
    Error::new(ErrorKind::AlreadyExists, message)
}

fn missing() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "the client has no deployment with this id",
    )
}
