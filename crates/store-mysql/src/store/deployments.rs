//! Deployments of the tool on a platform.

use async_trait::async_trait;
use store_core::{
    Deployment, DeploymentStore, DeploymentUpdate, Error, ErrorKind, NewDeployment, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::clients;
use super::{MySqlStore, at};
use crate::error::NO_REFERENCED_ROW;
use crate::execute::{Answer, Batch};
use crate::mapping::{self, Param};

#[async_trait]
impl DeploymentStore for MySqlStore {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        let Some(client) = parse_uuid(client) else {
            return Err(clients::unknown("list_deployments"));
        };
        let query = &self.queries().lti.list_deployments;
        let mut answer = self
            .run("list_deployments", query, &[client.into()])
            .await?;
        if answer.rows.is_empty() {
            return Err(clients::unknown("list_deployments"));
        }
        let rows = answer.rows.iter_mut();
        rows.filter_map(|row| mapping::deployment(row, 0).transpose())
            .collect::<Result<_>>()
            .map_err(|error| at("list_deployments", error))
    }

    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        let (Some(client), Some(id)) = (parse_uuid(client), parse_uuid(id)) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_deployment;
        let params = [id.into(), client.into()];
        let answer = self.run("get_deployment", query, &params).await?;
        match answer.first() {
            Some(mut row) => {
                mapping::deployment(&mut row, 0).map_err(|error| at("get_deployment", error))
            }
            None => Ok(None),
        }
    }

    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        let Some(client) = parse_uuid(client) else {
            return Err(clients::unknown("add_deployment"));
        };
        let deployment = deployment.with_id(Uuid::now_v7());
        let query = &self.queries().lti.add_deployment;
        let added = self
            .run("add_deployment", query, &row(client, &deployment))
            .await;
        match added {
            Ok(_) => Ok(deployment),
            Err(error) if lacks_client(&error) => Err(clients::unknown("add_deployment")),
            Err(error) => Err(taken("add_deployment", error)),
        }
    }

    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment> {
        let (Some(client), Some(id)) = (parse_uuid(client), parse_uuid(id)) else {
            return Err(unknown("update_deployment"));
        };
        let name = update.name.as_ref();
        let description = update.description.as_ref();
        let queries = &self.queries().lti;
        let changes = [
            update.deployment_id.as_ref().into(),
            name.is_some().into(),
            name.and_then(Option::as_ref).into(),
            description.is_some().into(),
            description.and_then(Option::as_ref).into(),
            id.into(),
            client.into(),
        ];
        let batch = Batch::new(&queries.update_deployment, &changes)
            .with(&queries.get_deployment, &[id.into(), client.into()]);
        let answers = self.run_together("update_deployment", batch).await;
        let mut answers = answers.map_err(|error| taken("update_deployment", error))?;
        let row = answers.pop().and_then(Answer::first);
        let mut row = row.ok_or_else(|| unknown("update_deployment"))?;
        mapping::deployment(&mut row, 0)
            .map_err(|error| at("update_deployment", error))?
            .ok_or_else(|| unknown("update_deployment"))
    }

    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        let (Some(client), Some(id)) = (parse_uuid(client), parse_uuid(id)) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_deployment;
        let params = [id.into(), client.into()];
        let answer = self.run("delete_deployment", query, &params).await?;
        Ok(answer.changed > 0)
    }
}

/// A deployment's row as parameters.
pub(super) fn row(client: Uuid, deployment: &Deployment) -> [Param<'_>; 5] {
    [
        deployment.id.into(),
        client.into(),
        (&deployment.deployment_id).into(),
        deployment.name.as_ref().into(),
        deployment.description.as_ref().into(),
    ]
}

/// Whether a deployment was refused because no client has the id that it names.
pub(super) fn lacks_client(error: &Error) -> bool {
    error.code() == Some(&NO_REFERENCED_ROW.to_string())
}

/// What to say where a unique key does not hold.
fn taken(operation: &'static str, error: Error) -> Error {
    if error.kind() != ErrorKind::AlreadyExists {
        return error;
    }
    let message = "the client has a deployment with this deployment_id";
    at(operation, Error::new(ErrorKind::AlreadyExists, message))
}

fn unknown(operation: &'static str) -> Error {
    let message = "the client has no deployment with this id";
    at(operation, Error::new(ErrorKind::NotFound, message))
}
