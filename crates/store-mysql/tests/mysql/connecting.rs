//! Reaching a server: TLS, sockets, credentials, and what is said when it fails.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use mysql_async::OptsBuilder;
use store_core::{Error, ErrorKind, Lifecycle, NonceStore, Result, SchemaStore, Settings};
use store_mysql::{Credentials, CredentialsProvider, MySqlConfig, MySqlStore};

use crate::support::variable;
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "connecting::tls_verifies_what_the_mode_says",
        run: |server| Box::pin(tls_verifies_what_the_mode_says(server)),
    },
    Test {
        name: "connecting::a_missing_authority_file_is_named",
        run: |server| Box::pin(a_missing_authority_file_is_named(server)),
    },
    Test {
        name: "connecting::passwords_are_safe_with_and_without_tls",
        run: |server| Box::pin(passwords_are_safe_with_and_without_tls(server)),
    },
    Test {
        name: "connecting::a_wrong_password_is_permission_denied",
        run: |server| Box::pin(a_wrong_password_is_permission_denied(server)),
    },
    Test {
        name: "connecting::an_unreachable_server_is_unavailable",
        run: |server| Box::pin(an_unreachable_server_is_unavailable(server)),
    },
    Test {
        name: "connecting::a_missing_database_is_said",
        run: |server| Box::pin(a_missing_database_is_said(server)),
    },
    Test {
        name: "connecting::credentials_are_asked_for_each_connection",
        run: |server| Box::pin(credentials_are_asked_for_each_connection(server)),
    },
    Test {
        name: "connecting::refused_credentials_are_the_callers_error",
        run: |server| Box::pin(refused_credentials_are_the_callers_error(server)),
    },
    Test {
        name: "connecting::a_unix_socket_is_enough",
        run: |server| Box::pin(a_unix_socket_is_enough(server)),
    },
];

async fn reached(url: &str) -> Result<()> {
    let store = MySqlStore::connect(url, Settings::default()).await?;
    store.close().await;
    Ok(())
}

async fn tls_verifies_what_the_mode_says(server: Server) -> Outcome {
    // Every server has a certificate, if only one that it made for itself.
    reached(&server.url_with("ssl-mode=PREFERRED"))
        .await
        .unwrap();
    reached(&server.url_with("ssl-mode=DISABLED"))
        .await
        .unwrap();
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let url = server.url_with(&format!("ssl-mode={mode}&ssl-ca=system"));
        let error = reached(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
    let ca = variable(server.product.ca)?;
    reached(&server.url_with("ssl-mode=REQUIRED"))
        .await
        .unwrap();
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let url = server.url_with(&format!("ssl-mode={mode}&ssl-ca={ca}"));
        reached(&url).await.unwrap();
    }
    let elsewhere = |mode| {
        let url = server.url_with(&format!("ssl-mode={mode}&ssl-ca={ca}"));
        let mut config = MySqlConfig::from_url(&url).unwrap();
        let host: Vec<IpAddr> = vec![config.driver.ip_or_hostname().parse().unwrap()];
        config.driver = OptsBuilder::from_opts(config.driver)
            .ip_or_hostname("wrong.example")
            .resolved_ips(Some(host))
            .into();
        MySqlStore::open(config, Settings::default()).unwrap()
    };
    elsewhere("VERIFY_CA").health().await.unwrap();
    let error = elsewhere("VERIFY_IDENTITY").health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("wrong.example"), "{error}");
    Ok(())
}

