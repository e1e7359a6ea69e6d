//! Creating the tables, taking over those of the npm originals, and telling how a database stands.
//!
//! Each statement of DDL commits by itself, so that a bootstrap may end after any of them. All of them
//! can be run again: a migration is one `CREATE TABLE IF NOT EXISTS`, and what an older table lacks is
//! found out anew each time.

use std::fmt::Write as _;

use mysql_async::prelude::Queryable;
use mysql_async::{Error as DriverError, Params, Row, Value};
use sha2::{Digest, Sha256};
use store_core::{
    AppliedMigration, BootstrapReport, Error, ErrorKind, Migration, Result, SchemaStatus,
};
use tokio::sync::SemaphorePermit;

use crate::adoption;
use crate::error;
use crate::execute::Executor;
use crate::mapping;
use crate::names::TableNames;
use crate::pool::Lease;
use crate::queries::Access;

macro_rules! migration {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            tables: &[$name],
            content: include_str!(concat!("../migrations/", $file, ".sql")),
        }
    };
}

const MIGRATIONS: [Migration; 9] = [
    migration!(1, "clients", "0001_clients"),
    migration!(2, "deployments", "0002_deployments"),
    migration!(3, "nonces", "0003_nonces"),
    migration!(4, "sessions", "0004_sessions"),
    migration!(5, "registration_sessions", "0005_registration_sessions"),
    migration!(6, "jts_sessions", "0006_jts_sessions"),
    migration!(
        7,
        "jts_retired_state_proofs",
        "0007_jts_retired_state_proofs"
    ),
    migration!(8, "jts_turns", "0008_jts_turns"),
    migration!(9, "login_sessions", "0009_login_sessions"),
];

const CREATE_MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS {store_migrations} (
    version int NOT NULL,
    name varchar(64) NOT NULL,
    checksum varchar(64) NOT NULL,
    applied_at datetime(3) NOT NULL,
    PRIMARY KEY (version)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4";

const READ_MIGRATIONS: &str =
    "SELECT version, name, checksum, applied_at FROM {store_migrations} ORDER BY version";

/// How long another process's bootstrap is waited for.
const LOCK_WAIT_SECONDS: u32 = 600;

/// What records that a migration was applied.
fn record_script(migration: &Migration, names: &TableNames) -> String {
    let (version, name, checksum) = (migration.version, migration.name, migration.checksum());
    let record = names.fill("INSERT INTO {store_migrations} (version, name, checksum, applied_at)");
    format!("{record} VALUES ({version}, '{name}', '{checksum}', UTC_TIMESTAMP(3))")
}

/// The whole script for an administrator.
pub(crate) fn definition(names: &TableNames) -> String {
    let mut script = String::new();
    if let Some(database) = &names.database {
        let _ = writeln!(script, "CREATE DATABASE IF NOT EXISTS `{database}`;");
    }
    let _ = writeln!(script, "{};", names.fill(CREATE_MIGRATIONS_TABLE));
    for migration in &MIGRATIONS {
        let _ = write!(
            script,
            "\n-- {}\n{};\n{};\n",
            migration.label(),
            names.fill(migration.content).trim_end(),
            record_script(migration, names)
        );
    }
    script
}

/// A connection that bootstrap works on, without limits of time.
pub(crate) struct Session<'a> {
    lease: Lease,
    _permit: SemaphorePermit<'a>,
}

impl<'a> Session<'a> {
    async fn open(executor: &'a Executor) -> Result<Self> {
        let (mut lease, permit) = executor.connection().await?;
        lease.settled = false;
        Ok(Self {
            lease,
            _permit: permit,
        })
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.lease.server_version().0 >= 10
    }

