//! Deployments of the tool on a platform.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::identifiers::{DeploymentId, Description, Name};

/// The `deployment_id` that [`LaunchConfigStore`](crate::LaunchConfigStore) falls back to.
pub const DEFAULT_DEPLOYMENT_ID: &str = "default";

/// A deployment of the tool on a platform (LTI 1.3 §3.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Our own id of it, made when it is added.
    pub id: Uuid,
    /// The platform's id of it, as launches carry it.
    pub deployment_id: DeploymentId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it is used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// A deployment to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDeployment {
    /// The platform's id of it, as launches carry it.
    pub deployment_id: DeploymentId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it is used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

impl NewDeployment {
    /// The deployment that this becomes under `id`. For backends.
    #[must_use]
    pub fn with_id(self, id: Uuid) -> Deployment {
        Deployment {
            id,
            deployment_id: self.deployment_id,
            name: self.name,
            description: self.description,
        }
    }
}

/// What to change of a deployment: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentUpdate {
    /// The platform's id of it.
    pub deployment_id: Option<DeploymentId>,
    /// A name for people.
    pub name: Option<Option<Name>>,
    /// What it is used for.
    pub description: Option<Option<Description>>,
}

/// Keeps deployments. `deployment_id` is unique within a client.
///
/// `client` and `id` are our own ids, [`Client::id`](crate::Client::id) and [`Deployment::id`].
#[async_trait]
pub trait DeploymentStore: Send + Sync {
    /// The deployments of a client, ordered by id.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such client.
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>>;

    /// A deployment of a client, or `None`, also for malformed ids and an unknown client.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>>;

    /// Adds a deployment to a client under a new id.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such client,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if it has a deployment of this `deployment_id`.
    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment>;

    /// Changes the fields that are given, all or none, and returns the deployment as it is then.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if the client has none with this id,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if another has its new `deployment_id`.
    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment>;

    /// Deletes a deployment of a client and tells whether it existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool>;
}
