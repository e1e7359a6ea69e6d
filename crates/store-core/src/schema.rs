//! Creating and checking a database's tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_trait::async_trait;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};

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

/// A schema change that a backend has on board. Never edited once released: databases remember its
/// checksum. For backends.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub version: u32,
    /// Its name.
    pub name: &'static str,
    /// The tables that it creates or takes over.
    pub tables: &'static [&'static str],
    /// What it does, as its file has it.
    pub content: &'static str,
}

impl Migration {
    /// What people call it, such as `0001_lti`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }

    /// SHA-256 of the content in hexadecimal digits.
    #[must_use]
    pub fn checksum(&self) -> String {
        let digest = Sha256::digest(self.content.as_bytes());
        digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether it is still to be applied.
    #[must_use]
    pub fn is_pending(&self, status: &SchemaStatus) -> bool {
        let mut all = status.migrations.iter();
        all.any(|known| known.version == self.version && known.state == MigrationState::Pending)
    }
}

/// A migration as a database remembers it. For backends.
#[derive(Clone, Debug)]
pub struct AppliedMigration {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Its checksum when it was applied.
    pub checksum: String,
    /// When that was.
    pub applied_at: Timestamp,
}

impl SchemaStatus {
    /// How a database that remembers `applied` stands towards the migrations that are `known`. For
    /// backends.
    #[must_use]
    pub fn compare(known: &[Migration], applied: Vec<AppliedMigration>) -> Self {
        let pending = known.iter().map(|migration| MigrationStatus {
            version: migration.version,
            name: migration.name.to_owned(),
            state: MigrationState::Pending,
            applied_at: None,
        });
        let mut migrations: BTreeMap<u32, MigrationStatus> =
            pending.map(|status| (status.version, status)).collect();
        for applied in applied {
            let ours = known.iter().find(|ours| ours.version == applied.version);
            let state = match ours {
                None => MigrationState::Unknown,
                Some(ours) if ours.checksum() == applied.checksum => MigrationState::Applied,
                Some(_) => MigrationState::Changed,
            };
            let status = MigrationStatus {
                version: applied.version,
                name: applied.name,
                state,
                applied_at: Some(applied.applied_at),
            };
            migrations.insert(applied.version, status);
        }
        Self {
            migrations: migrations.into_values().collect(),
        }
    }

    /// The same status, if no migration in it was changed. For backends.
    ///
    /// # Errors
    /// [`SchemaMismatch`](ErrorKind::SchemaMismatch) naming the migration.
    pub fn unchanged(self) -> Result<Self> {
        let mut all = self.migrations.iter();
        match all.find(|migration| migration.state == MigrationState::Changed) {
            None => Ok(self),
            Some(changed) => {
                let (version, name) = (changed.version, &changed.name);
                let message = format!(
                    "migration {version:04}_{name} was applied with other content than this version of the crate has; restore the database or the crate's version"
                );
                Err(Error::new(ErrorKind::SchemaMismatch, message))
            }
        }
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
