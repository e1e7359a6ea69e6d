//! What logs and spans say, and what they don't.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use store_core::{
    JtsSessionStore, LockOutcome, LoginSessionStore, LtiSessionStore, NewJtsSession, NonceStore,
    SchemaStore, SessionPolicy, Settings,
};
use store_postgres::PostgresStore;
use store_testkit::fixtures::Fixtures;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{POSTGRES_URL, Schema, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[on_server(
    "observing::spans_have_stable_names_and_no_log_holds_a_secret",
    || Box::pin(spans_have_stable_names_and_no_log_holds_a_secret()),
)];

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything at the finest level, the driver's own log included.
async fn spans_have_stable_names_and_no_log_holds_a_secret() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let schema = Schema::create(&variable(POSTGRES_URL).expect("checked before")).await;
    let mut secrets = vec!["nonce-hunter2".to_owned(), "payload-hunter2".to_owned()];
    for pgbouncer in [false, true] {
        let mut config = schema.config();
        config.pgbouncer = pgbouncer;
        let password = config.driver.get_password().unwrap().to_vec();
        secrets.push(String::from_utf8(password).unwrap());
        let store = PostgresStore::open(config, Settings::default()).unwrap();
        store.bootstrap().await.unwrap();
        let nonce = format!("nonce-hunter2-{pgbouncer}").parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();
        store.store_nonce(&nonce, None).await.unwrap_err();
        store.consume_nonce(nonce.as_str()).await.unwrap();
        let mut session = Fixtures::new("observing").lti_session(u64::from(pgbouncer));
        session.user.name = Some("payload-hunter2".to_owned());
        store.add_lti_session(&session, None).await.unwrap();
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap();

        let new = NewJtsSession::of("alice".parse().unwrap());
        let created = store
            .create_jts_session(new, SessionPolicy::Single)
            .await
            .unwrap();
        let proof = created.session.current_state_proof.as_str().to_owned();
        store.renew_state_proof(&proof).await.unwrap();
        store.validate_state_proof(&proof).await.unwrap();
        secrets.push(proof);

        let id = format!("login-{pgbouncer}").parse().unwrap();
        let data = json!({"refresh_token": "payload-hunter2"});
        let data = data.as_object().unwrap().clone();
        store
            .create_login_session(&id, data, Duration::from_secs(60))
            .await
            .unwrap();
        let outcome = store
            .lock_login_session(id.as_str(), "payload-hunter2")
            .await
            .unwrap();
        let LockOutcome::Acquired { token, .. } = outcome else {
            panic!("{outcome:?}");
        };
        store
            .unlock_login_session(id.as_str(), &token)
            .await
            .unwrap();
        secrets.push(token.as_str().to_owned());
    }
    schema
        .execute(&format!("DROP TABLE {}.nonces", schema.name))
        .await;
    schema
        .open(Settings::default())
        .consume_nonce("nonce-hunter2")
        .await
        .unwrap_err();
    schema.drop().await;

    let logged = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for secret in secrets {
        assert!(!logged.contains(&secret), "a log line holds a secret");
    }
    for attribute in [
        "db.system.name=\"postgresql\"",
        "db.query.summary=\"UPDATE nonces\"",
        "db.operation.name=\"UPDATE\"",
        "db.collection.name=\"nonces\"",
        "db.response.status_code=\"42P01\"",
        "error.type=\"schema missing\"",
        "server.address=",
        "server.port=",
        "db.namespace=",
    ] {
        assert!(logged.contains(attribute), "{attribute} is missing");
    }
    assert!(
        logged.contains("executing statement"),
        "the driver's own log was captured too"
    );
}