async fn a_missing_authority_file_is_named(server: Server) -> Outcome {
    let url = server.url_with("ssl-mode=VERIFY_CA&ssl-ca=/nonexistent/ca.pem");
    let error = reached(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
    Ok(())
}

/// MySQL's default plugin wants TLS, or encrypts the password for the server's key.
async fn passwords_are_safe_with_and_without_tls(server: Server) -> Outcome {
    let database = server.database().await;
    let name = &database.name;
    let sql = format!(
        "CREATE USER '{name}'@'%' IDENTIFIED BY 'päss:w/rd@';
         GRANT ALL ON {name}.* TO '{name}'@'%'"
    );
    database.execute(&sql).await;
    for mode in ["ssl-mode=DISABLED", "ssl-mode=PREFERRED"] {
        let (_, host) = server.url.rsplit_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        // The server keeps a digest of a password that was right once: forget it, for the full way.
        database.execute("FLUSH PRIVILEGES").await;
        let url = format!("mysql://{name}:p%C3%A4ss%3Aw%2Frd%40@{host}/{name}?{mode}");
        reached(&url).await.unwrap();
        reached(&url).await.unwrap();
    }
    database.execute(&format!("DROP USER '{name}'@'%'")).await;
    database.drop().await;
    Ok(())
}

async fn a_wrong_password_is_permission_denied(server: Server) -> Outcome {
    let mut config = MySqlConfig::from_url(&server.url).unwrap();
    config.driver = OptsBuilder::from_opts(config.driver)
        .pass(Some("hunter2"))
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(error.code(), Some("1045"));
    assert!(!format!("{error:?} {store:?}").contains("hunter2"));
    Ok(())
}

async fn an_unreachable_server_is_unavailable(_: Server) -> Outcome {
    let error = reached("mysql://u:hunter2@127.0.0.1:1/db")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
    Ok(())
}

async fn a_missing_database_is_said(server: Server) -> Outcome {
    let mut config = MySqlConfig::from_url(&server.url).unwrap();
    config.driver = OptsBuilder::from_opts(config.driver)
        .db_name(Some("no_such_database"))
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMissing, "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
    Ok(())
}

struct Counting {
    asked: AtomicUsize,
    password: String,
}

#[async_trait]
impl CredentialsProvider for Counting {
    async fn credentials(&self) -> Result<Credentials> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Credentials {
            user: None,
            password: self.password.clone(),
        })
    }
}

async fn credentials_are_asked_for_each_connection(server: Server) -> Outcome {
    let database = server.database().await;
    let mut config = database.config();
    let provider = Arc::new(Counting {
        asked: AtomicUsize::new(0),
        password: config.driver.pass().unwrap().to_owned(),
    });
    config.driver = OptsBuilder::from_opts(config.driver)
        .pass(Some("not this one"))
        .into();
    config.credentials = Some(provider.clone());
    config.max_connections = 4;
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    for _ in 0..3 {
        store.health().await.unwrap();
    }
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1, "one connection");
    store.bootstrap().await.unwrap();
    let nonces = (0..40).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let nonce = format!("n{n}").parse().unwrap();
            store.store_nonce(&nonce, None).await
        })
    });
    for stored in futures_util::future::join_all(nonces).await {
        stored.unwrap().unwrap();
    }
    let asked = provider.asked.load(Ordering::SeqCst);
    assert!(
        (1..=4).contains(&asked),
        "asked {asked} times for 4 connections"
    );
    store.close().await;
    database.drop().await;
    Ok(())
}

struct Refusing;

#[async_trait]
impl CredentialsProvider for Refusing {
    async fn credentials(&self) -> Result<Credentials> {
        Err(Error::new(
            ErrorKind::Unavailable,
            "the token service is down",
        ))
    }
}

async fn refused_credentials_are_the_callers_error(server: Server) -> Outcome {
    let mut config = MySqlConfig::from_url(&server.url).unwrap();
    config.credentials = Some(Arc::new(Refusing));
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert!(
        error.to_string().contains("the token service is down"),
        "{error}"
    );
    Ok(())
}

async fn a_unix_socket_is_enough(server: Server) -> Outcome {
    let database = server.database().await;
    let rows: Vec<(String, u16)> = database.query("SELECT @@socket, @@port").await;
    let (socket, port) = &rows[0];
    let mut config = database.config();
    database.drop().await;
    // Of a server in a container the socket is in there, and one of this name here is another's.
    if *port != config.driver.tcp_port() || !std::path::Path::new(socket).exists() {
        return Err(format!(
            "the server's socket {socket} is not on this machine"
        ));
    }
    config.driver = OptsBuilder::from_opts(config.driver)
        .socket(Some(socket))
        .db_name(Some("store"))
        .into();
    let store = MySqlStore::open(config, Settings::default()).unwrap();
    store.health().await.unwrap();
    // The driver does not notice that an idle connection to a socket was closed.
    let id: Vec<u64> = {
        let mut conn = crate::support::connect(&server.url).await;
        let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE HOST = 'localhost' AND DB = 'store'";
        mysql_async::prelude::Queryable::query(&mut conn, sql)
            .await
            .unwrap()
    };
    let mut conn = crate::support::connect(&server.url).await;
    for id in id {
        let kill = format!("KILL {id}");
        mysql_async::prelude::Queryable::query_drop(&mut conn, kill)
            .await
            .unwrap();
    }
    store.health().await.unwrap();
    store.close().await;
    Ok(())
}
