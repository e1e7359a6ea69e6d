//! Creating and checking the table.

use async_trait::async_trait;
use store_core::{BootstrapReport, Result, SchemaStatus, SchemaStore};

use super::{DynamoStore, at};
use crate::{bootstrap, definitions};

#[async_trait]
impl SchemaStore for DynamoStore {
    async fn bootstrap(&self) -> Result<BootstrapReport> {
        let now = self.now();
        bootstrap::run(&self.inner.executor, &self.inner.config, now)
            .await
            .map_err(|error| at("bootstrap", error))
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        bootstrap::status(&self.inner.executor)
            .await
            .map_err(|error| at("schema_status", error))
    }

    fn schema_definition(&self) -> String {
        definitions::cloud_formation(&self.inner.config)
    }
}

impl DynamoStore {
    /// The table as a CloudFormation template, which is also what
    /// [`schema_definition`](SchemaStore::schema_definition) gives.
    #[must_use]
    pub fn cloud_formation(&self) -> String {
        definitions::cloud_formation(&self.inner.config)
    }

    /// The table as Terraform configuration.
    #[must_use]
    pub fn terraform(&self) -> String {
        definitions::terraform(&self.inner.config)
    }

    /// The IAM policy with the least rights that the application needs.
    #[must_use]
    pub fn application_policy(&self) -> String {
        definitions::application_policy(&self.inner.config)
    }

    /// The IAM policy with the least rights that bootstrap needs.
    #[must_use]
    pub fn bootstrap_policy(&self) -> String {
        definitions::bootstrap_policy(&self.inner.config)
    }
}
