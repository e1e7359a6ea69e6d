//! Creating the tables, taking over those of the npm originals, and telling how a database stands.

use std::fmt::Write as _;

use deadpool_postgres::Transaction;
use sha2::{Digest, Sha256};
use store_core::{
    BootstrapReport, Error, ErrorKind, MigrationState, MigrationStatus, Result, SchemaStatus,
};
use tokio_postgres::Error as DriverError;
use tokio_postgres::types::Type;

use crate::adoption;
use crate::error;
use crate::execute::Executor;
use crate::mapping;
use crate::names::TableNames;
use crate::queries::Access;

/// A schema change. Never edited once released: databases remember its checksum.
struct Migration {
    version: u32,
    name: &'static str,
    /// The tables that it creates or takes over.
    tables: &'static [&'static str],
    sql: &'static str,
}

const MIGRATIONS: [Migration; 3] = [
    Migration {
        version: 1,
        name: "lti",
        tables: &[
            "clients",
            "deployments",
            "nonces",
            "sessions",
            "registration_sessions",
        ],
        sql: include_str!("../migrations/0001_lti.sql"),
    },
    Migration {
        version: 2,
        name: "jts",
        tables: &["jts_sessions", "jts_retired_state_proofs"],
        sql: include_str!("../migrations/0002_jts.sql"),
    },
    Migration {
        version: 3,
        name: "login_sessions",
        tables: &["login_sessions"],
        sql: include_str!("../migrations/0003_login_sessions.sql"),
    },
];

const CREATE_MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS {store_migrations} (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);\n";

const READ_MIGRATIONS: &str =
    "SELECT version, name, checksum, applied_at FROM {store_migrations} ORDER BY version";

impl Migration {
    fn label(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }

