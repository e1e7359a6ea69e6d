//! Creating the tables, taking over those of the npm originals, and telling how a database stands.

use std::fmt::Write as _;

use deadpool_postgres::Transaction;
use store_core::{
    AppliedMigration, BootstrapReport, Error, ErrorKind, Migration, Result, SchemaStatus,
};
use tokio_postgres::types::Type;
use tokio_postgres::{Error as DriverError, IsolationLevel};

use crate::adoption;
use crate::error;
use crate::execute::Executor;
use crate::mapping;
use crate::names::TableNames;
use crate::queries::Access;

const MIGRATIONS: [Migration; 4] = [
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
        content: include_str!("../migrations/0001_lti.sql"),
    },
    Migration {
        version: 2,
        name: "jts",
        tables: &["jts_sessions", "jts_retired_state_proofs"],
        content: include_str!("../migrations/0002_jts.sql"),
    },
    Migration {
        version: 3,
        name: "login_sessions",
        tables: &["login_sessions"],
        content: include_str!("../migrations/0003_login_sessions.sql"),
    },
    Migration {
        version: 4,
        name: "compression",
        tables: &[],
        content: include_str!("../migrations/0004_compression.sql"),
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

/// What applies a migration and records it.
fn apply_script(migration: &Migration, names: &TableNames) -> String {
    let (version, name, checksum) = (migration.version, migration.name, migration.checksum());
    let record = names.fill("INSERT INTO {store_migrations} (version, name, checksum)");
    format!(
        "{}{record} VALUES ({version}, '{name}', '{checksum}');\n",
        names.fill(migration.content)
    )
}

/// The whole script for an administrator.
pub(crate) fn definition(names: &TableNames) -> String {
    let mut script = "BEGIN;\n".to_owned();
    if let Some(schema) = &names.schema {
        let _ = writeln!(script, "CREATE SCHEMA IF NOT EXISTS \"{schema}\";");
    }
    script += &names.fill(CREATE_MIGRATIONS_TABLE);
    for migration in &MIGRATIONS {
        script += &format!(
            "\n-- {}\n{}",
            migration.label(),
            apply_script(migration, names)
        );
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
    if status(executor, names).await?.unchanged()?.is_current() {
        return Ok(BootstrapReport::default());
    }
    let (mut connection, _permit) = executor.connection().await?;
    // Whatever the server's default is: what was committed while it waited must be seen.
    let transaction = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await
        .map_err(failed)?;
    // Waiting for another process and building an index may both take long.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning")
        .await
        .map_err(failed)?;
    transaction
        .query_typed(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, hashtextextended(
               COALESCE($2, current_schema(), ''), 0)))",
            &[
                (&names.table("store_migrations"), Type::TEXT),
                (&names.schema, Type::TEXT),
            ],
        )
        .await
        .map_err(failed)?;
    create_schema(&transaction, names).await?;
    let status = read_status(&transaction, names).await?.unchanged()?;

    let mut report = BootstrapReport::default();
    let create = names.fill(CREATE_MIGRATIONS_TABLE);
    transaction.batch_execute(&create).await.map_err(failed)?;
    for migration in MIGRATIONS
        .iter()
        .filter(|migration| migration.is_pending(&status))
    {
        for table in migration.tables {
            if adoption::recognise(&transaction, names, table).await? {
                report.adopted.push(names.table(table));
            }
        }
        let script = apply_script(migration, names);
        let applied = transaction.batch_execute(&script).await;
        applied.map_err(|error| not_ours(failed(error), migration))?;
        for table in migration.tables {
            adoption::has_keys(&transaction, names, table).await?;
        }
        report.applied.push(migration.label());
    }
    transaction.commit().await.map_err(failed)?;
    for applied in &report.applied {
        tracing::info!(target: "store_postgres", migration = applied, "applied");
    }
    Ok(report)
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
    if !adoption::exists(transaction, &names.qualified("store_migrations")).await? {
        return Ok(SchemaStatus::compare(&MIGRATIONS, Vec::new()));
    }
    let read = names.fill(READ_MIGRATIONS);
    let rows = transaction.query_typed(&read, &[]).await.map_err(failed)?;
    let applied = rows.iter().map(|row| {
        Ok(AppliedMigration {
            version: mapping::column::<i32>(row, 0)?.unsigned_abs(),
            name: mapping::column::<&str>(row, 1)?.to_owned(),
            checksum: mapping::column::<&str>(row, 2)?.to_owned(),
            applied_at: mapping::timestamp(row, 3)?,
        })
    });
    let applied = applied.collect::<Result<_>>()?;
    Ok(SchemaStatus::compare(&MIGRATIONS, applied))
}

pub(crate) fn failed(error: DriverError) -> Error {
    error::statement(&error, Access::Write).error
}

/// Rows that an original let in break a constraint of ours.
fn not_ours(error: Error, migration: &Migration) -> Error {
    if !error.code().is_some_and(|code| code.starts_with("23")) {
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
