//! Platforms that the tool is registered with.

use async_trait::async_trait;
use mysql_async::Row;
use store_core::{
    Client, ClientStore, ClientUpdate, ClientWithDeployments, Error, ErrorKind, NewClient, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::{MySqlStore, at};
use crate::execute::Params;
use crate::mapping;

#[async_trait]
impl ClientStore for MySqlStore {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        let query = &self.queries().lti.list_clients;
        let answer = self.run("list_clients", query, Vec::new()).await?;
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
        let answer = self.run("get_client", query, vec![mapping::id(id)]).await?;
        with_deployments(&answer.rows).map_err(|error| at("get_client", error))
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        let client = client.with_id(Uuid::now_v7());
        let query = &self.queries().lti.add_client;
        let added = self.run("add_client", query, row(&client)).await;
        added.map_err(|error| taken("add_client", error))?;
        Ok(client)
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        let Some(id) = parse_uuid(id) else {
            return Err(unknown("update_client"));
        };
        let queries = &self.queries().lti;
        let changes = vec![
            mapping::optional(update.name.as_ref()),
            mapping::optional(update.iss.as_ref()),
            mapping::optional(update.client_id.as_ref()),
            mapping::optional(update.auth_url.as_ref()),
            mapping::optional(update.token_url.as_ref()),
            mapping::optional(update.jwks_url.as_ref()),
            mapping::id(id),
        ];
        let steps = [
            (&queries.update_client, changes),
            (&queries.read_client, vec![mapping::id(id)]),
        ];
        let answers = self.run_together("update_client", &steps).await;
        let answers = answers.map_err(|error| taken("update_client", error))?;
        match answers.last().and_then(|answer| answer.rows.first()) {
            Some(row) => mapping::client(row).map_err(|error| at("update_client", error)),
            None => Err(unknown("update_client")),
        }
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_client;
        let answer = self
            .run("delete_client", query, vec![mapping::id(id)])
            .await?;
        Ok(answer.changed > 0)
    }
}

/// The rows of one client, with its deployments from column 7.
pub(super) fn with_deployments(rows: &[Row]) -> Result<Option<ClientWithDeployments>> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let deployments = rows
        .iter()
        .filter_map(|row| mapping::deployment(row, 7).transpose());
    Ok(Some(ClientWithDeployments {
        client: mapping::client(first)?,
        deployments: deployments.collect::<Result<_>>()?,
    }))
}

/// A client's row as parameters.
pub(super) fn row(client: &Client) -> Params {
    vec![
        mapping::id(client.id),
        client.name.as_str().into(),
        client.iss.as_str().into(),
        client.client_id.as_str().into(),
        client.auth_url.as_str().into(),
        client.token_url.as_str().into(),
        client.jwks_url.as_str().into(),
    ]
}

/// What to say where a unique key does not hold.
fn taken(operation: &'static str, error: Error) -> Error {
    if error.kind() != ErrorKind::AlreadyExists {
        return error;
    }
    let message = "a client with this iss and client_id exists";
    at(operation, Error::new(ErrorKind::AlreadyExists, message))
}

/// No client has the id.
pub(super) fn unknown(operation: &'static str) -> Error {
    let message = "no client has this id";
    at(operation, Error::new(ErrorKind::NotFound, message))
}
