//! Secrets stay out of errors and `Debug`.

use std::error::Error as _;
use std::fmt::{Debug, Write};
use std::time::Duration;

use serde_json::json;
use store_core::{ErrorKind, LockToken, LoginSession, Result, SessionPolicy, StateProof};
use tracing::instrument::WithSubscriber;

use super::locks::acquire;
use super::{jts_sessions, login_sessions};
use crate::cases::cases;
use crate::fixtures::{object, text};
use crate::tracing_capture::Capture;
use crate::world::{World, secs};

cases!(secrets:
    errors_hold_none, spans_and_events_hold_none, debug_of_what_is_returned_holds_none,
);

/// Part of every secret value in these cases.
const SECRET: &str = "hunter2";

/// All that an error shows, its causes included.
fn shown<T>(result: Result<T>) -> String {
    let Err(error) = result else {
        panic!("succeeded where it must fail")
    };
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(shown, " {cause} {cause:?}").unwrap();
        source = cause.source();
    }
    shown
}

#[track_caller]
fn without(shown: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret:?} is in {shown}");
    }
}

async fn errors_hold_none(w: World) {
    provoke_errors(&w).await;
}

/// Makes every kind of call fail that secrets are given to, and checks what the errors show.
async fn provoke_errors(w: &World) {
    let store = w.store().await;
    let nonce = text(format!("nonce-{SECRET}"));
    store.store_nonce(&nonce, None).await.unwrap();
    let mut all = shown(store.store_nonce(&nonce, None).await);
    all += &shown(store.store_nonce(&nonce, Some(Duration::ZERO)).await);

    let mut session = w.make().lti_session(1);
    session.user.name = Some(SECRET.to_owned());
    store.add_lti_session(&session, None).await.unwrap();
    all += &shown(store.add_lti_session(&session, None).await);
    session.user.email = Some(format!("{SECRET}\0"));
    all += &shown(store.add_lti_session(&session, None).await);
    let session_id = session.id.to_string();

    let mut registration = w.make().registration(1, w.after(secs(60)));
    registration.registration_token = Some(SECRET.to_owned());
    store
        .set_registration_session(session.id, &registration)
        .await
        .unwrap();
    all += &shown(
        store
            .set_registration_session(session.id, &registration)
            .await,
    );
    registration.expires_at = w.now();
    all += &shown(
        store
            .set_registration_session(session.id, &registration)
            .await,
    );

    let jts = jts_sessions::create(w, &store, 1).await;
    let wrong: StateProof = text(format!("sp_{SECRET}"));
    all += &shown(
        store
            .rotate_state_proof(jts.aid.as_str(), wrong.as_str())
            .await,
    );
    all += &shown(
        store
            .rotate_state_proof("aid_unknown", wrong.as_str())
            .await,
    );

    let login: store_core::LoginSessionId = text(format!("login-{SECRET}"));
    let data = || object(json!({"refresh_token": "refresh-0", "password": SECRET}));
    let stored = store
        .create_login_session(&login, data(), secs(60))
        .await
        .unwrap();
    all += &shown(store.create_login_session(&login, data(), secs(60)).await);
    all += &shown(
        store
            .create_login_session(&login, data(), Duration::ZERO)
            .await,
    );
    let stale = LoginSession {
        version: 7,
        ..stored.clone()
    };
    all += &shown(store.save_login_session(&stale, None, None).await);
    let lost: LockToken = text(format!("lk_{SECRET}"));
    let id = login.as_str();
    all += &shown(store.save_login_session(&stored, None, Some(&lost)).await);
    all += &shown(store.set_login_properties(id, data(), Some(&lost)).await);
    all += &shown(store.unlock_login_session(id, &lost).await);
    let bad = object(json!({ SECRET: "\0" }));
    all += &shown(store.set_login_properties(id, bad, None).await);
    let unknown = format!("unknown-{SECRET}");
    all += &shown(store.lock_login_session(&unknown, SECRET).await);
    all += &shown(store.extend_login_session(&unknown, secs(1)).await);
    store.close().await;
    let closed = store.store_nonce(&nonce, None).await;
    assert_eq!(closed.as_ref().unwrap_err().kind(), ErrorKind::Closed);
    all += &shown(closed);
    let proof = jts.current_state_proof.as_str();
    without(&all, &[SECRET, proof, &proof[3..], &session_id]);
}

async fn debug_of_what_is_returned_holds_none(w: World) {
    show_results(&w).await;
}

async fn spans_and_events_hold_none(w: World) {
    // The tables first: their definitions hold no secrets, but much text.
    w.bootstrap().await;
    let capture = Capture::default();
    let calls = async {
        provoke_errors(&w).await;
        show_results(&w).await
    };
    let mut secrets = calls.with_subscriber(capture.clone()).await;
    secrets.push(SECRET.to_owned());
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    without(&capture.text(), &secrets);
}

/// Makes every kind of call that returns secrets, checks what `Debug` shows of the results, and returns
/// the secrets.
async fn show_results(w: &World) -> Vec<String> {
    let store = w.store().await;
    let mut all = String::new();
    let mut show = |shown: &dyn Debug| write!(all, "{shown:?} {shown:#?} ").unwrap();

    let session = w.make().lti_session(2);
    store.add_lti_session(&session, None).await.unwrap();
    show(&store.get_lti_session(&session.id.to_string()).await);
    let registration = w.make().registration(1, w.after(secs(60)));
    store
        .set_registration_session(session.id, &registration)
        .await
        .unwrap();
    show(
        &store
            .take_registration_session(&session.id.to_string())
            .await,
    );
    let token = registration.registration_token.as_deref().unwrap();

    let created = store
        .create_jts_session(w.make().jts_session(1), SessionPolicy::Single)
        .await;
    show(&created);
    let jts = created.unwrap().session;
    let first = jts.current_state_proof.as_str();
    show(&store.get_jts_session(jts.aid.as_str()).await);
    show(&store.list_jts_sessions(jts.prn.as_str()).await);
    show(&store.validate_state_proof(first).await);
    let rotated = store.rotate_state_proof(jts.aid.as_str(), first).await;
    show(&rotated);
    let second = rotated.unwrap().current_state_proof;
    show(&store.validate_state_proof(first).await);
    show(&store.renew_state_proof(first).await);
    let renewed = store.renew_state_proof(second.as_str()).await;
    show(&renewed);
    show(&store.renew_state_proof(first).await);

    let login = login_sessions::create(w, &store, 1).await;
    show(&login);
    show(&store.load_login_session(login.id.as_str()).await);
    let (lock, _, _) = acquire(&store, &login).await;
    show(&lock);
    show(
        &store
            .lock_login_session(login.id.as_str(), "refresh-0")
            .await,
    );
    show(&store.lock_login_session(login.id.as_str(), "other").await);
    store
        .unlock_login_session(login.id.as_str(), &lock)
        .await
        .unwrap();
    show(
        &store
            .lock_login_session(login.id.as_str(), "refresh-0")
            .await,
    );

    let secrets = [
        "jane@platform.example",
        "csrftoken",
        token,
        &first[3..],
        &second.as_str()[3..],
        "otp",
        "access-0",
        "refresh-0",
        "Jane Doe",
        lock.as_str(),
        login.id.as_str(),
    ];
    without(&all, &secrets);
    secrets.map(str::to_owned).to_vec()
}
