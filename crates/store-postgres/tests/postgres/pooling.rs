//! The pool: limits, idle connections, dead connections, pools handed in.

use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, Pool};
use store_core::{
    ErrorKind, Lifecycle, LoginSessionStore, LtiSessionStore, NonceStore, SchemaStore, Settings,
};
use store_postgres::{PostgresConfig, PostgresStore};
use tokio_postgres::NoTls;

use crate::support::{POSTGRES_URL, Schema, connect, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("pooling::a_full_pool_is_said", || {
        Box::pin(a_full_pool_is_said())
    }),
    on_server("pooling::idle_connections_close", || {
        Box::pin(idle_connections_close())
    }),
    on_server("pooling::a_killed_idle_connection_is_replaced", || {
        Box::pin(a_killed_idle_connection_is_replaced())
    }),
    on_server(
        "pooling::a_connection_that_became_read_only_is_evicted",
        || Box::pin(a_connection_that_became_read_only_is_evicted()),
    ),
    on_server("pooling::a_pool_handed_in_stays_its_owners", || {
        Box::pin(a_pool_handed_in_stays_its_owners())
    }),
    on_server("pooling::a_url_opens_no_more_than_it_says", || {
        Box::pin(a_url_opens_no_more_than_it_says())
    }),
    on_server("pooling::many_reads_share_few_connections", || {
        Box::pin(many_reads_share_few_connections())
    }),
    on_server(
        "pooling::a_read_that_waits_holds_up_no_other_for_long",
        || Box::pin(a_read_that_waits_holds_up_no_other_for_long()),
    ),
    on_server(
        "pooling::a_read_that_is_not_polled_holds_up_no_other_for_long",
        || Box::pin(a_read_that_is_not_polled_holds_up_no_other_for_long()),
    ),
];

async fn schema() -> Schema {
    Schema::create(&variable(POSTGRES_URL).expect("checked before")).await
}

/// A configuration whose connections can be told from others by their name.
fn named(schema: &Schema) -> PostgresConfig {
    let mut config = schema.config();
    config.driver.application_name(&schema.name);
    config
}

/// How many connections of a store opened with `named` the server sees.
async fn connections(schema: &Schema) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let row = connect(&schema.url)
        .await
        .query_one(sql, &[&schema.name])
        .await;
    row.unwrap().get(0)
}

