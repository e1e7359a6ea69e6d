//! Failures on the way: timeouts, killed connections, missing rights, rows that do not decode.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::OptsBuilder;
use mysql_async::prelude::Queryable;
use store_core::{
    CleanupOptions, CleanupStoreExt, ErrorKind, JtsSessionStore, LoginSessionStore,
    LtiSessionStore, ManualClock, NewJtsSession, NonceStore, RegistrationSessionStore, SchemaStore,
    SessionPolicy, Settings,
};
use store_mysql::MySqlStore;
use uuid::Uuid;

use crate::support::Database;
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "failing::a_server_that_does_not_answer_times_out",
        run: |server| Box::pin(a_server_that_does_not_answer_times_out(server)),
    },
    Test {
        name: "failing::a_connection_killed_mid_write_is_indeterminate",
        run: |server| Box::pin(a_connection_killed_mid_write_is_indeterminate(server)),
    },
    Test {
        name: "failing::a_connection_killed_mid_read_is_retried",
        run: |server| Box::pin(a_connection_killed_mid_read_is_retried(server)),
    },
    Test {
        name: "failing::a_role_without_rights_is_told_which",
        run: |server| Box::pin(a_role_without_rights_is_told_which(server)),
    },
    Test {
        name: "failing::corrupt_rows_are_named_and_not_shown",
        run: |server| Box::pin(corrupt_rows_are_named_and_not_shown(server)),
    },
    Test {
        name: "failing::cleanup_disturbs_no_writer",
        run: |server| Box::pin(cleanup_disturbs_no_writer(server)),
    },
];

/// Locks a table until the returned connection is dropped.
async fn lock(database: &Database, table: &str) -> mysql_async::Conn {
    let mut conn = database.connect().await;
    conn.query_drop(format!("LOCK TABLES {table} WRITE"))
        .await
        .unwrap();
    conn
}

async fn a_server_that_does_not_answer_times_out(server: Server) -> Outcome {
    let database = server.database().await;
    database
        .open(Settings::default())
        .bootstrap()
        .await
        .unwrap();
    let mut config = database.config();
    config.statement_timeout = Duration::from_millis(200);
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    let held = lock(&database, "nonces").await;
    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    assert!(!error.is_retryable());
    drop(held);
    let held = lock(&database, "login_sessions").await;
    let error = store.load_login_session("id").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.is_retryable());
    drop(held);
    assert!(
        !store.consume_nonce("n").await.unwrap(),
        "on a new connection"
    );
    database.drop().await;
    Ok(())
}

/// Kills the connection that waits for a table.
async fn kill_waiting(database: &Database) {
    let sql = format!(
        "SELECT ID FROM information_schema.PROCESSLIST
         WHERE DB = '{}' AND STATE LIKE 'Waiting for table%'",
        database.name
    );
    for _ in 0..200 {
        if let Some(id) = database.query::<u64>(&sql).await.first() {
            database.execute(&format!("KILL {id}")).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing waits for the lock");
}

async fn a_connection_killed_mid_write_is_indeterminate(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    // Prepared before, or the preparation would wait for the lock.
    store
        .store_nonce(&"first".parse().unwrap(), None)
        .await
        .unwrap();
    let held = lock(&database, "nonces").await;
    let nonce = "n".parse().unwrap();
    let (outcome, ()) = tokio::join!(store.store_nonce(&nonce, None), kill_waiting(&database));
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    assert!(!error.is_retryable());
    drop(held);
    store.store_nonce(&nonce, None).await.unwrap();
    database.drop().await;
    Ok(())
}

async fn a_connection_killed_mid_read_is_retried(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    let held = lock(&database, "login_sessions").await;
    let kill = async {
        kill_waiting(&database).await;
        drop(held);
    };
    let (loaded, ()) = tokio::join!(store.load_login_session("id"), kill);
    assert_eq!(loaded.unwrap(), None);
    database.drop().await;
    Ok(())
}

async fn a_role_without_rights_is_told_which(server: Server) -> Outcome {
    let database = server.database().await;
    let name = &database.name;
    let sql = format!(
        "CREATE USER '{name}'@'%' IDENTIFIED BY 'app'; GRANT SELECT ON {name}.* TO '{name}'@'%'"
    );
    database.execute(&sql).await;
    let mut config = database.config();
    config.driver = OptsBuilder::from_opts(config.driver)
        .user(Some(name))
        .pass(Some("app"))
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();

    let error = store.load_login_session("id").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMissing, "{error}");
    assert!(error.to_string().contains("bootstrap()"), "{error}");
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");

    database
        .open(Settings::default())
        .bootstrap()
        .await
        .unwrap();
    let error = store.consume_nonce("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("needs SELECT"), "{error}");

    let sql = format!("GRANT INSERT, UPDATE, DELETE ON {name}.* TO '{name}'@'%'");
    database.execute(&sql).await;
    let store = {
        let mut config = database.config();
        config.driver = OptsBuilder::from_opts(config.driver)
            .user(Some(name))
            .pass(Some("app"))
            .into();
        MySqlStore::open(config, Settings::default()).unwrap()
    };
    assert!(!store.consume_nonce("n").await.unwrap());
    let report = store.bootstrap().await.unwrap();
    assert_eq!(report.applied, [""; 0], "nothing to do");
    database.execute(&format!("DROP USER '{name}'@'%'")).await;
    database.drop().await;
    Ok(())
}

async fn corrupt_rows_are_named_and_not_shown(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    let id = Uuid::from_u128(1).to_string();
    let later = "UTC_TIMESTAMP() + INTERVAL 1 HOUR";
    database
        .execute(&format!(
            "INSERT INTO sessions (id, data, expiresAt) VALUES ('{id}', '{{\"user\": \"hunter2\"}}', {later});
             INSERT INTO registrationSessions VALUES ('{id}', '[\"hunter2\"]', {later});
             INSERT INTO login_sessions (id, data, expires_at, version) VALUES ('{id}', '\"hunter2\"', {later}, 1)"
        ))
        .await;
    let errors = [
        ("sessions", store.get_lti_session(&id).await.unwrap_err()),
        (
            "registrationSessions",
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
    database.drop().await;
    Ok(())
}

async fn cleanup_disturbs_no_writer(server: Server) -> Outcome {
    let database = server.database().await;
    let clock = ManualClock::default();
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = database.open(settings);
    store.bootstrap().await.unwrap();
    let writers = (0..16).map(|writer| {
        let (store, clock) = (Arc::clone(&store), clock.clone());
        tokio::spawn(async move {
            for n in 0..60 {
                let nonce = format!("n{writer}-{n}").parse().unwrap();
                let lifetime = Some(Duration::from_millis(20));
                store.store_nonce(&nonce, lifetime).await.unwrap();
                store.consume_nonce(nonce.as_str()).await.unwrap();
                let mut new = NewJtsSession::of("p".parse().unwrap());
                new.lifetime = lifetime;
                let created = store.create_jts_session(new, SessionPolicy::AllowAll).await;
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
    database.drop().await;
    Ok(())
}
