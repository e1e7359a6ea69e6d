//! `storectl bootstrap`.

use clap::ValueEnum;
use serde_json::json;
use store::{MigrationState, Store};

use crate::answer::{Answer, good};
use crate::failure::{Failure, Result};
use crate::place::{Backend, Place};
use crate::table::count;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print what an administrator would run on an empty database instead; needs no server.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) print: bool,
    /// Tell which migrations would be applied, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// What to print [default: sql, or cloudformation for DynamoDB].
    #[arg(long, value_enum, requires = "print")]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The statements that create the tables (PostgreSQL, MySQL, MariaDB).
    Sql,
    /// A CloudFormation template (DynamoDB).
    Cloudformation,
    /// Terraform configuration (DynamoDB).
    Terraform,
    /// The IAM policy that the application needs (DynamoDB).
    IamApplication,
    /// The IAM policy that bootstrap needs (DynamoDB).
    IamBootstrap,
}

pub(crate) async fn run(store: &dyn Store, place: &Place, args: &Args) -> Result<Answer> {
    if args.dry_run {
        return dry_run(store, place).await;
    }
    let report = store.bootstrap().await?;
    let mut text = String::new();
    for migration in &report.applied {
        text += &format!("applied {migration}\n");
    }
    for table in &report.adopted {
        text += &format!("took over the table {table} with its rows\n");
    }
    let done = match report.applied.len() {
        0 => "nothing was missing",
        _ => "the tables are current",
    };
    text += &format!("{place}: {}\n", good(done));
    let document = json!({
        "store": place.to_string(),
        "applied": report.applied,
        "adopted": report.adopted,
    });
    Ok(Answer::new(&document, text))
}

async fn dry_run(store: &dyn Store, place: &Place) -> Result<Answer> {
    let status = store.schema_status().await?.unchanged()?;
    let pending: Vec<String> = status
        .migrations
        .iter()
        .filter(|migration| migration.state == MigrationState::Pending)
        .map(|migration| format!("{:04}_{}", migration.version, migration.name))
        .collect();
    let mut text = String::new();
    for migration in &pending {
        text += &format!("would apply {migration}\n");
    }
    if pending.is_empty() {
        text += &format!("{place}: {}\n", good("nothing is missing"));
    } else {
        let number = count(pending.len() as u64, "migration is", "migrations are");
        text += &format!(
            "{place}: {number} missing\nTables that the npm originals made would be taken over with their rows.\n"
        );
    }
    let document = json!({ "store": place.to_string(), "would_apply": pending });
    Ok(Answer::new(&document, text))
}

/// What an administrator can run, made without asking the server.
pub(crate) async fn print(place: &Place, args: &Args) -> Result<Answer> {
    let own = match place.backend {
        Backend::Dynamo => Format::Cloudformation,
        _ => Format::Sql,
    };
    let format = args.format.unwrap_or(own);
    if (format == Format::Sql) != (own == Format::Sql) {
        let message = match own {
            Format::Sql => "a SQL database has only the format sql",
            _ => "DynamoDB knows no SQL",
        };
        return Err(Failure::usage(message).hint("leave --format out"));
    }
    let text = definition(place, format).await?;
    if text.is_empty() {
        let message = format!("{place} needs no tables");
        return Err(Failure::usage(message));
    }
    let format = format
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    let document = json!({ "format": format, "definition": text });
    Ok(Answer::new(&document, text))
}

async fn definition(place: &Place, format: Format) -> Result<String> {
    match place.backend {
        Backend::Memory => Ok(String::new()),
        Backend::Postgres => postgres(place.url()),
        Backend::MySql => mysql(place.url()),
        Backend::Dynamo => dynamo(place.url(), format).await,
    }
}

#[cfg(feature = "postgres")]
fn postgres(url: &str) -> Result<String> {
    use store::SchemaStore as _;
    use store::postgres::{PostgresConfig, PostgresStore};
    let store = PostgresStore::open(PostgresConfig::from_url(url)?, store::Settings::default())?;
    Ok(store.schema_definition())
}

#[cfg(feature = "mysql")]
fn mysql(url: &str) -> Result<String> {
    use store::SchemaStore as _;
    use store::mysql::{MySqlConfig, MySqlStore};
    let store = MySqlStore::open(MySqlConfig::from_url(url)?, store::Settings::default())?;
    Ok(store.schema_definition())
}

#[cfg(feature = "dynamo")]
async fn dynamo(url: &str, format: Format) -> Result<String> {
    use store::dynamo::{DynamoConfig, DynamoStore};
    let store = DynamoStore::open(DynamoConfig::from_url(url)?, store::Settings::default()).await?;
    Ok(match format {
        Format::Sql | Format::Cloudformation => store.cloud_formation(),
        Format::Terraform => store.terraform(),
        Format::IamApplication => store.application_policy(),
        Format::IamBootstrap => store.bootstrap_policy(),
    })
}

// A place of a kind that was not compiled in is refused before it gets here.
#[cfg(not(feature = "postgres"))]
fn postgres(_: &str) -> Result<String> {
    Ok(String::new())
}

#[cfg(not(feature = "mysql"))]
fn mysql(_: &str) -> Result<String> {
    Ok(String::new())
}

#[cfg(not(feature = "dynamo"))]
async fn dynamo(_: &str, _: Format) -> Result<String> {
    Ok(String::new())
}
