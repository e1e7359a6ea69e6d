//! What changes or watches the whole server: its time zone, a failover, its log of statements.

use std::collections::BTreeSet;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};
use store_core::{
    ErrorKind, JtsSessionStore, Lifecycle, LtiSessionData, NonceStore, SchemaStore, Settings,
    Timestamp,
};
use store_mysql::MySqlStore;
use store_testkit::fixtures::Fixtures;

use crate::support::{Database, connect};
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "whole_server::the_time_zone_is_irrelevant",
        run: |server| Box::pin(the_time_zone_is_irrelevant(server)),
    },
    Test {
        name: "whole_server::a_failover_to_a_read_only_server_is_survived",
        run: |server| Box::pin(a_failover_to_a_read_only_server_is_survived(server)),
    },
    Test {
        name: "whole_server::no_statement_scans_100000_rows",
        run: |server| Box::pin(no_statement_scans_100000_rows(server)),
    },
];

async fn the_time_zone_is_irrelevant(server: Server) -> Outcome {
    let mut admin = connect(&server.url).await;
    let database = server.database().await;
    admin
        .query_drop("SET GLOBAL time_zone = '+05:30'")
        .await
        .unwrap();
    let there = database.open(Settings::default());
    there.bootstrap().await.unwrap();
    there
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    let zone: Vec<String> = database.query("SELECT @@session.time_zone").await;
    admin
        .query_drop("SET GLOBAL time_zone = 'SYSTEM'")
        .await
        .unwrap();
    assert_eq!(zone, ["+05:30"]);
    let here = database.open(Settings::default());
    assert!(here.consume_nonce("n").await.unwrap());
    assert!(there.schema_status().await.unwrap().is_current());
    let sql = "SELECT expiresAt BETWEEN UTC_TIMESTAMP() + INTERVAL 9 MINUTE
               AND UTC_TIMESTAMP() + INTERVAL 11 MINUTE FROM nonces";
    assert_eq!(
        database.query::<bool>(sql).await,
        [true],
        "600 s, whatever the zone"
    );
    let sql = "SELECT MAX(ABS(TIMESTAMPDIFF(MINUTE, applied_at, UTC_TIMESTAMP()))) < 5 FROM store_migrations";
    assert_eq!(database.query::<bool>(sql).await, [true]);
    there.close().await;
    here.close().await;
    database.drop().await;
    Ok(())
}

async fn a_failover_to_a_read_only_server_is_survived(server: Server) -> Outcome {
    let database = server.database().await;
    let name = &database.name;
    // A user whom the server's option holds for, unlike administrators.
    let sql = format!(
        "CREATE USER '{name}'@'%' IDENTIFIED BY 'app'; GRANT ALL ON {name}.* TO '{name}'@'%'"
    );
    database.execute(&sql).await;
    let mut config = database.config();
    config.driver = OptsBuilder::from_opts(config.driver)
        .user(Some(name))
        .pass(Some("app"))
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    store
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    let ids = || {
        database.query::<u64>("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND DB = DATABASE()")
    };
    let before: BTreeSet<u64> = ids().await.into_iter().collect();
    database.execute("SET GLOBAL read_only = 1").await;
    let error = store.consume_nonce("n").await;
    database.execute("SET GLOBAL read_only = 0").await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        error.is_retryable() && error.to_string().contains("read-only"),
        "{error}"
    );
    assert!(
        store.consume_nonce("n").await.unwrap(),
        "nothing had happened"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after: BTreeSet<u64> = ids().await.into_iter().collect();
    assert!(
        before.is_disjoint(&after),
        "no connection outlives it: {before:?} {after:?}"
    );
    store.close().await;
    database.execute(&format!("DROP USER '{name}'@'%'")).await;
    database.drop().await;
    Ok(())
}

/// 100,000 rows in each table; every tenth has expired.
const ROWS: &str = "
CREATE TABLE numbers (n int PRIMARY KEY);
INSERT INTO numbers WITH RECURSIVE digits AS (SELECT 0 AS d UNION ALL SELECT d + 1 FROM digits WHERE d < 9)
    SELECT a.d * 10000 + b.d * 1000 + c.d * 100 + e.d * 10 + f.d
    FROM digits a, digits b, digits c, digits e, digits f;
INSERT INTO clients SELECT CONCAT('00000000-0000-4000-8000-', LPAD(n, 12, '0')), 'n', CONCAT('https://iss', n),
    CONCAT('c', n), 'https://a', 'https://t', 'https://j' FROM numbers;
INSERT INTO deployments SELECT id, 'default', NULL, NULL, id FROM clients;
INSERT INTO nonces SELECT CONCAT('n', n), UTC_TIMESTAMP(3) + INTERVAL (n % 10 - 1) HOUR, NULL FROM numbers;
INSERT INTO sessions (id, data, expiresAt) SELECT CONCAT('00000000-0000-4000-8000-', LPAD(n, 12, '0')), '{}',
    UTC_TIMESTAMP(3) + INTERVAL (n % 10 - 1) HOUR FROM numbers;
INSERT INTO registrationSessions SELECT id, data, expiresAt FROM sessions;
INSERT INTO jts_sessions (aid, prn, current_state_proof, previous_state_proof, state_proof_version, expires_at)
    SELECT CONCAT('aid_', n), CONCAT('prn', n), CONCAT('sp_', n), CONCAT('old_', n), 3,
    UTC_TIMESTAMP(3) + INTERVAL (n % 10 - 1) HOUR FROM numbers;
