//! Creating the table, checking one that is there, and telling how it stands.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::operation::RequestId as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, Projection, ProjectionType, ProvisionedThroughput,
    ScalarAttributeType, SseSpecification, SseType, TableDescription, TableStatus, Tag,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use store_core::{
    AppliedMigration, Backoff, BootstrapReport, Error, ErrorKind, Migration, Result, SchemaStatus,
    Timestamp,
};

use crate::config::{Billing, Capacity, DynamoConfig, Encryption};
use crate::error;
use crate::execute::{Access, Executor, Operation};
use crate::mapping::{self, at, item, s};
use crate::queries::{self, EXPIRY, PK, REAP_AT, SK};
use crate::write::Write;

pub(crate) const MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "table",
    tables: &["auth_store"],
    content: include_str!("../migrations/0001_table.json"),
}];

/// How the table stands.
pub(crate) async fn status(executor: &Executor) -> Result<SchemaStatus> {
    let operation = executor.begin().await?;
    read_status(&operation).await
}

async fn read_status(operation: &Operation) -> Result<SchemaStatus> {
    let items = match operation.query(queries::MIGRATIONS, "").await {
        Ok(items) => items,
        Err(error) if error.kind() == ErrorKind::SchemaMissing => Vec::new(),
        Err(error) => return Err(error),
    };
    let applied = items.into_iter().map(|mut item| {
        let version = mapping::take(&mut item, SK)?;
        Ok(AppliedMigration {
            version: version
                .parse()
                .map_err(|_| mapping::corrupt("migrations", &version))?,
            name: mapping::take(&mut item, "name")?,
            checksum: mapping::take(&mut item, "checksum")?,
            applied_at: mapping::instant(&item, "applied_at")?,
        })
    });
    let applied = applied.collect::<Result<_>>()?;
    Ok(SchemaStatus::compare(&MIGRATIONS, applied))
}

/// Creates the table where it is missing, waits until it is active, switches time to live on and records
/// the migration. Each step may be another process's already.
pub(crate) async fn run(
    executor: &Executor,
    config: &DynamoConfig,
    now: Timestamp,
) -> Result<BootstrapReport> {
    let operation = executor.begin().await?;
    // A role without the right to create tables may call bootstrap where nothing is missing.
    if read_status(&operation).await?.unchanged()?.is_current() {
        return Ok(BootstrapReport::default());
    }
    let table = match describe(executor).await? {
        Some(table) => table,
        None => {
            create(executor, config).await?;
            wait(executor, config).await?
        }
    };
    check(&table, executor.table())?;
    if table.table_status() != Some(&TableStatus::Active) {
        wait(executor, config).await?;
    }
    reap(executor, config).await?;
    if let Some(recoverable) = config.options.point_in_time_recovery {
        recover(executor, recoverable).await?;
    }
    let mut report = BootstrapReport::default();
    for migration in &MIGRATIONS {
        let record = item([
            ("name", s(migration.name)),
            ("checksum", s(migration.checksum())),
            ("applied_at", at(now)),
        ]);
        let put = Write::put(queries::migration(migration.version), record);
        // Of several processes the one that records it applied it.
        if operation.write(put.when(queries::ABSENT)).await?.happened() {
            report.applied.push(migration.label());
        }
    }
    read_status(&operation).await?.unchanged()?;
    Ok(report)
}

async fn describe(executor: &Executor) -> Result<Option<TableDescription>> {
    let request = executor.client().describe_table();
    let request = request.table_name(executor.table());
    let send = || async {
        let sent = request.clone().send().await;
        sent.map(|answer| answer.table)
            .map_err(|error| error::request(&error, Access::Read))
    };
    match executor.send("DescribeTable", Access::Read, send).await {
        Err(error) if error.kind() == ErrorKind::SchemaMissing => Ok(None),
        described => described,
    }
}

async fn create(executor: &Executor, config: &DynamoConfig) -> Result<()> {
    let options = &config.options;
    let mut request = executor
        .client()
        .create_table()
        .table_name(executor.table())
        .set_deletion_protection_enabled(options.deletion_protection);
    for (name, of_type) in ATTRIBUTES {
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(of_type);
        request = request.attribute_definitions(built(definition.build())?);
    }
    for element in keys(PK, SK)? {
        request = request.key_schema(element);
    }
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly);
    let index = GlobalSecondaryIndex::builder()
        .index_name(EXPIRY)
        .set_key_schema(Some(keys(EXPIRY, "expires_at")?))
        .projection(projection.build());
    let index = match options.billing {
        Billing::OnDemand => {
            request = request.billing_mode(BillingMode::PayPerRequest);
            index
        }
        Billing::Provisioned {
            table,
            index: capacity,
        } => {
            request = request
                .billing_mode(BillingMode::Provisioned)
                .provisioned_throughput(throughput(table)?);
            index.provisioned_throughput(throughput(capacity)?)
        }
    };
    request = request.global_secondary_indexes(built(index.build())?);
    if let Some(encryption) = &options.encryption {
        let specification = SseSpecification::builder()
            .enabled(true)
            .sse_type(SseType::Kms);
        request = request.sse_specification(match encryption {
            Encryption::AwsManaged => specification.build(),
            Encryption::Key(key) => specification.kms_master_key_id(key).build(),
        });
    }
    for (key, value) in &options.tags {
        request = request.tags(built(Tag::builder().key(key).value(value).build())?);
    }
    let send = || async {
        let Err(error) = request.clone().send().await else {
            return Ok(());
        };
        // Another process was faster.
        if matches!(error.as_service_error(), Some(refusal) if refusal.is_resource_in_use_exception())
        {
            return Ok(());
        }
        tracing::debug!(target: "store_dynamo", request = error.request_id(), "CreateTable failed");
        Err(error::request(&error, Access::Idempotent))
    };
    executor.send("CreateTable", Access::Idempotent, send).await
}

