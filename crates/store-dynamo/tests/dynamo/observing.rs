//! What logs and spans say, and what they don't.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use store_core::{
    JtsSessionStore, LockOutcome, LoginSessionStore, LtiSessionStore, NewJtsSession, NonceStore,
    SessionPolicy, Settings,
};
use store_testkit::fixtures::Fixtures;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::Server;
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[everywhere(
    "spans_have_stable_names_and_no_log_holds_a_secret",
    |server| Box::pin(spans_have_stable_names_and_no_log_holds_a_secret(server)),
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

/// Everything at the finest level. The future of a test stays on its thread.
async fn spans_have_stable_names_and_no_log_holds_a_secret(server: Server) {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let logging = tracing::subscriber::set_default(subscriber);

    let mut secrets = vec!["nonce-hunter2".to_owned(), "payload-hunter2".to_owned()];
    let nonce = "nonce-hunter2".parse().unwrap();
    store.store_nonce(&nonce, None).await.unwrap();
    store.store_nonce(&nonce, None).await.unwrap_err();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    let mut session = Fixtures::new("observing").lti_session(1);
    session.user.name = Some("payload-hunter2".to_owned());
    store.add_lti_session(&session, None).await.unwrap();
    let id = session.id.to_string();
    store.get_lti_session(&id).await.unwrap().unwrap();

    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::Single).await;
    let proof = created.unwrap().session.current_state_proof;
    store.renew_state_proof(proof.as_str()).await.unwrap();
    store.validate_state_proof(proof.as_str()).await.unwrap();
    secrets.push(proof.as_str().to_owned());

    let id = "login-hunter2".parse().unwrap();
    let data = json!({"refresh_token": "payload-hunter2"});
    let data = data.as_object().unwrap().clone();
    let created = store.create_login_session(&id, data, Duration::from_secs(60));
    created.await.unwrap();
    let locked = store.lock_login_session(id.as_str(), "payload-hunter2");
    let LockOutcome::Acquired { token, .. } = locked.await.unwrap() else {
        panic!("the lock is free");
    };
    let unlocked = store.unlock_login_session(id.as_str(), &token).await;
    unlocked.unwrap();
    secrets.extend([id.as_str().to_owned(), token.as_str().to_owned()]);
    place.remove().await;
    store.consume_nonce(nonce.as_str()).await.unwrap_err();
    drop(logging);

    let logged = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for secret in secrets {
        assert!(!logged.contains(&secret), "a log line holds a secret");
    }
    let table = place.table();
    for attribute in [
        "db.system.name=\"aws.dynamodb\"",
        "db.query.summary=\"UpdateItem\"",
        "db.operation.name=\"TransactWriteItems\"",
        &format!("db.collection.name=\"{table}\""),
        "db.response.status_code=\"ResourceNotFoundException\"",
        "error.type=\"schema missing\"",
        "server.address=\"127.0.0.1\"",
        "server.port=",
    ] {
        assert!(logged.contains(attribute), "{attribute} is missing");
    }
}
