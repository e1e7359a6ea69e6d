//! Platforms that the tool is registered with.

use async_trait::async_trait;
use store_core::{
    Client, ClientStore, ClientUpdate, ClientWithDeployments, Error, ErrorKind, NewClient, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::{PostgresStore, at};
use crate::mapping;

#[async_trait]
impl ClientStore for PostgresStore {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        let query = &self.queries().lti.list_clients;
        let answer = self.run("list_clients", query, &[]).await?;
        let clients = answer.rows.iter().map(mapping::client);
        clients
            .collect::<Result<_>>()
            .map_err(|error| at("list_clients", error))
    }

    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        let Some(id) = parse_uuid(id) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_client;
        let answer = self.run("get_client", query, &[&id]).await?;
        let Some(first) = answer.rows.first() else {
            return Ok(None);
        };
        let client = mapping::client(first).map_err(|error| at("get_client", error))?;
        let deployments = answer
            .rows
            .iter()
            .filter_map(|row| mapping::deployment(row, 7).transpose())
            .collect::<Result<_>>()
            .map_err(|error| at("get_client", error))?;
        Ok(Some(ClientWithDeployments {
            client,
            deployments,
        }))
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        let client = client.with_id(Uuid::now_v7());
        let answer = self
            .run(
                "add_client",
                &self.queries().lti.add_client,
                &[
                    &client.id,
                    &client.name.as_str(),
                    &client.iss.as_str(),
                    &client.client_id.as_str(),
                    &client.auth_url.as_str(),
                    &client.token_url.as_str(),
                    &client.jwks_url.as_str(),
                ],
            )
            .await?;
        if answer.changed == 0 {
            return Err(taken("add_client"));
        }
        Ok(client)
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        let Some(id) = parse_uuid(id) else {
            return Err(unknown("update_client"));
        };
        let answer = self
            .run(
                "update_client",
                &self.queries().lti.update_client,
                &[
                    &id,
                    &update.name.as_ref().map(|name| name.as_str()),
                    &update.iss.as_ref().map(|iss| iss.as_str()),
                    &update.client_id.as_ref().map(|id| id.as_str()),
                    &update.auth_url.as_ref().map(|url| url.as_str()),
                    &update.token_url.as_ref().map(|url| url.as_str()),
                    &update.jwks_url.as_ref().map(|url| url.as_str()),
                ],
            )
            .await?;
        match answer.rows.first() {
            Some(row) => mapping::client(row).map_err(|error| at("update_client", error)),
            None => Err(unknown("update_client")),
        }
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_client;
        let answer = self.run("delete_client", query, &[&id]).await?;
        Ok(answer.changed > 0)
    }
}

fn taken(operation: &'static str) -> Error {
    let message = "a client with this iss and client_id exists";
    at(operation, Error::new(ErrorKind::AlreadyExists, message))
}

/// No client has the id.
pub(super) fn unknown(operation: &'static str) -> Error {
    let message = "no client has this id";
    at(operation, Error::new(ErrorKind::NotFound, message))
}
