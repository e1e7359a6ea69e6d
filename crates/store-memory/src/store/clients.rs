//! Clients, which hold their deployments.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use store_core::{
    Client, ClientStore, ClientUpdate, ClientWithDeployments, Deployment, NewClient, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::deployments::Deployments;
use super::{MemoryStore, already_exists, not_found};

/// All clients by id, and their ids by what launches call them.
#[derive(Default)]
pub(super) struct Clients {
    rows: BTreeMap<Uuid, ClientRow>,
    ids: HashMap<(Box<str>, Box<str>), Uuid>,
}

pub(super) struct ClientRow {
    pub(super) client: Client,
    pub(super) deployments: Deployments,
}

fn key(iss: &str, client_id: &str) -> (Box<str>, Box<str>) {
    (iss.into(), client_id.into())
}

impl Clients {
    pub(super) fn get(&self, id: &str) -> Option<&ClientRow> {
        self.rows.get(&parse_uuid(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut ClientRow> {
        self.rows.get_mut(&parse_uuid(id)?)
    }

    pub(super) fn find(&self, iss: &str, client_id: &str) -> Option<&ClientRow> {
        self.rows.get(self.ids.get(&key(iss, client_id))?)
    }

    pub(super) fn find_mut(&mut self, iss: &str, client_id: &str) -> Option<&mut ClientRow> {
        self.rows.get_mut(self.ids.get(&key(iss, client_id))?)
    }

    pub(super) fn add(&mut self, client: NewClient) -> Result<&mut ClientRow> {
        let key = key(client.iss.as_str(), client.client_id.as_str());
        if self.ids.contains_key(&key) {
            return Err(already_exists("a client has this iss and client_id"));
        }
        let id = Uuid::now_v7();
        self.ids.insert(key, id);
        Ok(self.rows.entry(id).or_insert(ClientRow {
            client: client.with_id(id),
            deployments: Deployments::default(),
        }))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.rows.keys().copied()
    }

    /// Adds a client as it is, and tells whether its place was free.
    pub(super) fn place(&mut self, client: ClientWithDeployments) -> bool {
        let ClientWithDeployments {
            client,
            deployments,
        } = client;
        let key = key(client.iss.as_str(), client.client_id.as_str());
        if self.ids.contains_key(&key) || self.rows.contains_key(&client.id) {
            return false;
        }
        let id = client.id;
        let deployments = deployments.into_iter().collect();
        self.ids.insert(key, id);
        let row = ClientRow {
            client,
            deployments,
        };
        self.rows.insert(id, row).is_none()
    }

    /// Adds deployments to a client that has none like them.
    pub(super) fn place_deployments(&mut self, client: &Client, missing: Vec<&Deployment>) {
        if let Some(row) = self.rows.get_mut(&client.id) {
            row.deployments.extend(missing.into_iter().cloned());
        }
    }

    fn update(&mut self, id: &str, update: ClientUpdate) -> Result<Client> {
        let row = parse_uuid(id).and_then(|id| self.rows.get_mut(&id));
        let client = &mut row
            .ok_or_else(|| not_found("no client has this id"))?
            .client;
        let changed = Client {
            id: client.id,
            name: update.name.unwrap_or_else(|| client.name.clone()),
            iss: update.iss.unwrap_or_else(|| client.iss.clone()),
            client_id: update.client_id.unwrap_or_else(|| client.client_id.clone()),
            auth_url: update.auth_url.unwrap_or_else(|| client.auth_url.clone()),
            token_url: update.token_url.unwrap_or_else(|| client.token_url.clone()),
            jwks_url: update.jwks_url.unwrap_or_else(|| client.jwks_url.clone()),
        };
        let new_key = key(changed.iss.as_str(), changed.client_id.as_str());
        if self.ids.get(&new_key).is_some_and(|id| *id != client.id) {
            return Err(already_exists("another client has this iss and client_id"));
        }
        let old_key = key(client.iss.as_str(), client.client_id.as_str());
        self.ids.remove(&old_key);
        self.ids.insert(new_key, client.id);
        client.clone_from(&changed);
        Ok(changed)
    }

    fn delete(&mut self, id: &str) -> bool {
        let row = parse_uuid(id).and_then(|id| self.rows.remove(&id));
        row.is_some_and(|row| {
            let key = key(row.client.iss.as_str(), row.client.client_id.as_str());
            self.ids.remove(&key).is_some()
        })
    }
}

#[async_trait]
impl ClientStore for MemoryStore {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        self.step("list_clients", |state, _| {
            let rows = state.clients.rows.values();
            Ok(rows.map(|row| row.client.clone()).collect())
        })
    }

    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        self.step("get_client", |state, _| {
            let row = state.clients.get(id);
            Ok(row.map(|row| ClientWithDeployments {
                client: row.client.clone(),
                deployments: row.deployments.list(),
            }))
        })
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        self.step("add_client", |state, _| {
            state.clients.add(client).map(|row| row.client.clone())
        })
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        self.step("update_client", |state, _| state.clients.update(id, update))
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        self.step("delete_client", |state, _| Ok(state.clients.delete(id)))
    }
}
