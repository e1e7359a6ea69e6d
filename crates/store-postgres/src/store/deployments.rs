//! Deployments of the tool on a platform.

use async_trait::async_trait;
use store_core::{
    Deployment, DeploymentStore, DeploymentUpdate, Error, ErrorKind, NewDeployment, Result,
    parse_uuid,
};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::clients;
use super::{PostgresStore, at};
use crate::mapping;

#[async_trait]
impl DeploymentStore for PostgresStore {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        let Some(client) = parse_uuid(client) else {
            return Err(clients::unknown("list_deployments"));
        };
        let query = &self.queries().lti.list_deployments;
        let answer = self.run("list_deployments", query, &[&client]).await?;
        if answer.rows.is_empty() {
            return Err(clients::unknown("list_deployments"));
        }
        let rows = answer.rows.iter();
        rows.filter_map(|row| mapping::deployment(row, 0).transpose())
            .collect::<Result<_>>()
            .map_err(|error| at("list_deployments", error))
    }

    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        let (Some(client), Some(id)) = (parse_uuid(client), parse_uuid(id)) else {
            return Ok(None);
        };
        let query = &self.queries().lti.get_deployment;
        let answer = self.run("get_deployment", query, &[&id, &client]).await?;
        match answer.rows.first() {
            Some(row) => mapping::deployment(row, 0).map_err(|error| at("get_deployment", error)),
            None => Ok(None),
        }
    }

    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        let Some(client) = parse_uuid(client) else {
            return Err(clients::unknown("add_deployment"));
        };
        let deployment = deployment.with_id(Uuid::now_v7());
        let answer = self
            .run(
                "add_deployment",
                &self.queries().lti.add_deployment,
                &[
                    &deployment.id,
                    &client,
                    &deployment.deployment_id.as_str(),
                    &deployment.name.as_ref().map(|name| name.as_str()),
                    &deployment.description.as_ref().map(|text| text.as_str()),
                ],
            )
            .await;
        match answer {
            Ok(answer) if answer.changed == 0 => Err(taken("add_deployment")),
            Ok(_) => Ok(deployment),
            // The foreign key.
            Err(error) if error.code() == Some(SqlState::FOREIGN_KEY_VIOLATION.code()) => {
                Err(clients::unknown("add_deployment"))
            }
            Err(error) => Err(error),
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
        let answer = self
            .run(
                "update_deployment",
                &self.queries().lti.update_deployment,
                &[
                    &id,
                    &client,
                    &update.deployment_id.as_ref().map(|id| id.as_str()),
                    &name.is_some(),
                    &name.and_then(|name| name.as_ref().map(|name| name.as_str())),
                    &description.is_some(),
                    &description.and_then(|text| text.as_ref().map(|text| text.as_str())),
                ],
            )
            .await?;
        let row = answer
            .rows
            .first()
            .ok_or_else(|| unknown("update_deployment"))?;
        mapping::deployment(row, 0)
            .map_err(|error| at("update_deployment", error))?
            .ok_or_else(|| unknown("update_deployment"))
    }

    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        let (Some(client), Some(id)) = (parse_uuid(client), parse_uuid(id)) else {
            return Ok(false);
        };
        let query = &self.queries().lti.delete_deployment;
        let answer = self
            .run("delete_deployment", query, &[&id, &client])
            .await?;
        Ok(answer.changed > 0)
    }
}

fn taken(operation: &'static str) -> Error {
    let message = "the client has a deployment with this deployment_id";
    at(operation, Error::new(ErrorKind::AlreadyExists, message))
}

fn unknown(operation: &'static str) -> Error {
    let message = "the client has no deployment with this id";
    at(operation, Error::new(ErrorKind::NotFound, message))
}
