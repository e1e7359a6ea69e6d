//! No statement scans a table.

use std::time::Duration;

use deadpool_postgres::{Manager, Object, Pool};
use serde_json::{Value, json};
use store_core::{
    Lifecycle, NonceStore, Placement, Record, RecordKind, SchemaStore, Settings, TransferStore,
};
use store_memory::MemoryStore;
use store_postgres::PostgresStore;
use store_testkit::fixtures::Fixtures;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::support::{POSTGRES_URL, Schema, connect, variable};
use crate::transfer as moving;
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("plans::no_statement_scans_100000_rows", || {
        Box::pin(no_statement_scans_100000_rows())
    }),
    on_server("plans::a_table_vacuumed_while_empty_is_not_scanned", || {
        Box::pin(a_table_vacuumed_while_empty_is_not_scanned())
    }),
];

/// 100,000 rows in each table; every tenth has expired.
const ROWS: &str = "
INSERT INTO clients SELECT gen_random_uuid(), 'n', 'https://iss' || n, 'c' || n, 'https://a', 'https://t', 'https://j'
    FROM generate_series(1, 100000) n;
INSERT INTO deployments SELECT gen_random_uuid(), 'default', NULL, NULL, id FROM clients;
INSERT INTO nonces SELECT 'n' || n, now() + (n % 10 - 1) * interval '1 hour' FROM generate_series(1, 100000) n;
INSERT INTO sessions SELECT gen_random_uuid(), '{}', now() + (n % 10 - 1) * interval '1 hour'
    FROM generate_series(1, 100000) n;
INSERT INTO registration_sessions SELECT gen_random_uuid(), '{}', now() + (n % 10 - 1) * interval '1 hour'
    FROM generate_series(1, 100000) n;
INSERT INTO jts_sessions SELECT 'aid_' || n, 'prn' || n, 'sp_' || n, 'old_' || n, 3, now(), NULL, now(),
    now() + (n % 10 - 1) * interval '1 hour', now() FROM generate_series(1, 100000) n;
INSERT INTO jts_retired_state_proofs SELECT aid, 1, sha256(aid::bytea) FROM jts_sessions
    ON CONFLICT DO NOTHING;
INSERT INTO login_sessions SELECT 'ls_' || n, '{}', now() + (n % 10 - 1) * interval '1 hour', 1
    FROM generate_series(1, 100000) n;
ANALYZE;
";

/// Reads all clients, in the order of the primary key: the one statement that is meant to see every row.
const SEES_ALL: &str = "ORDER BY id";

async fn no_statement_scans_100000_rows() {
    let schema = Schema::create(&variable(POSTGRES_URL).expect("checked before")).await;
    let config = schema.config();
    // The planner is left to its defaults, unlike on a store's own connections.
    let manager = Manager::new(config.driver.clone(), NoTls);
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    let store = PostgresStore::from_pool(pool.clone(), config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    store_testkit::exercise(&store).await;
    transfer(&store).await;
    // Whatever they were planned for so far, the statements are planned anew for these.
    schema
        .execute(&format!("SET search_path TO {}; {ROWS}", schema.name))
        .await;

    let connection = pool.get().await.unwrap();
    let sql = "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements";
    let mut explained = 0;
    for row in connection.query(sql, &[]).await.unwrap() {
        let (name, statement, parameters): (String, String, i32) =
            (row.get(0), row.get(1), row.get(2));
        let ours = statement.contains(&schema.name);
        if !ours || statement.starts_with("SELECT pg_advisory") {
            continue;
        }
        // How an export runs depends on how long its page is, so the server plans each anew.
        let arguments = match (statement.contains("IS DISTINCT FROM $1"), parameters) {
            (true, 2) => vec!["NULL", "100"],
            (true, _) => vec!["NULL", "'epoch'", "100"],
            (false, _) => vec!["NULL"; usize::try_from(parameters).unwrap()],
        };
        let mode = match arguments.last() {
            Some(&"100") => "auto",
            _ => "force_generic_plan",
        };
        let settings = format!("SET plan_cache_mode = {mode}");
        connection.batch_execute(&settings).await.unwrap();
        let scans = scans(&connection, &name, &arguments).await;
        let allowed = statement.trim_end().ends_with(SEES_ALL) && !statement.contains("WHERE");
        assert!(scans.is_empty() || allowed, "{statement}\nscans {scans:?}");
        explained += 1;
    }
    assert!(
        explained >= 60,
        "only {explained} statements were prepared: exercise all operations"
    );
    drop(connection);
    schema.drop().await;
}

/// Runs the statements that move records.
async fn transfer(store: &PostgresStore) {
    let from = MemoryStore::new(Settings::default());
    moving::fill(&from).await;
    for kind in RecordKind::ALL {
        for record in moving::export(&from, kind, 1_000).await {
            for expected in [Placement::Added, Placement::Present] {
                assert_eq!(store.import_record(&record).await.unwrap(), expected);
            }
            if let Record::Client(mut client) = record {
                let mut another = Fixtures::new("plans").deployment(1).with_id(Uuid::new_v4());
                another.deployment_id = "another".parse().unwrap();
                client.deployments.push(another);
                let placed = store.import_record(&Record::Client(client)).await;
                assert_eq!(placed.unwrap(), Placement::Added);
            }
        }
        store.export_records(kind, None, 1).await.unwrap();
    }
}

/// The tables that a prepared statement scans sequentially.
async fn scans(connection: &Object, name: &str, arguments: &[&str]) -> Vec<String> {
    let arguments = if arguments.is_empty() {
        String::new()
    } else {
        format!("({})", arguments.join(", "))
    };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE \"{name}\"{arguments}");
    let rows = connection.simple_query(&explain).await.unwrap();
    let text: String = rows
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    find_scans(&plan, &mut found);
    found
}

fn find_scans(plan: &Value, found: &mut Vec<String>) {
    match plan {
        Value::Array(items) => items.iter().for_each(|item| find_scans(item, found)),
        Value::Object(node) => {
            if node.get("Node Type") == Some(&json!("Seq Scan")) {
                found.push(node["Relation Name"].to_string());
            }
            node.values().for_each(|value| find_scans(value, found));
        }
        _ => {}
    }
}

async fn a_table_vacuumed_while_empty_is_not_scanned() {
    let schema = Schema::create(&variable(POSTGRES_URL).expect("checked before")).await;
    let bootstrapping = schema.open(Settings::default());
    bootstrapping.bootstrap().await.unwrap();
    bootstrapping.close().await;
    let vacuum = format!("VACUUM ANALYZE {}.nonces", schema.name);
    schema.execute(&vacuum).await;
    let before = sequential_scans(&schema).await;

    let mut config = schema.config();
    config.max_connections = 1;
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    for n in 0..100 {
        let nonce = format!("n{n}");
        let stored = store.store_nonce(&nonce.parse().unwrap(), None).await;
        stored.unwrap();
        assert!(store.consume_nonce(&nonce).await.unwrap());
    }
    store.close().await;
    assert_eq!(sequential_scans(&schema).await, before);
    schema.drop().await;
}

/// How often `nonces` was scanned by connections that have ended. They report what they counted when
/// they do.
async fn sequential_scans(schema: &Schema) -> i64 {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sql = "SELECT seq_scan FROM pg_stat_user_tables
               WHERE schemaname = $1 AND relname = 'nonces'";
    let row = connect(&schema.url)
        .await
        .query_one(sql, &[&schema.name])
        .await;
    row.unwrap().get(0)
}
