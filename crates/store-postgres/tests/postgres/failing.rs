//! Failures on the way: timeouts, killed connections, missing rights, rows that do not decode.

use std::time::Duration;

use std::sync::Arc;
use store_core::{
    CleanupOptions, CleanupStoreExt, ErrorKind, JtsSessionStore, LoginSessionStore,
    LtiSessionStore, ManualClock, NonceStore, RegistrationSessionStore, SchemaStore, Settings,
};
use store_postgres::PostgresStore;
use uuid::Uuid;

use crate::support::{POSTGRES_URL, Schema, connect, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("failing::a_slow_statement_times_out", || {
        Box::pin(a_slow_statement_times_out())
    }),
    on_server("failing::a_server_that_stops_answering_times_out", || {
        Box::pin(a_server_that_stops_answering_times_out())
    }),
    on_server(
        "failing::a_connection_killed_mid_write_is_indeterminate",
        || Box::pin(a_connection_killed_mid_write_is_indeterminate()),
    ),
    on_server("failing::a_connection_killed_mid_read_is_retried", || {
        Box::pin(a_connection_killed_mid_read_is_retried())
    }),
    on_server("failing::a_role_without_rights_is_told_which", || {
        Box::pin(a_role_without_rights_is_told_which())
    }),
    on_server("failing::corrupt_rows_are_named_and_not_shown", || {
        Box::pin(corrupt_rows_are_named_and_not_shown())
    }),
    on_server("failing::a_changed_column_type_is_noticed", || {
        Box::pin(a_changed_column_type_is_noticed())
    }),
    on_server("failing::policies_hold_under_any_default_isolation", || {
        Box::pin(policies_hold_under_any_default_isolation())
    }),
    on_server("failing::cleanup_disturbs_no_writer", || {
        Box::pin(cleanup_disturbs_no_writer())
    }),
];

async fn schema() -> Schema {
    Schema::create(&variable(POSTGRES_URL).expect("checked before")).await
}

/// Locks a table until the returned connection is dropped.
async fn lock(schema: &Schema, table: &str) -> tokio_postgres::Client {
    let client = connect(&schema.url).await;
    let sql = format!(
        "BEGIN; LOCK TABLE {}.{table} IN ACCESS EXCLUSIVE MODE",
        schema.name
    );
    client.batch_execute(&sql).await.unwrap();
    client
}

async fn a_slow_statement_times_out() {
    let schema = schema().await;
    let mut config = schema.config();
    config.statement_timeout = Duration::from_millis(200);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let held = lock(&schema, "nonces").await;
    let error = store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.code(), Some("57014"));
    assert!(error.is_retryable());
    drop(held);
    store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    schema.drop().await;
}

/// Through a pooler no statement timeout is set on the server, so only the client's own is left.
async fn a_server_that_stops_answering_times_out() {
    let schema = schema().await;
    schema.open(Settings::default()).bootstrap().await.unwrap();
    let mut config = schema.config();
    config.pgbouncer = true;
    config.statement_timeout = Duration::from_millis(100);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    let held = lock(&schema, "nonces").await;
    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(!error.is_retryable());
    drop(held);
    assert!(
        !store.consume_nonce("n").await.unwrap(),
        "on a new connection"
    );
    schema.drop().await;
}

/// Kills the connection of a store whose application name is the schema's, once it waits for a lock.
async fn kill_waiting(schema: &Schema) {
    let client = connect(&schema.url).await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = $1 AND wait_event_type = 'Lock'";
    for _ in 0..200 {
        if !client.query(sql, &[&schema.name]).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing waits for the lock");
}

async fn a_connection_killed_mid_write_is_indeterminate() {
    let schema = schema().await;
    let mut config = schema.config();
    config.driver.application_name(&schema.name);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    // Prepared before, or the preparation would wait for the lock, and be retried.
    let first = "first".parse().unwrap();
    store.store_nonce(&first, None).await.unwrap();
    let held = lock(&schema, "nonces").await;
    let nonce = "n".parse().unwrap();
    let (outcome, ()) = tokio::join!(store.store_nonce(&nonce, None), kill_waiting(&schema));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    assert!(!error.is_retryable());
    drop(held);
    store.store_nonce(&nonce, None).await.unwrap();
    schema.drop().await;
}

async fn a_connection_killed_mid_read_is_retried() {
    let schema = schema().await;
    let mut config = schema.config();
    config.driver.application_name(&schema.name);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let held = lock(&schema, "login_sessions").await;
    let kill = async {
        kill_waiting(&schema).await;
        drop(held);
    };
    let (loaded, ()) = tokio::join!(store.load_login_session("id"), kill);
    assert_eq!(loaded.unwrap(), None);
    schema.drop().await;
}

async fn a_role_without_rights_is_told_which() {
    let schema = schema().await;
    let role = &schema.name;
    let sql =
        format!("CREATE ROLE {role} LOGIN PASSWORD 'app'; GRANT USAGE ON SCHEMA {role} TO {role}");
    schema.execute(&sql).await;
    let mut config = schema.config();
    config.driver.user(role).password("app");
    let store = PostgresStore::open(config, Settings::default()).unwrap();

    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMissing);
    assert!(error.to_string().contains("bootstrap()"), "{error}");
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");

    schema.open(Settings::default()).bootstrap().await.unwrap();
    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("needs SELECT"), "{error}");

    let sql =
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {role} TO {role}");
    schema.execute(&sql).await;
    assert!(!store.consume_nonce("n").await.unwrap());
    assert_eq!(
        store.bootstrap().await.unwrap().applied,
        [""; 0],
        "nothing to do"
    );
    schema
        .execute(&format!("DROP SCHEMA {role} CASCADE; DROP ROLE {role}"))
        .await;
}