INSERT INTO jts_retired_state_proofs SELECT aid, 1, UNHEX(SHA2(aid, 256)) FROM jts_sessions;
INSERT INTO login_sessions (id, data, expires_at, version) SELECT CONCAT('ls_', n), '{}',
    UTC_TIMESTAMP(3) + INTERVAL (n % 10 - 1) HOUR, 1 FROM numbers;
DROP TABLE numbers;
ANALYZE TABLE clients, deployments, nonces, sessions, registrationSessions, jts_sessions,
    jts_retired_state_proofs, login_sessions;
";

async fn no_statement_scans_100000_rows(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    database.execute(ROWS).await;
    let mut conn = database.connect().await;
    // What an export reads, its first rows, has to decode.
    let make = Fixtures::new("plans");
    let session = make.lti_session(1);
    let session = serde_json::to_string(&LtiSessionData(&session)).unwrap();
    let registration = make.registration(1, Timestamp::MAX);
    let registration = serde_json::to_string(&registration).unwrap();
    for (table, data) in [
        ("sessions", session),
        ("registrationSessions", registration),
    ] {
        let sql = format!("UPDATE {table} SET data = ? ORDER BY id LIMIT 100");
        conn.exec_drop(sql, (data,)).await.unwrap();
    }
    let statements = logged(&server, &database, async {
        store_testkit::exercise(&*store).await;
        store.validate_state_proof("old_5").await.unwrap();
        store.validate_state_proof("no such proof").await.unwrap();
    })
    .await;
    let read_whole = scans(&mut conn, &statements).await;
    assert!(read_whole.is_empty(), "{read_whole:#?}");
    // As by statistics that were taken when the tables were empty.
    conn.query_drop(
        "UPDATE mysql.innodb_table_stats SET n_rows = 1, clustered_index_size = 1
         WHERE database_name = DATABASE();
         UPDATE mysql.innodb_index_stats SET stat_value = 1 WHERE database_name = DATABASE();
         COMMIT;
         FLUSH TABLES",
    )
    .await
    .unwrap();
    // Then an export may, which locks nothing, and MySQL may read an index that has all it needs from
    // its begin, in order and up to the limit.
    let mut read_whole = scans(&mut conn, &statements).await;
    read_whole.retain(|(plan, statement)| {
        let locks = !statement.starts_with("SELECT") || statement.contains("FOR UPDATE");
        locks && !plan.starts_with("index of e, ")
    });
    assert!(read_whole.is_empty(), "{read_whole:#?}");
    store.close().await;
    database.drop().await;
    Ok(())
}

/// The statements that the server runs for connections to a database meanwhile, with their values.
async fn logged(
    server: &Server,
    database: &Database,
    work: impl Future<Output = ()>,
) -> BTreeSet<String> {
    let mut admin = connect(&server.url).await;
    let before: Option<(String, u8)> = admin
        .query_first("SELECT @@GLOBAL.log_output, @@GLOBAL.general_log")
        .await
        .unwrap();
    let (output, _) = before.unwrap();
    admin
        .query_drop("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
        .await
        .unwrap();
    work.await;
    let ids: Vec<u64> = database
        .query("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()")
        .await;
    admin
        .query_drop(format!(
            "SET GLOBAL general_log = 0; SET GLOBAL log_output = '{output}'"
        ))
        .await
        .unwrap();
    let mut statements = BTreeSet::new();
    for id in ids {
        let sql = format!(
            "SELECT CAST(argument AS BINARY) FROM mysql.general_log
             WHERE thread_id = {id} AND command_type IN ('Query', 'Execute')"
        );
        let texts: Vec<Vec<u8>> = admin.query(sql).await.unwrap();
        // Digests are no text, and plans do not depend on them.
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        statements.extend(texts.into_iter().map(text));
    }
    admin
        .query_drop("TRUNCATE TABLE mysql.general_log")
        .await
        .unwrap();
    statements
}

/// How statements read a whole table or index, with those that do.
async fn scans(conn: &mut Conn, statements: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut scans = Vec::new();
    let mut explained = 0;
    for statement in statements {
        // The one statement that is meant to see every row.
        let lists_clients =
            statement.trim_end().ends_with("ORDER BY id") && !statement.contains("WHERE");
        let words = ["SELECT", "INSERT", "UPDATE", "DELETE"];
        let wanted = match statement.strip_prefix("SET @store_aid = (") {
            Some(select) => {
                conn.query_drop(statement).await.unwrap();
                select.trim_end_matches([')', ';', ' '])
            }
            None => statement.as_str(),
        };
        if lists_clients || !words.iter().any(|word| wanted.starts_with(word)) {
            continue;
        }
        if let Some(plan) = scan(conn, wanted).await {
            scans.push((plan, wanted.to_owned()));
        }
        explained += 1;
    }
    assert!(
        explained >= 50,
        "only {explained} statements were seen: {statements:#?}"
    );
    scans
}

/// How a statement reads a whole table or index, if it does.
async fn scan(conn: &mut Conn, statement: &str) -> Option<String> {
    let format = if conn.server_version().0 >= 10 {
        ""
    } else {
        "FORMAT=TRADITIONAL "
    };
    let rows: Vec<Row> = conn
        .query(format!("EXPLAIN {format}{statement}"))
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    for row in rows {
        let text = |name: &str| -> String {
            row.get_opt::<Option<String>, _>(name)
                .and_then(Result::ok)
                .flatten()
                .unwrap_or_default()
        };
        let (select, table, access) = (text("select_type"), text("table"), text("type"));
        let derived = table.starts_with('<') || table.is_empty();
        if select != "INSERT" && !derived && matches!(access.as_str(), "ALL" | "index") {
            return Some(format!("{access} of {table}, key {}", text("key")));
        }
    }
    None
}