    fn checksum(&self) -> String {
        let digest = Sha256::digest(self.sql.as_bytes());
        digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// What applies and records it.
    fn script(&self, names: &TableNames) -> String {
        let (version, name, checksum) = (self.version, self.name, self.checksum());
        let record = names.fill("INSERT INTO {store_migrations} (version, name, checksum)");
        format!(
            "{}{record} VALUES ({version}, '{name}', '{checksum}');\n",
            names.fill(self.sql)
        )
    }
}

/// The whole script for an administrator.
pub(crate) fn definition(names: &TableNames) -> String {
    let mut script = "BEGIN;\n".to_owned();
    if let Some(schema) = &names.schema {
        let _ = writeln!(script, "CREATE SCHEMA IF NOT EXISTS \"{schema}\";");
    }
    script += &names.fill(CREATE_MIGRATIONS_TABLE);
    for migration in &MIGRATIONS {
        script += &format!("\n-- {}\n{}", migration.label(), migration.script(names));
    }
    script + "COMMIT;\n"
}

/// How the database stands.
pub(crate) async fn status(executor: &Executor, names: &TableNames) -> Result<SchemaStatus> {
    let (mut connection, _permit) = executor.connection().await?;
    let transaction = connection.transaction().await.map_err(failed)?;
    read_status(&transaction, names).await
}

/// Applies what is pending, in one transaction, one process at a time.
pub(crate) async fn run(executor: &Executor, names: &TableNames) -> Result<BootstrapReport> {
    // A role without the right to create tables may call bootstrap on a database that needs nothing.
    if checked(status(executor, names).await?)?.is_current() {
        return Ok(BootstrapReport::default());
    }
    let (mut connection, _permit) = executor.connection().await?;
    let transaction = connection.transaction().await.map_err(failed)?;
    // Waiting for another process and building an index may both take long.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning")
        .await
        .map_err(failed)?;
    transaction
        .query_typed(
            "SELECT pg_advisory_xact_lock($1)",
            &[(&lock_key(names), Type::INT8)],
        )
        .await
        .map_err(failed)?;
    create_schema(&transaction, names).await?;
    let status = checked(read_status(&transaction, names).await?)?;
    let is_pending = |migration: &&Migration| {
        let mut all = status.migrations.iter();
        all.any(|known| known.version == migration.version && known.state == MigrationState::Pending)
    };

    let mut report = BootstrapReport::default();
    let create = names.fill(CREATE_MIGRATIONS_TABLE);
    transaction.batch_execute(&create).await.map_err(failed)?;
    for migration in MIGRATIONS.iter().filter(is_pending) {
        for table in migration.tables {
            if adoption::recognise(&transaction, names, table).await? {
                report.adopted.push(names.table(table));
            }
        }
        let script = migration.script(names);
        let applied = transaction.batch_execute(&script).await;
        applied.map_err(|error| not_ours(failed(error), migration))?;
        report.applied.push(migration.label());
    }
    transaction.commit().await.map_err(failed)?;
    for applied in &report.applied {
        tracing::info!(target: "store_postgres", migration = applied, "applied");
    }
    Ok(report)
}

/// The same status, if no migration in it differs from ours.
fn checked(status: SchemaStatus) -> Result<SchemaStatus> {
    let mut all = status.migrations.iter();
    match all.find(|migration| migration.state == MigrationState::Changed) {
        None => Ok(status),
        Some(changed) => {
            let (version, name) = (changed.version, &changed.name);
            let message = format!(
                "migration {version:04}_{name} was applied with other content than this version of store-postgres has; restore the database or the crate's version"
            );
            Err(Error::new(ErrorKind::SchemaMismatch, message))
        }
    }
}

async fn create_schema(transaction: &Transaction<'_>, names: &TableNames) -> Result<()> {
    let Some(schema) = &names.schema else {
        return Ok(());
    };
    // CREATE SCHEMA IF NOT EXISTS wants the right to create one even where it exists.
    let found = transaction
        .query_typed(
            "SELECT 1 FROM pg_namespace WHERE nspname = $1",
            &[(schema, Type::TEXT)],
        )
        .await
        .map_err(failed)?;
    if found.is_empty() {
        let create = format!("CREATE SCHEMA \"{schema}\"");
        transaction.batch_execute(&create).await.map_err(failed)?;
    }
    Ok(())
}

async fn read_status(transaction: &Transaction<'_>, names: &TableNames) -> Result<SchemaStatus> {
    let mut migrations: Vec<_> = MIGRATIONS
        .iter()
        .map(|migration| MigrationStatus {
            version: migration.version,
            name: migration.name.to_owned(),
            state: MigrationState::Pending,
            applied_at: None,
        })
        .collect();
    if !adoption::exists(transaction, &names.qualified("store_migrations")).await? {
        return Ok(SchemaStatus { migrations });
    }
    let read = names.fill(READ_MIGRATIONS);
    let rows = transaction.query_typed(&read, &[]).await.map_err(failed)?;
    for row in &rows {
        let version = mapping::column::<i32>(row, 0)?.unsigned_abs();
        let name = mapping::column::<&str>(row, 1)?.to_owned();
        let checksum = mapping::column::<&str>(row, 2)?;
        let applied_at = Some(mapping::timestamp(row, 3)?);
        let ours = MIGRATIONS.iter().find(|ours| ours.version == version);
        let state = match ours {
            None => MigrationState::Unknown,
            Some(ours) if ours.checksum() == checksum => MigrationState::Applied,
            Some(_) => MigrationState::Changed,
        };
        migrations.retain(|migration| migration.version != version);
        migrations.push(MigrationStatus {
            version,
            name,
            state,
            applied_at,
        });
    }
    migrations.sort_by_key(|migration| migration.version);
    Ok(SchemaStatus { migrations })
}

/// The advisory lock that bootstraps of the same tables take.
fn lock_key(names: &TableNames) -> i64 {
    let digest = Sha256::digest(names.qualified("store_migrations").as_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(key)
}

pub(crate) fn failed(error: DriverError) -> Error {
    error::statement(&error, Access::Write).error
}

/// Rows that an original let in break a constraint of ours.
fn not_ours(error: Error, migration: &Migration) -> Error {
    if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) {
        return error;
    }
    let message = format!(
        "rows that are there already break migration {}, and nothing was changed: {error}",
        migration.label()
    );
    Error::new(ErrorKind::SchemaMismatch, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_names_every_table_and_leaves_no_placeholder() {
        let names = TableNames {
            schema: Some("auth".to_owned()),
            ..TableNames::default()
        };
        let script = definition(&names);
        assert!(!script.contains('{'));
        for (_, table) in names.tables() {
            assert!(script.contains(&format!("\"auth\".\"{table}\"")), "{table}");
        }
    }
}