async fn corrupt_rows_are_named_and_not_shown() {
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    let id = Uuid::from_u128(1).to_string();
    let (name, later) = (&schema.name, "now() + interval '1 hour'");
    schema
        .execute(&format!(
            "INSERT INTO {name}.sessions VALUES ('{id}', '{{\"user\": \"hunter2\"}}', {later});
             INSERT INTO {name}.registration_sessions VALUES ('{id}', '[\"hunter2\"]', {later});
             INSERT INTO {name}.login_sessions VALUES ('{id}', '\"hunter2\"', {later}, 1)"
        ))
        .await;
    let errors = [
        ("sessions", store.get_lti_session(&id).await.unwrap_err()),
        (
            "registration_sessions",
            store.get_registration_session(&id).await.unwrap_err(),
        ),
        (
            "login_sessions",
            store.load_login_session(&id).await.unwrap_err(),
        ),
    ];
    for (table, error) in errors {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(table) && shown.contains(&id), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    schema.drop().await;
}

async fn cleanup_disturbs_no_writer() {
    let schema = schema().await;
    let clock = ManualClock::default();
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = schema.open(settings);
    store.bootstrap().await.unwrap();
    let writers = (0..16).map(|writer| {
        let (store, clock) = (Arc::clone(&store), clock.clone());
        tokio::spawn(async move {
            for n in 0..60 {
                let nonce = format!("n{writer}-{n}").parse().unwrap();
                store
                    .store_nonce(&nonce, Some(Duration::from_millis(20)))
                    .await
                    .unwrap();
                store.consume_nonce(nonce.as_str()).await.unwrap();
                let mut new = store_core::NewJtsSession::of("p".parse().unwrap());
                new.lifetime = Some(Duration::from_millis(20));
                let created = store
                    .create_jts_session(new, store_core::SessionPolicy::AllowAll)
                    .await;
                let proof = created.unwrap().session.current_state_proof;
                store.renew_state_proof(proof.as_str()).await.unwrap();
                clock.advance(Duration::from_millis(1));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let options = CleanupOptions {
        batch: 7,
        ..CleanupOptions::default()
    };
    let mut deleted = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let report = store.cleanup(&options, &mut |_| {}).await.unwrap();
        assert!(report.finished);
        deleted += report.total();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    clock.advance(Duration::from_secs(1));
    deleted += store.cleanup(&options, &mut |_| {}).await.unwrap().total();
    assert_eq!(deleted, 2 * 16 * 60);
    schema.drop().await;
}

/// The server refuses a prepared statement whose answer would change; a new connection prepares anew.
async fn a_changed_column_type_is_noticed() {
    let schema = schema().await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    let new = || store_core::NewJtsSession::of("p".parse().unwrap());
    let allow_all = store_core::SessionPolicy::AllowAll;
    let created = store.create_jts_session(new(), allow_all).await.unwrap();
    let aid = created.session.aid.as_str();
    store.get_jts_session(aid).await.unwrap().unwrap();
    let alter = format!(
        "ALTER TABLE {}.jts_sessions ALTER COLUMN prn TYPE text",
        schema.name
    );
    schema.execute(&alter).await;
    store.get_jts_session(aid).await.unwrap().unwrap();
    store
        .rotate_state_proof(aid, created.session.current_state_proof.as_str())
        .await
        .unwrap();
    schema.drop().await;
}

/// Also by stores that name the schema in different ways.
async fn policies_hold_under_any_default_isolation() {
    let schema = schema().await;
    schema.open(Settings::default()).bootstrap().await.unwrap();
    let stores = [Some(schema.name.clone()), None].map(|named| {
        let mut config = schema.config();
        config.tables.schema = named;
        let path = format!(
            "-c search_path={} -c default_transaction_isolation=serializable",
            schema.name
        );
        config.driver.options(&path);
        PostgresStore::open(config, Settings::default()).unwrap()
    });
    let two = store_core::SessionPolicy::Max(2.try_into().unwrap());
    let logins = (0..20).map(|n: usize| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move {
            let new = store_core::NewJtsSession::of("p".parse().unwrap());
            store.create_jts_session(new, two).await.unwrap();
        })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    assert_eq!(stores[0].count_jts_sessions("p").await.unwrap(), 2);
    schema.drop().await;
}
