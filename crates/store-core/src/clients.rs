//! Platforms that the tool is registered with.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deployments::Deployment;
use crate::error::Result;
use crate::identifiers::{ClientId, EndpointUrl, Issuer, Name};

/// A registration of the tool with a platform: an LTI 1.3 client (LTI 1.3 §3.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Our own id of it, made when it is added.
    pub id: Uuid,
    /// A name for people.
    pub name: Name,
    /// The platform's issuer identifier.
    pub iss: Issuer,
    /// The client id that the platform gave the tool.
    pub client_id: ClientId,
    /// The platform's OIDC authentication endpoint.
    pub auth_url: EndpointUrl,
    /// The platform's OAuth 2.0 token endpoint.
    pub token_url: EndpointUrl,
    /// Where the platform publishes its keys.
    pub jwks_url: EndpointUrl,
}

/// A client to add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewClient {
    /// A name for people.
    pub name: Name,
    /// The platform's issuer identifier.
    pub iss: Issuer,
    /// The client id that the platform gave the tool.
    pub client_id: ClientId,
    /// The platform's OIDC authentication endpoint.
    pub auth_url: EndpointUrl,
    /// The platform's OAuth 2.0 token endpoint.
    pub token_url: EndpointUrl,
    /// Where the platform publishes its keys.
    pub jwks_url: EndpointUrl,
}

impl NewClient {
    /// The client that this becomes under `id`. For backends.
    #[must_use]
    pub fn with_id(self, id: Uuid) -> Client {
        Client {
            id,
            name: self.name,
            iss: self.iss,
            client_id: self.client_id,
            auth_url: self.auth_url,
            token_url: self.token_url,
            jwks_url: self.jwks_url,
        }
    }
}

/// What to change of a client: `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientUpdate {
    /// A name for people.
    pub name: Option<Name>,
    /// The platform's issuer identifier.
    pub iss: Option<Issuer>,
    /// The client id that the platform gave the tool.
    pub client_id: Option<ClientId>,
    /// The platform's OIDC authentication endpoint.
    pub auth_url: Option<EndpointUrl>,
    /// The platform's OAuth 2.0 token endpoint.
    pub token_url: Option<EndpointUrl>,
    /// Where the platform publishes its keys.
    pub jwks_url: Option<EndpointUrl>,
}

/// A client and its deployments, ordered by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientWithDeployments {
    /// The client.
    #[serde(flatten)]
    pub client: Client,
    /// Its deployments.
    pub deployments: Vec<Deployment>,
}

/// Keeps clients. `(iss, client_id)` is unique among them.
#[async_trait]
pub trait ClientStore: Send + Sync {
    /// All clients, ordered by id (ids made here grow with time, so this is the order of adding).
    ///
    /// # Errors
    /// Those of the connection only.
    async fn list_clients(&self) -> Result<Vec<Client>>;

    /// The client with this id and its deployments, or `None`, also for a malformed id.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>>;

    /// Adds a client under a new id.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if one has this `(iss, client_id)`.
    async fn add_client(&self, client: NewClient) -> Result<Client>;

    /// Changes the fields that are given, all or none, and returns the client as it is then.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is none with this id,
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if another has its new `(iss, client_id)`.
    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client>;

    /// Deletes a client together with its deployments and tells whether it existed.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_client(&self, id: &str) -> Result<bool>;
}