    /// The rows that a statement answers.
    pub(crate) async fn ask(&mut self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>> {
        let rows = if params.is_empty() {
            self.lease.query(sql).await
        } else {
            self.lease.exec(sql, Params::Positional(params)).await
        };
        rows.map_err(|error| failed(&error))
    }

    async fn execute(&mut self, sql: &str) -> Result<()> {
        let done = self.lease.query_drop(sql).await;
        done.map_err(|error| failed(&error))
    }

    /// Gives the connection back. Without this it is closed, and its lock goes with it.
    fn finish(mut self) {
        self.lease.settled = true;
    }
}

/// How the database stands.
pub(crate) async fn status(executor: &Executor, names: &TableNames) -> Result<SchemaStatus> {
    let mut session = Session::open(executor).await?;
    let status = read_status(&mut session, names).await?;
    session.finish();
    Ok(status)
}

/// Applies what is pending, one process at a time.
pub(crate) async fn run(executor: &Executor, names: &TableNames) -> Result<BootstrapReport> {
    // A role without the right to create tables may call bootstrap on a database that needs nothing.
    if status(executor, names).await?.unchanged()?.is_current() {
        return Ok(BootstrapReport::default());
    }
    let mut session = Session::open(executor).await?;
    let name = lock(&mut session, names).await?;
    let report = apply(&mut session, names).await?;
    session
        .ask("SELECT RELEASE_LOCK(?)", vec![name.into()])
        .await?;
    session.finish();
    for applied in &report.applied {
        tracing::info!(target: "store_mysql", migration = applied, "applied");
    }
    Ok(report)
}

/// Takes the lock that bootstraps of the same tables take, and tells its name.
async fn lock(session: &mut Session<'_>, names: &TableNames) -> Result<String> {
    let database = match &names.database {
        Some(database) => database.clone(),
        None => {
            let rows = session.ask("SELECT DATABASE()", Vec::new()).await?;
            let row = rows.first().map(|row| mapping::optional_str(row, 0));
            row.transpose()?.flatten().unwrap_or_default().to_owned()
        }
    };
    // A lock's name is the whole server's, and no longer than 64 characters.
    let tables = format!("{database}.{}", names.table("store_migrations"));
    let digest = Sha256::digest(tables.as_bytes());
    let mut name = "store_bootstrap_".to_owned();
    for byte in &digest[..16] {
        let _ = write!(name, "{byte:02x}");
    }
    let params = vec![name.as_str().into(), LOCK_WAIT_SECONDS.into()];
    let rows = session.ask("SELECT GET_LOCK(?, ?)", params).await?;
    let taken = rows.first().map(|row| mapping::optional_number(row, 0));
    if taken.transpose()?.flatten() != Some(1) {
        let message = format!(
            "another process has been bootstrapping these tables for {LOCK_WAIT_SECONDS} s"
        );
        return Err(Error::new(ErrorKind::Timeout, message).retryable());
    }
    Ok(name)
}

async fn apply(session: &mut Session<'_>, names: &TableNames) -> Result<BootstrapReport> {
    let status = read_status(session, names).await?.unchanged()?;
    let pending = MIGRATIONS
        .iter()
        .filter(|migration| migration.is_pending(&status));
    // All is looked at before anything is changed.
    let mut there = Vec::new();
    for migration in pending.clone() {
        for table in migration.tables {
            if adoption::recognise(session, names, table).await? {
                there.push(*table);
            }
        }
    }
    create_database(session, names).await?;
    session
        .execute(&names.fill(CREATE_MIGRATIONS_TABLE))
        .await?;
    let mut report = BootstrapReport::default();
    for migration in pending {
        session.execute(&names.fill(migration.content)).await?;
        for table in migration.tables {
            let mending = adoption::mending(session, names, table).await?;
            // One that a bootstrap which was cut off made needs none.
            if there.contains(table) && !mending.is_empty() {
                report.adopted.push(names.table(table));
            }
            for statement in mending {
                let done = session.execute(&statement).await;
                done.map_err(|error| not_ours(error, migration))?;
            }
        }
        session.execute(&record_script(migration, names)).await?;
        report.applied.push(migration.label());
    }
    Ok(report)
}

async fn create_database(session: &mut Session<'_>, names: &TableNames) -> Result<()> {
    let Some(database) = &names.database else {
        return Ok(());
    };
    // CREATE DATABASE IF NOT EXISTS wants the right to create one even where it exists.
    let found = session
        .ask(
            "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?",
            vec![database.as_str().into()],
        )
        .await?;
    if found.is_empty() {
        session
            .execute(&format!(
                "CREATE DATABASE `{database}` CHARACTER SET utf8mb4"
            ))
            .await?;
    }
    Ok(())
}

async fn read_status(session: &mut Session<'_>, names: &TableNames) -> Result<SchemaStatus> {
    let read = names.fill(READ_MIGRATIONS);
    let rows = match session.ask(&read, Vec::new()).await {
        Ok(rows) => rows,
        Err(error) if error.kind() == ErrorKind::SchemaMissing => Vec::new(),
        Err(error) => return Err(error),
    };
    let applied = rows.iter().map(|row| {
        let version = mapping::number(row, 0)?;
        Ok(AppliedMigration {
            version: u32::try_from(version).unwrap_or(u32::MAX),
            name: mapping::str(row, 1)?.to_owned(),
            checksum: mapping::str(row, 2)?.to_owned(),
            applied_at: mapping::timestamp(row, 3)?,
        })
    });
    let applied = applied.collect::<Result<_>>()?;
    Ok(SchemaStatus::compare(&MIGRATIONS, applied))
}

fn failed(error: &DriverError) -> Error {
    error::statement(error, Access::Write).error
}

/// Rows that an original let in break a key of ours.
fn not_ours(error: Error, migration: &Migration) -> Error {
    let foreign_key = error.code() == Some(&error::NO_REFERENCED_ROW.to_string());
    if error.kind() != ErrorKind::AlreadyExists && !foreign_key {
        return error;
    }
    let message = format!(
        "rows that are there already break migration {}: {error}",
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
            database: Some("auth".to_owned()),
            ..TableNames::default()
        };
        let script = definition(&names);
        assert!(!script.contains('{'));
        for (_, table) in names.tables() {
            assert!(script.contains(&format!("`auth`.`{table}`")), "{table}");
        }
    }

    #[test]
    fn a_migration_is_one_statement() {
        for migration in &MIGRATIONS {
            assert!(!migration.content.contains(';'), "{}", migration.label());
        }
    }
}
