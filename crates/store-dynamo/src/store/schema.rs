//! Creating and checking the table.

use async_trait::async_trait;
use store_core::{BootstrapReport, Result, SchemaStatus, SchemaStore};

use super::{DynamoStore, at};
use crate::adoption::{self, ImportCursor, ImportReport};
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
    /// Adds to this store what a table of the npm family's LTI adapter for DynamoDB holds: clients and
    /// deployments of its control plane, or sessions, nonces and registration sessions of its data plane.
    /// Ids and expiries stay as they are. The source is only read.
    ///
    /// `progress` is called after each page; from the cursor in its report another call can go on. What is
    /// here already is passed over, so that it may also simply be run again. What can't be added, such as
    /// a second client of the same issuer and client id, is told in the report and left out.
    ///
    /// # Errors
    /// [`SchemaMissing`](store_core::ErrorKind::SchemaMissing) if one of the tables does not exist, and
    /// those of the connection.
    pub async fn import_lti(
        &self,
        source_table: &str,
        from: Option<ImportCursor>,
        progress: &mut (dyn FnMut(&ImportReport) + Send),
    ) -> Result<ImportReport> {
        let mut report = ImportReport {
            next: from,
            ..ImportReport::default()
        };
        loop {
            let (executor, now) = (&self.inner.executor, self.now());
            adoption::import_page(executor, source_table, now, &mut report)
                .await
                .map_err(|error| at("import_lti", error))?;
            progress(&report);
            if report.next.is_none() {
                return Ok(report);
            }
        }
    }

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
