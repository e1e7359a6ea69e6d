//! Bootstrap beyond what the contract's cases see.

use store_core::{ErrorKind, MigrationState, NonceStore, SchemaStore, Settings};
use store_postgres::PostgresStore;

use crate::support::{POSTGRES_URL, Schema, connect, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("bootstrap::an_administrator_can_run_the_definition", || {
        Box::pin(an_administrator_can_run_the_definition())
    }),
    on_server("bootstrap::a_changed_migration_is_refused", || {
        Box::pin(a_changed_migration_is_refused())
    }),
    on_server("bootstrap::a_newer_versions_migration_is_let_be", || {
        Box::pin(a_newer_versions_migration_is_let_be())
    }),
    on_server("bootstrap::a_missing_schema_is_created", || {
        Box::pin(a_missing_schema_is_created())
    }),
    on_server("bootstrap::one_that_is_given_up_changes_nothing", || {
        Box::pin(one_that_is_given_up_changes_nothing())
    }),
    on_server("bootstrap::payloads_are_compressed_with_lz4", || {
        Box::pin(payloads_are_compressed_with_lz4())
    }),
    on_server("bootstrap::two_prefixes_live_in_one_schema", || {
        Box::pin(two_prefixes_live_in_one_schema())
    }),
];

async fn schema() -> Schema {
    Schema::create(&variable(POSTGRES_URL).expect("checked before")).await
}

async fn an_administrator_can_run_the_definition() {
    let schema = schema().await;
    let store = schema.open(Settings::default());
    schema.execute(&store.schema_definition()).await;
    assert!(store.schema_status().await.unwrap().is_current());
    assert!(store.bootstrap().await.unwrap().applied.is_empty());
    store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    schema.drop().await;
}

async fn a_changed_migration_is_refused() {
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    let change = format!(
        "UPDATE {}.store_migrations SET checksum = 'x' WHERE version = 2",
        schema.name
    );
    schema.execute(&change).await;
    let status = store.schema_status().await.unwrap();
    assert_eq!(status.migrations[1].state, MigrationState::Changed);
    assert!(!status.is_current());
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    assert!(error.to_string().contains("0002_jts"), "{error}");
    schema.drop().await;
}

async fn a_newer_versions_migration_is_let_be() {
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    let newer = format!(
        "INSERT INTO {}.store_migrations VALUES (99, 'next', 'x', now())",
        schema.name
    );
    schema.execute(&newer).await;
    let status = store.schema_status().await.unwrap();
    assert_eq!(
        status.migrations.last().unwrap().state,
        MigrationState::Unknown
    );
    assert!(
        status.is_current(),
        "an older version of the crate runs on during an upgrade"
    );
    store.bootstrap().await.unwrap();
    schema.drop().await;
}

async fn a_missing_schema_is_created() {
    let schema = schema().await;
    schema.drop().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    assert!(!store.consume_nonce("n").await.unwrap());
    schema.drop().await;
}

async fn one_that_is_given_up_changes_nothing() {
    let schema = schema().await;
    for polls in 0..40 {
        let store = schema.open(Settings::default());
        let mut bootstrap = store.bootstrap();
        for _ in 0..polls {
            let step =
                std::future::poll_fn(|cx| std::task::Poll::Ready(bootstrap.as_mut().poll(cx)));
            if step.await.is_ready() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(bootstrap);
        let status = schema
            .open(Settings::default())
            .schema_status()
            .await
            .unwrap();
        let pending = |m: &store_core::MigrationStatus| m.state == MigrationState::Pending;
        let all = status.migrations.iter().all(pending);
        assert!(all || status.is_current(), "all or nothing: {status:?}");
    }
    schema.open(Settings::default()).bootstrap().await.unwrap();
    schema.drop().await;
}

async fn two_prefixes_live_in_one_schema() {
    let schema = schema().await;
    for prefix in ["a_", "b_"] {
        let mut config = schema.config();
        config.tables.prefix = prefix.to_owned();
        let store = PostgresStore::open(config, Settings::default()).unwrap();
        store.bootstrap().await.unwrap();
        store
            .store_nonce(&"same".parse().unwrap(), None)
            .await
            .unwrap();
    }
    let count = format!(
        "SELECT count(*) FROM pg_tables WHERE schemaname = '{}'",
        schema.name
    );
    let row = connect(&schema.url)
        .await
        .query_one(&count, &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 18);
    schema.drop().await;
}

/// Where the server can.
async fn payloads_are_compressed_with_lz4() {
    let schema = schema().await;
    schema.open(Settings::default()).bootstrap().await.unwrap();
    let client = connect(&schema.url).await;
    let supported = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings
                     WHERE name = 'default_toast_compression'";
    let supported = client.query_opt(supported, &[]).await.unwrap();
    let compressed = if supported.is_some_and(|row| row.get(0)) {
        2
    } else {
        0
    };
    // By way of JSON, because servers before 14 have no such column.
    let sql = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               WHERE c.relnamespace = $1::text::regnamespace
                 AND to_jsonb(a) ->> 'attcompression' = 'l'
                 AND c.relname IN ('sessions', 'login_sessions')";
    let row = client.query_one(sql, &[&schema.name]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), compressed);
    schema.drop().await;
}