const ATTRIBUTES: [(&str, ScalarAttributeType); 4] = [
    (PK, ScalarAttributeType::S),
    (SK, ScalarAttributeType::S),
    (EXPIRY, ScalarAttributeType::S),
    ("expires_at", ScalarAttributeType::N),
];

fn keys(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>> {
    let element = |name: &str, of_type| {
        let element = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(of_type);
        built(element.build())
    };
    Ok(vec![
        element(hash, KeyType::Hash)?,
        element(range, KeyType::Range)?,
    ])
}

fn throughput(capacity: Capacity) -> Result<ProvisionedThroughput> {
    let throughput = ProvisionedThroughput::builder()
        .read_capacity_units(capacity.read)
        .write_capacity_units(capacity.write);
    built(throughput.build())
}

fn built<T, E>(part: Result<T, E>) -> Result<T> {
    part.map_err(|_| error::unbuildable())
}

/// Waits until the table and its index can be used, and says so now and then.
async fn wait(executor: &Executor, config: &DynamoConfig) -> Result<TableDescription> {
    let started = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    let mut told = 0;
    loop {
        if let Some(table) = describe(executor).await?
            && table.table_status() == Some(&TableStatus::Active)
        {
            return Ok(table);
        }
        let waited = started.elapsed();
        if waited > config.bootstrap_timeout {
            let message = format!(
                "table `{}` is not active after {} s; call bootstrap() again later",
                executor.table(),
                waited.as_secs()
            );
            return Err(Error::new(ErrorKind::Timeout, message).retryable());
        }
        if waited.as_secs() / 5 > told {
            told = waited.as_secs() / 5;
            tracing::info!(
                target: "store_dynamo",
                table = executor.table(),
                seconds = waited.as_secs(),
                "waiting for the table to become active"
            );
        }
        backoff.sleep().await;
    }
}

/// A table of another shape is left alone.
fn check(table: &TableDescription, name: &str) -> Result<()> {
    let has_keys = |schema: &[KeySchemaElement], hash: &str, range: &str| {
        let is = |element: &KeySchemaElement, name: &str, of_type: &KeyType| {
            element.attribute_name() == name && element.key_type() == of_type
        };
        matches!(schema, [first, second]
            if is(first, hash, &KeyType::Hash) && is(second, range, &KeyType::Range))
    };
    let definitions = table.attribute_definitions();
    let has_types = ATTRIBUTES.iter().all(|(name, of_type)| {
        let mut all = definitions.iter();
        all.any(|known| known.attribute_name() == *name && known.attribute_type() == of_type)
    });
    let mut indexes = table.global_secondary_indexes().iter();
    let has_index = indexes.any(|index| {
        index.index_name() == Some(EXPIRY) && has_keys(index.key_schema(), EXPIRY, "expires_at")
    });
    if has_keys(table.key_schema(), PK, SK) && has_types && has_index {
        return Ok(());
    }
    let message = format!(
        "table `{name}` has other keys or indexes than ours, and nothing was changed; choose a prefix or name that is free"
    );
    Err(Error::new(ErrorKind::SchemaMismatch, message))
}

/// Switches time to live on.
async fn reap(executor: &Executor, config: &DynamoConfig) -> Result<()> {
    let started = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let reaped = reaped(executor).await?;
        if reaped {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(REAP_AT)
            .enabled(true);
        let request = executor.client().update_time_to_live();
        let request = request
            .table_name(executor.table())
            .time_to_live_specification(built(specification.build())?);
        let send = || async {
            let sent = request.clone().send().await;
            sent.map(drop)
                .map_err(|error| error::request(&error, Access::Idempotent))
        };
        let switched = executor
            .send("UpdateTimeToLive", Access::Idempotent, send)
            .await;
        match switched {
            Ok(()) => return Ok(()),
            // Another process was faster, or the last change is still under way.
            Err(error) if error.kind() == ErrorKind::Backend => {
                if started.elapsed() > config.bootstrap_timeout {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        backoff.sleep().await;
    }
}

async fn reaped(executor: &Executor) -> Result<bool> {
    let request = executor.client().describe_time_to_live();
    let request = request.table_name(executor.table());
    let send = || async {
        let sent = request.clone().send().await;
        sent.map_err(|error| error::request(&error, Access::Read))
    };
    let answer = executor
        .send("DescribeTimeToLive", Access::Read, send)
        .await?;
    let Some(description) = answer.time_to_live_description else {
        return Ok(false);
    };
    match description.time_to_live_status() {
        Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {}
        _ => return Ok(false),
    }
    if description.attribute_name() == Some(REAP_AT) {
        return Ok(true);
    }
    let message = format!(
        "table `{}` has time to live on another attribute than `{REAP_AT}`; switch it off first",
        executor.table()
    );
    Err(Error::new(ErrorKind::SchemaMismatch, message))
}

async fn recover(executor: &Executor, recoverable: bool) -> Result<()> {
    let specification =
        PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(recoverable);
    let specification = built(specification.build())?;
    let request = executor.client().update_continuous_backups();
    let request = request
        .table_name(executor.table())
        .point_in_time_recovery_specification(specification);
    let send = || async {
        let sent = request.clone().send().await;
        sent.map(drop)
            .map_err(|error| error::request(&error, Access::Idempotent))
    };
    executor
        .send("UpdateContinuousBackups", Access::Idempotent, send)
        .await
}
