//! Creating and checking a database's tables.

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::Result;

/// How a migration stands in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationState {
    /// Applied as this version of the crate has it.
    Applied,
    /// Not applied yet: bootstrap applies it.
    Pending,
    /// Applied with other content than this version of the crate has.
    Changed,
    /// Applied by a newer version of the crate: this one does not know it.
    Unknown,
}

/// A migration and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// Its number, from 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: MigrationState,
    /// When it was applied.
    pub applied_at: Option<Timestamp>,
}

/// How a database stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// All migrations that the crate or the database knows, by version. Empty for a store that
    /// needs no tables.
    pub migrations: Vec<MigrationStatus>,
}

impl SchemaStatus {
    /// Whether every migration of this version of the crate is applied unchanged.
    #[must_use]
    pub fn is_current(&self) -> bool {
        use MigrationState::{Applied, Unknown};
        self.migrations
            .iter()
            .all(|migration| matches!(migration.state, Applied | Unknown))
    }
}

/// What a bootstrap did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootstrapReport {
    /// The migrations that it applied, as `0001_lti`.
    pub applied: Vec<String>,
    /// The tables of the npm originals that were there and were taken over.
    pub adopted: Vec<String>,
}

/// Creates and checks a database's tables.
#[async_trait]
pub trait SchemaStore: Send + Sync {
    /// Creates what is missing. Safe to call at every start and from any number of processes at
    /// once; does nothing where nothing is missing. Tables that the npm originals made are taken
    /// over with all their rows, and the originals can go on using them.
    ///
    /// # Errors
    /// [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch) if a table of ours exists in another
    /// shape, or an applied migration differs; nothing is changed then.
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) without the right to create tables.
    async fn bootstrap(&self) -> Result<BootstrapReport>;

    /// How the database stands. Needs no right to create tables.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn schema_status(&self) -> Result<SchemaStatus>;

    /// What bootstrap would run on an empty database, for an administrator to run instead: SQL, or
    /// table definitions. Empty for a store that needs no tables.
    fn schema_definition(&self) -> String;
}
