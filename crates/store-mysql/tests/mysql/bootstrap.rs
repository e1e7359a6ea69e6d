//! Bootstrapping: cut off after any statement, from many processes, by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mysql_async::OptsBuilder;
use store_core::{ClientStore, JtsSessionStore, NonceStore, SchemaStore, Settings};
use store_mysql::{MySqlConfig, MySqlStore, SslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::adoption::{JTS, LTI, LTI_ROWS};
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "bootstrap::cut_off_after_any_statement_it_can_be_run_again",
        run: |server| Box::pin(cut_off_after_any_statement_it_can_be_run_again(server)),
    },
    Test {
        name: "bootstrap::the_script_does_what_bootstrap_does",
        run: |server| Box::pin(the_script_does_what_bootstrap_does(server)),
    },
    Test {
        name: "bootstrap::a_database_of_another_name_is_created",
        run: |server| Box::pin(a_database_of_another_name_is_created(server)),
    },
];

/// Stands between a store and its server, and cuts the connection once it has passed on so many
/// statements that change something.
async fn cutter(target: String, limit: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                while let Ok(packet) = packet(&mut from_client).await {
                    let changes = packet[3] == 0
                        && packet[4] == 0x03
                        && !packet[5..].starts_with(b"SELECT")
                        && !packet[5..].starts_with(b"SET");
                    if to_server.write_all(&packet).await.is_err() {
                        break;
                    }
                    if changes && count.fetch_add(1, Ordering::SeqCst) + 1 >= limit {
                        break;
                    }
                }
                back.abort();
            });
        }
    });
    (port, passed)
}

async fn packet(from: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await?;
    let length =
        usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

fn through(config: &MySqlConfig, port: u16) -> MySqlConfig {
    let mut config = config.clone();
    config.ssl_mode = SslMode::Disabled;
    config.driver = OptsBuilder::from_opts(config.driver)
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .into();
    config
}

async fn cut_off_after_any_statement_it_can_be_run_again(server: Server) -> Outcome {
    let config = MySqlConfig::from_url(&server.url).unwrap();
    let target = format!(
        "{}:{}",
        config.driver.ip_or_hostname(),
        config.driver.tcp_port()
    );
    let mut statements = 0;
    for limit in 1.. {
        let database = server.database().await;
        // What has most to be done.
        database.execute(&format!("{LTI} {LTI_ROWS} {JTS}")).await;
        let (port, passed) = cutter(target.clone(), limit).await;
        let cut = MySqlStore::open(through(&database.config(), port), Settings::default()).unwrap();
        let outcome = cut.bootstrap().await;
        drop(cut);
        let whole = outcome.is_ok() && passed.load(Ordering::SeqCst) < limit;
        let store = database.open(Settings::default());
        let report = store.bootstrap().await;
        let report = report.unwrap_or_else(|error| panic!("after {limit} statements: {error}"));
        assert!(store.schema_status().await.unwrap().is_current());
        assert_eq!(store.list_clients().await.unwrap().len(), 1);
        assert_eq!(store.count_jts_sessions("Bob").await.unwrap(), 1);
        assert!(!store.consume_nonce("seen").await.unwrap(), "after {limit}");
        store_testkit::exercise(&*store).await;
        database.drop().await;
        if whole {
            assert_eq!(report.applied, [""; 0]);
            statements = limit - 1;
            break;
        }
    }
    assert!(
        statements > 20,
        "only {statements} statements were cut off after"
    );
    Ok(())
}

async fn the_script_does_what_bootstrap_does(server: Server) -> Outcome {
    let database = server.database().await;
    let store = database.open(Settings::default());
    database.execute(&store.schema_definition()).await;
    assert!(store.schema_status().await.unwrap().is_current());
    assert_eq!(store.bootstrap().await.unwrap().applied, [""; 0]);
    store_testkit::exercise(&*store).await;
    database.drop().await;
    Ok(())
}

async fn a_database_of_another_name_is_created(server: Server) -> Outcome {
    let database = server.database().await;
    let mut config = database.config();
    let other = format!("{}_x", database.name);
    config.tables.database = Some(other.clone());
    config.tables.prefix = "app_".to_owned();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    store_testkit::exercise(&store).await;
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = '{other}' AND TABLE_NAME LIKE 'app\\_%'"
    );
    assert_eq!(database.query::<u64>(&sql).await, [10]);
    database.execute(&format!("DROP DATABASE {other}")).await;
    database.drop().await;
    Ok(())
}
