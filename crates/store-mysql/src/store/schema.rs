//! Creating and checking the tables.

use async_trait::async_trait;
use store_core::{BootstrapReport, Result, SchemaStatus, SchemaStore};

use super::{MySqlStore, at};
use crate::bootstrap;

#[async_trait]
impl SchemaStore for MySqlStore {
    async fn bootstrap(&self) -> Result<BootstrapReport> {
        bootstrap::run(&self.inner.executor, &self.inner.names)
            .await
            .map_err(|error| at("bootstrap", error))
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        bootstrap::status(&self.inner.executor, &self.inner.names)
            .await
            .map_err(|error| at("schema_status", error))
    }

    fn schema_definition(&self) -> String {
        bootstrap::definition(&self.inner.names)
    }
}
