//! Connections over time: killed, handed in, abandoned, and too few.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{OptsBuilder, Pool, PoolConstraints, PoolOpts};
use store_core::{
    ErrorKind, JtsSessionStore, Lifecycle, LoginSessionStore, NewJtsSession, NonceStore,
    SchemaStore, SessionPolicy, Settings,
};
use store_mysql::MySqlStore;

use crate::support::Database;
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "pooling::idle_connections_that_the_server_closed_are_not_used",
        run: |server| Box::pin(idle_connections_that_the_server_closed_are_not_used(server)),
    },
    Test {
        name: "pooling::idle_connections_are_closed",
        run: |server| Box::pin(idle_connections_are_closed(server)),
    },
    Test {
        name: "pooling::waiting_for_a_connection_ends",
        run: |server| Box::pin(waiting_for_a_connection_ends(server)),
    },
    Test {
        name: "pooling::a_pool_can_be_handed_in",
        run: |server| Box::pin(a_pool_can_be_handed_in(server)),
    },
    Test {
        name: "pooling::dropped_futures_leave_no_poisoned_connection",
        run: |server| Box::pin(dropped_futures_leave_no_poisoned_connection(server)),
    },
    Test {
        name: "pooling::abandoned_openings_do_not_get_the_host_blocked",
        run: |server| Box::pin(abandoned_openings_do_not_get_the_host_blocked(server)),
    },
];

/// The ids of the connections to a database but the one that asks.
async fn connections(database: &Database) -> Vec<u64> {
    let sql = format!(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND ID <> CONNECTION_ID()",
        database.name
    );
    database.query(&sql).await
}

async fn kill_all(database: &Database) -> usize {
    let ids = connections(database).await;
    for id in &ids {
        database.execute(&format!("KILL {id}")).await;
    }
    ids.len()
}

async fn idle_connections_that_the_server_closed_are_not_used(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    for n in 0..5 {
        assert!(kill_all(&database).await > 0);
        // A write, which nobody may send again once it was sent.
        let nonce = format!("n{n}").parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();
    }
    // The server's own way of closing them.
    let mut config = database.config();
    config.driver = OptsBuilder::from_opts(config.driver)
        .setup(vec!["SET SESSION wait_timeout = 1"])
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.health().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let nonce = "later".parse().unwrap();
    store.store_nonce(&nonce, None).await.unwrap();
    store.close().await;
    database.drop().await;
    Ok(())
}

async fn idle_connections_are_closed(server: Server) -> Outcome {
    let database = server.database().await;
    let mut config = database.config();
    config.idle_timeout = Duration::from_secs(1);
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.health().await.unwrap();
    assert_eq!(connections(&database).await.len(), 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(connections(&database).await.len(), 0);
    store.health().await.unwrap();
    store.close().await;
    assert_eq!(connections(&database).await.len(), 0);
    database.drop().await;
    Ok(())
}

/// Holds a row of `nonces` until the returned connection is dropped.
async fn hold(database: &Database, nonce: &str) -> mysql_async::Conn {
    let mut conn = database.connect().await;
    let sql = format!("BEGIN; SELECT * FROM nonces WHERE nonce = '{nonce}' FOR UPDATE");
    conn.query_drop(sql).await.unwrap();
    conn
}

async fn waiting_for_a_connection_ends(server: Server) -> Outcome {
    let database = server.database().await;
    let mut config = database.config();
    config.max_connections = 1;
    config.wait_timeout = Duration::from_millis(100);
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    let held = hold(&database, "n").await;
    let busy = tokio::spawn({
        let store = store.clone();
        async move { store.consume_nonce("n").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PoolExhausted, "{error}");
    assert!(error.is_retryable());
    drop(held);
    assert!(busy.await.unwrap().unwrap());
    store.health().await.unwrap();
    store.close().await;
    database.drop().await;
    Ok(())
}

async fn a_pool_can_be_handed_in(server: Server) -> Outcome {
    let database = server.database().await;
    let config = database.config();
    // As an application may have it: with resets, rows found instead of changed, another zone.
    let opts = OptsBuilder::from_opts(config.driver.clone())
        .pool_opts(PoolOpts::default().with_constraints(PoolConstraints::new(0, 3).unwrap()))
        .client_found_rows(true)
        .prefer_socket(false)
        .setup(vec!["SET time_zone = '-11:00'"]);
    let pool = Pool::new(opts);
    let store = MySqlStore::from_pool(pool.clone(), config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    let nonce = "n".parse().unwrap();
    store.store_nonce(&nonce, None).await.unwrap();
    let again = store.store_nonce(&nonce, None).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert!(store.consume_nonce("n").await.unwrap());
    assert!(!store.consume_nonce("n").await.unwrap());
    store_testkit::exercise(&store).await;
    store.close().await;
    assert_eq!(store.health().await.unwrap_err().kind(), ErrorKind::Closed);
    let mut conn = pool.get_conn().await.unwrap();
    conn.ping().await.unwrap();
    drop(conn);
    pool.disconnect().await.unwrap();
    database.drop().await;
    Ok(())
}

async fn dropped_futures_leave_no_poisoned_connection(server: Server) -> Outcome {
    let database = server.database().await;
    let mut config = database.config();
    config.max_connections = 2;
    let store = Arc::new(MySqlStore::open(config, Settings::default()).unwrap());
    store.bootstrap().await.unwrap();
    let id = "ls_1".parse().unwrap();
    let data = serde_json::Map::from_iter([("refresh_token".to_owned(), "r".into())]);
    let hour = Duration::from_secs(3600);
    store
        .create_login_session(&id, data.clone(), hour)
        .await
        .unwrap();
    // Given up after ever more of it has happened.
    for micros in (0..3_000).step_by(37) {
        let limit = Duration::from_micros(micros);
        let set = store.set_login_properties("ls_1", data.clone(), None);
        let _ = tokio::time::timeout(limit, set).await;
        let policy = SessionPolicy::Single;
        let create = store.create_jts_session(NewJtsSession::of("p".parse().unwrap()), policy);
        let _ = tokio::time::timeout(limit, create).await;
        assert!(store.load_login_session("ls_1").await.unwrap().is_some());
        let count = store.count_jts_sessions("p").await.unwrap();
        assert!(count <= 1, "{count} sessions");
    }
    // No transaction is left open that would hold the row.
    store
        .set_login_properties("ls_1", data, None)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.INNODB_TRX t
         JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
         WHERE p.DB = '{}'",
        database.name
    );
    assert_eq!(database.query::<u64>(&sql).await, [0]);
    store.close().await;
    database.drop().await;
    Ok(())
}

async fn abandoned_openings_do_not_get_the_host_blocked(server: Server) -> Outcome {
    let database = server.database().await;
    // A server blocks a host after 100 openings in a row that were not ended, by default.
    for n in 0..150 {
        let store = database.open(Settings::default());
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), store.health()).await;
    }
    database.open(Settings::default()).health().await.unwrap();
    database.drop().await;
    Ok(())
}