async fn a_full_pool_is_said() {
    let schema = schema().await;
    let mut config = named(&schema);
    config.max_connections = 1;
    config.wait_timeout = Duration::from_millis(100);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();

    let mut blocker = connect(&schema.url).await;
    let transaction = blocker.transaction().await.unwrap();
    let lock = format!("LOCK TABLE {}.nonces IN ACCESS EXCLUSIVE MODE", schema.name);
    transaction.batch_execute(&lock).await.unwrap();
    let blocked = tokio::spawn({
        let store = store.clone();
        async move { store.consume_nonce("n").await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PoolExhausted);
    assert!(error.is_retryable());
    assert!(error.to_string().contains("max_connections"), "{error}");
    transaction.rollback().await.unwrap();
    assert!(!blocked.await.unwrap().unwrap());
    store.health().await.unwrap();
    schema.drop().await;
}

async fn idle_connections_close() {
    let schema = schema().await;
    let mut config = named(&schema);
    config.idle_timeout = Duration::from_millis(300);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.health().await.unwrap();
    assert_eq!(connections(&schema).await, 1);
    let started = Instant::now();
    while connections(&schema).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.health().await.unwrap();
    schema.drop().await;
}

async fn a_killed_idle_connection_is_replaced() {
    let schema = schema().await;
    let store = PostgresStore::open(named(&schema), Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    for n in 0..5 {
        store.health().await.unwrap();
        let killed = connect(&schema.url)
            .await
            .query(kill, &[&schema.name])
            .await;
        assert!(!killed.unwrap().is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let nonce = format!("n{n}").parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();
    }
    schema.drop().await;
}

/// As after a failover: the connection leads to a node that takes no writes any more, and a new
/// connection leads to one that does.
async fn a_connection_that_became_read_only_is_evicted() {
    let schema = schema().await;
    schema.open(Settings::default()).bootstrap().await.unwrap();
    let config = named(&schema);
    let manager = Manager::new(config.driver.clone(), NoTls);
    let pool = Pool::builder(manager).max_size(3).build().unwrap();
    let all = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    for connection in &all {
        let demote = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
        connection.batch_execute(demote).await.unwrap();
    }
    drop(all);
    let store = PostgresStore::from_pool(pool.clone(), config, Settings::default()).unwrap();
    store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    assert!(store.consume_nonce("n").await.unwrap());
    assert_eq!(pool.status().size, 1, "both old connections are gone");
    schema.drop().await;
}

async fn a_pool_handed_in_stays_its_owners() {
    let schema = schema().await;
    let config = named(&schema);
    let manager = Manager::new(config.driver.clone(), NoTls);
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let store = PostgresStore::from_pool(pool.clone(), config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    store.close().await;
    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    pool.get()
        .await
        .unwrap()
        .batch_execute("SELECT 1")
        .await
        .unwrap();
    schema.drop().await;
}

async fn a_url_opens_no_more_than_it_says() {
    let schema = schema().await;
    let mut config = named(&schema);
    config.max_connections = 3;
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let calls = (0..50).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.consume_nonce("n").await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(connections(&schema).await, 3);
    store.close().await;
    schema.drop().await;
}

/// Reads share connections, which are the pool's: they count, and go back.
async fn many_reads_share_few_connections() {
    let schema = schema().await;
    let mut config = named(&schema);
    config.max_connections = 4;
    config.idle_timeout = Duration::from_millis(300);
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let reads = |count: usize| {
        let reads = (0..count).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    assert_eq!(store.load_login_session("id").await.unwrap(), None);
                    assert!(!store.consume_nonce("n").await.unwrap());
                }
            })
        });
        futures_util::future::join_all(reads.collect::<Vec<_>>())
    };
    for done in reads(64).await {
        done.unwrap();
    }
    assert!(connections(&schema).await <= 4);
    let started = Instant::now();
    while connections(&schema).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for done in reads(4).await {
        done.unwrap();
    }
    store.close().await;
    assert_eq!(connections(&schema).await, 0);
    schema.drop().await;
}

/// A statement that waits for a lock holds up only what waits for the same.
async fn a_read_that_waits_holds_up_no_other_for_long() {
    let schema = schema().await;
    let mut config = named(&schema);
    config.max_connections = 4;
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let id = uuid::Uuid::from_u128(1).to_string();
    store.get_lti_session(&id).await.unwrap();
    store.load_login_session("id").await.unwrap();

    let mut blocker = connect(&schema.url).await;
    let transaction = blocker.transaction().await.unwrap();
    let lock = format!(
        "LOCK TABLE {}.sessions IN ACCESS EXCLUSIVE MODE",
        schema.name
    );
    transaction.batch_execute(&lock).await.unwrap();
    let blocked = tokio::spawn({
        let store = store.clone();
        async move { store.get_lti_session(&id).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(store.load_login_session("id").await.unwrap(), None);
    }
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(!blocked.is_finished());
    assert!(connections(&schema).await <= 4);
    transaction.rollback().await.unwrap();
    assert_eq!(blocked.await.unwrap().unwrap(), None);
    store.health().await.unwrap();
    assert!(connections(&schema).await <= 4);
    schema.drop().await;
}

/// A read that nobody polls does not keep the others on its connection waiting.
async fn a_read_that_is_not_polled_holds_up_no_other_for_long() {
    let schema = schema().await;
    let store = PostgresStore::open(named(&schema), Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let make = store_testkit::fixtures::Fixtures::new("not-polled");
    let session = make.padded_lti_session(1, 300_000);
    store.add_lti_session(&session, None).await.unwrap();
    let id = session.id.to_string();
    let mut stuck: Vec<_> = (0..8).map(|_| store.get_lti_session(&id)).collect();
    for read in &mut stuck {
        assert!(futures_util::future::poll_immediate(read).await.is_none());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(store.load_login_session("id").await.unwrap(), None);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    for read in stuck {
        assert!(read.await.unwrap().is_some());
    }
    schema.drop().await;
}
