//! Platforms that the tool is registered with.

use async_trait::async_trait;
use mysql_async::Row;
use store_core::{
    Client, ClientStore, ClientUpdate, ClientWithDeployments, Error, ErrorKind, NewClient, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::{MySqlStore, at};
use crate::execute::{Answer, Batch};
use crate::mapping::{self, Param};

#[async_trait]
impl ClientStore for MySqlStore {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        let query = &self.queries().lti.list_clients;
        let mut answer = self.run("list_clients", query, &[]).await?;
        let clients = answer.rows.iter_mut().map(mapping::client);
        clients
            .collect::<Result<_>>()
            .map_err(|error| at("list_clients", error))
    }

    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        let Some(id) = parse_uuid(id) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_client;
        let mut answer = self.run("get_client", query, &[id.into()]).await?;
        with_deployments(&mut answer.rows).map_err(|error| at("get_client", error))
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        let client = client.with_id(Uuid::now_v7());
        let query = &self.queries().lti.add_client;
        let added = self.run("add_client", query, &row(&client)).await;
        added.map_err(|error| taken("add_client", error))?;
        Ok(client)
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        let Some(id) = parse_uuid(id) else {
            return Err(unknown("update_client"));
        };
        let queries = &self.queries().lti;
        let changes = [
            update.name.as_ref().into(),
            update.iss.as_ref().into(),
            update.client_id.as_ref().into(),
            update.auth_url.as_ref().into(),
            update.token_url.as_ref().into(),
            update.jwks_url.as_ref().into(),
            id.into(),
        ];
        let batch =
            Batch::new(&queries.update_client, &changes).with(&queries.read_client, &[id.into()]);
        let answers = self.run_together("update_client", batch).await;
        let mut answers = answers.map_err(|error| taken("update_client", error))?;
        match answers.pop().and_then(Answer::first) {
            Some(mut row) => mapping::client(&mut row).map_err(|error| at("update_client", error)),
            None => Err(unknown("update_client")),
        }
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        let Some(id) = parse_uuid(id) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_client;
        let answer = self.run("delete_client", query, &[id.into()]).await?;
        Ok(answer.changed > 0)
    }
}

/// The rows of one client, with its deployments from column 7.
pub(super) fn with_deployments(rows: &mut [Row]) -> Result<Option<ClientWithDeployments>> {
    let Some(first) = rows.first_mut() else {
        return Ok(None);
    };
    let client = mapping::client(first)?;
    let deployments = rows
        .iter_mut()
        .filter_map(|row| mapping::deployment(row, 7).transpose());
    Ok(Some(ClientWithDeployments {
        client,
        deployments: deployments.collect::<Result<_>>()?,
    }))
}

/// A client's row as parameters.
pub(super) fn row(client: &Client) -> [Param<'_>; 7] {
    [
        client.id.into(),
        (&client.name).into(),
        (&client.iss).into(),
        (&client.client_id).into(),
        (&client.auth_url).into(),
        (&client.token_url).into(),
        (&client.jwks_url).into(),
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
