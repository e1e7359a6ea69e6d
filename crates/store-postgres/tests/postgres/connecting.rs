//! Reaching a server: TLS, hosts, credentials, and what is said when it fails.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use store_core::{Error, ErrorKind, Lifecycle, NonceStore, Result, SchemaStore, Settings};
use store_postgres::{Credentials, CredentialsProvider, PostgresConfig, PostgresStore};

use crate::support::{PGBOUNCER_URL, POSTGRES_CA, POSTGRES_URL, Schema, connect, variable};
use crate::{Test, on_server, on_tls_server};

pub(crate) const TESTS: &[Test] = &[
    on_tls_server("connecting::verify_full_with_channel_binding", || {
        Box::pin(verify_full_with_channel_binding())
    }),
    on_tls_server("connecting::an_unknown_authority_is_refused", || {
        Box::pin(an_unknown_authority_is_refused())
    }),
    on_tls_server("connecting::only_verify_full_looks_at_the_name", || {
        Box::pin(only_verify_full_looks_at_the_name())
    }),
    on_tls_server("connecting::a_missing_root_certificate_is_named", || {
        Box::pin(a_missing_root_certificate_is_named())
    }),
    on_server("connecting::a_wrong_password_is_permission_denied", || {
        Box::pin(a_wrong_password_is_permission_denied())
    }),
    on_server("connecting::an_unreachable_server_is_unavailable", || {
        Box::pin(an_unreachable_server_is_unavailable())
    }),
    on_server("connecting::a_missing_database_is_said", || {
        Box::pin(a_missing_database_is_said())
    }),
    Test {
        name: "connecting::a_pooler_that_nobody_told_of_is_named",
        needs: &[PGBOUNCER_URL],
        run: || Box::pin(a_pooler_that_nobody_told_of_is_named()),
    },
    on_server("connecting::the_next_host_is_tried", || {
        Box::pin(the_next_host_is_tried())
    }),
    on_server(
        "connecting::credentials_are_asked_for_each_connection",
        || Box::pin(credentials_are_asked_for_each_connection()),
    ),
    on_server(
        "connecting::refused_credentials_are_the_callers_error",
        || Box::pin(refused_credentials_are_the_callers_error()),
    ),
    on_server("connecting::the_time_zone_is_irrelevant", || {
        Box::pin(the_time_zone_is_irrelevant())
    }),
];

fn url() -> String {
    variable(POSTGRES_URL).expect("checked before")
}

/// The server's URL with further parameters.
fn url_with(parameters: &str) -> String {
    let url = url();
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{parameters}")
}

async fn reached(url: &str) -> Result<()> {
    PostgresStore::connect(url, Settings::default())
        .await
        .map(drop)
}

async fn verify_full_with_channel_binding() {
    let ca = variable(POSTGRES_CA).unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = url_with(&format!(
            "sslmode={mode}&sslrootcert={ca}&channel_binding=require"
        ));
        reached(&url).await.unwrap();
    }
    reached(&url_with("sslmode=require")).await.unwrap();
    reached(&url_with("sslmode=disable")).await.unwrap();
}

async fn an_unknown_authority_is_refused() {
    for mode in ["verify-ca", "verify-full"] {
        let url = url_with(&format!("sslmode={mode}&sslrootcert=system"));
        let error = reached(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
}

async fn only_verify_full_looks_at_the_name() {
    let ca = variable(POSTGRES_CA).unwrap();
    let driver: tokio_postgres::Config = url().parse().unwrap();
    let port = driver.get_ports()[0];
    let user = driver.get_user().unwrap();
    let password = String::from_utf8(driver.get_password().unwrap().to_vec()).unwrap();
    let database = driver.get_dbname().unwrap();
    let url = |mode: &str| {
        format!(
            "postgres://{user}:{password}@wrong.example:{port}/{database}?hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={ca}"
        )
    };
    reached(&url("verify-ca")).await.unwrap();
    let error = reached(&url("verify-full")).await.unwrap_err();
    assert!(error.to_string().contains("wrong.example"), "{error}");
}

async fn a_missing_root_certificate_is_named() {
    let url = url_with("sslmode=verify-full&sslrootcert=/nonexistent/ca.pem");
    let error = reached(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}

async fn a_wrong_password_is_permission_denied() {
    let mut config = PostgresConfig::from_url(&url()).unwrap();
    config.driver.password("hunter2");
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(error.code(), Some("28P01"));
    assert!(!format!("{error:?}").contains("hunter2"));
    assert!(!format!("{store:?}").contains("hunter2"));
}

async fn an_unreachable_server_is_unavailable() {
    let error = reached("postgres://u:hunter2@127.0.0.1:1/db")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}

async fn a_missing_database_is_said() {
    let mut config = PostgresConfig::from_url(&url()).unwrap();
    config.driver.dbname("no_such_database");
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMissing, "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

async fn a_pooler_that_nobody_told_of_is_named() {
    let url = variable(PGBOUNCER_URL).unwrap();
    let error = reached(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("pgbouncer=true"), "{error}");
}

async fn the_next_host_is_tried() {
    let url = url();
    let (before, after) = url.rsplit_once('@').unwrap();
    let hosts = format!("{before}@127.0.0.1:1,{after}");
    let joint = if hosts.contains('?') { '&' } else { '?' };
    reached(&format!("{hosts}{joint}target_session_attrs=read-write"))
        .await
        .unwrap();
    let error = reached(&format!("{hosts}{joint}target_session_attrs=read-only"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
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

async fn credentials_are_asked_for_each_connection() {
    let mut config = PostgresConfig::from_url(&url()).unwrap();
    let password = config.driver.get_password().unwrap().to_vec();
    let provider = Arc::new(Counting {
        asked: AtomicUsize::new(0),
        password: String::from_utf8(password).unwrap(),
    });
    config.driver.password("not this one");
    config.credentials = Some(provider.clone());
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    for _ in 0..3 {
        store.health().await.unwrap();
    }
    assert_eq!(
        provider.asked.load(Ordering::SeqCst),
        1,
        "one connection, asked once"
    );
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

async fn refused_credentials_are_the_callers_error() {
    let mut config = PostgresConfig::from_url(&url()).unwrap();
    config.credentials = Some(Arc::new(Refusing));
    let store = PostgresStore::open(config, Settings::default()).unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("the token service is down"),
        "{error}"
    );
    assert!(error.source().is_none());
}

async fn the_time_zone_is_irrelevant() {
    let schema = Schema::create(&url()).await;
    let mut config = schema.config();
    config.driver.options("-c timezone=Asia/Kathmandu");
    let there = PostgresStore::open(config, Settings::default()).unwrap();
    let here = schema.open(Settings::default());
    there.bootstrap().await.unwrap();
    there
        .store_nonce(&"n".parse().unwrap(), None)
        .await
        .unwrap();
    assert!(here.consume_nonce("n").await.unwrap());

    let rows = connect(&schema.url)
        .await
        .query_one(
            &format!(
                "SELECT expires_at - now() BETWEEN '9 min' AND '11 min' FROM {}.nonces",
                schema.name
            ),
            &[],
        )
        .await
        .unwrap();
    assert!(rows.get::<_, bool>(0), "600 s from now, whatever the zone");
    schema.drop().await;
}
