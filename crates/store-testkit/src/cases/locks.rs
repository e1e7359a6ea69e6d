//! Locks of login sessions: one holder, who can't keep one for ever.

use std::sync::Arc;

use serde_json::json;
use store_core::{ErrorKind, LockOutcome, LockToken, LoginSession, Store, SystemClock, Timestamp};

use super::login_sessions::{HOUR, create, load, same};
use crate::cases::cases;
use crate::expect::refused;
use crate::fixtures::object;
use crate::world::{World, ms, secs};

cases!(locks:
    acquired_with_token_session_and_end, held_while_somebody_has_it, acquired_again_after_its_release,
    taken_over_exactly_at_its_end, max_lock_time_follows_the_settings, locking_changes_nothing_else,
    superseded_when_the_value_moved_on, superseded_even_while_held,
    superseded_when_the_property_is_missing, superseded_when_the_property_is_no_string,
    verification_compares_bytes, verification_property_follows_the_settings,
    unknown_is_not_found, expired_is_not_found, destroyed_with_its_session,
    sessions_are_locked_one_by_one, reads_and_writes_go_on_beside_a_lock,
    holding_takes_no_connection,
    tokens_have_the_promised_shape_and_differ,
);

/// Locks a session with the usual data.
pub(super) async fn acquire(
    store: &Arc<dyn Store>,
    session: &LoginSession,
) -> (LockToken, LoginSession, Timestamp) {
    match store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await
        .unwrap()
    {
        LockOutcome::Acquired {
            token,
            session,
            until,
        } => (token, session, until),
        other => panic!("{other:?} where the lock is free"),
    }
}

pub(super) async fn lock(
    store: &Arc<dyn Store>,
    session: &LoginSession,
    expected: &str,
) -> LockOutcome {
    store
        .lock_login_session(session.id.as_str(), expected)
        .await
        .unwrap()
}

#[track_caller]
fn superseded(outcome: LockOutcome, expected: &LoginSession) {
    match outcome {
        LockOutcome::Superseded { session } => same(Some(session), expected),
        other => panic!("{other:?} where it must be superseded"),
    }
}

async fn acquired_with_token_session_and_end(w: World) {
    assert_eq!(
        w.settings().max_lock_time,
        secs(10),
        "the contract's default"
    );
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, locked, until) = acquire(&store, &session).await;
    same(Some(locked), &session);
    assert_eq!(until, w.after(secs(10)));
}

async fn held_while_somebody_has_it(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, _, until) = acquire(&store, &session).await;
    for _ in 0..9 {
        assert_eq!(
            lock(&store, &session, "refresh-0").await,
            LockOutcome::Held { until }
        );
        w.advance(secs(1));
    }
}

async fn acquired_again_after_its_release(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let (token, _, until) = acquire(&store, &session).await;
        assert_eq!(until, w.after(secs(10)));
        assert!(!tokens.contains(&token));
        store
            .unlock_login_session(session.id.as_str(), &token)
            .await
            .unwrap();
        tokens.push(token);
        w.advance(secs(1));
    }
}

async fn taken_over_exactly_at_its_end(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (first, _, until) = acquire(&store, &session).await;
    w.advance_to_just_before(until);
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
    w.advance_to(until);
    let (second, _, until) = acquire(&store, &session).await;
    assert_ne!(first, second);
    assert_eq!(until, w.after(secs(10)), "the successor has the whole time");
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
}

async fn max_lock_time_follows_the_settings(w: World) {
    let w = w.with(|settings| settings.max_lock_time = ms(1_500));
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, _, until) = acquire(&store, &session).await;
    assert_eq!(until, w.after(ms(1_500)));
    w.advance(ms(1_499));
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
    w.advance(ms(1));
    acquire(&store, &session).await;
}

async fn locking_changes_nothing_else(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    same(load(&store, &session).await, &session);
    store
        .unlock_login_session(session.id.as_str(), &token)
        .await
        .unwrap();
    same(load(&store, &session).await, &session);
}

async fn superseded_when_the_value_moved_on(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    let refreshed = object(json!({"refresh_token": "refresh-1"}));
    let id = session.id.as_str();
    store
        .set_login_properties(id, refreshed, Some(&token))
        .await
        .unwrap();
    store.unlock_login_session(id, &token).await.unwrap();
    let stored = load(&store, &session).await.unwrap();
    superseded(lock(&store, &session, "refresh-0").await, &stored);
    assert!(matches!(
        lock(&store, &session, "refresh-1").await,
        LockOutcome::Acquired { .. }
    ));
}

async fn superseded_even_while_held(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, _, until) = acquire(&store, &session).await;
    superseded(lock(&store, &session, "refresh-other").await, &session);
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
}

async fn superseded_when_the_property_is_missing(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    let data =
        object(json!({"access_token": "refresh-0", "nested": {"refresh_token": "refresh-0"}}));
    let session = store.create_login_session(&id, data, HOUR).await.unwrap();
    for expected in ["refresh-0", "", "null"] {
        superseded(lock(&store, &session, expected).await, &session);
    }
}

async fn superseded_when_the_property_is_no_string(w: World) {
    let store = w.store().await;
    let values = [
        json!(7),
        json!(true),
        json!(null),
        json!(["7"]),
        json!({"7": "7"}),
        json!(7.0),
    ];
    for (n, value) in values.into_iter().enumerate() {
        let id = w.make().login_id(n as u64);
        let spelt = value.to_string();
        let data = object(json!({ "refresh_token": value }));
        let session = store.create_login_session(&id, data, HOUR).await.unwrap();
        for expected in ["7", "true", "null", "", &spelt] {
            superseded(lock(&store, &session, expected).await, &session);
        }
    }
}

async fn verification_compares_bytes(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let odd = [
        "Refresh-0",
        "refresh-0 ",
        " refresh-0",
        "refresh-0\0",
        "\"refresh-0\"",
        "réfresh-0",
        "",
        "%",
    ];
    for expected in odd {
        superseded(lock(&store, &session, expected).await, &session);
    }
    superseded(lock(&store, &session, &"x".repeat(100_000)).await, &session);
    let odd = "🔑 e\u{301} \" \\ \u{2028} ' $1";
    let properties = object(json!({ "refresh_token": odd }));
    store
        .set_login_properties(session.id.as_str(), properties, None)
        .await
        .unwrap();
    assert!(matches!(
        lock(&store, &session, odd).await,
        LockOutcome::Acquired { .. }
    ));
    // The empty string is a string too.
    let id = w.make().login_id(2);
    let data = object(json!({"refresh_token": ""}));
    let session = store.create_login_session(&id, data, HOUR).await.unwrap();
    assert!(matches!(
        lock(&store, &session, "").await,
        LockOutcome::Acquired { .. }
    ));
}

async fn verification_property_follows_the_settings(w: World) {
    let odd = "X-Version's \"näme\"";
    let w = w.with(|settings| settings.lock_verification_property = odd.to_owned());
    let store = w.store().await;
    let id = w.make().login_id(1);
    let data = object(json!({"refresh_token": "a", odd: "b"}));
    let session = store.create_login_session(&id, data, HOUR).await.unwrap();
    superseded(lock(&store, &session, "a").await, &session);
    assert!(matches!(
        lock(&store, &session, "b").await,
        LockOutcome::Acquired { .. }
    ));
}

async fn unknown_is_not_found(w: World) {
    let store = w.store().await;
    let token = LockToken::generate();
    for id in [w.make().login_id(1).as_str(), "", "\0", &"x".repeat(5_000)] {
        refused(
            store.lock_login_session(id, "refresh-0").await,
            ErrorKind::NotFound,
        );
        refused(
            store.unlock_login_session(id, &token).await,
            ErrorKind::NotFound,
        );
    }
}

async fn expired_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to_just_before(session.expires_at);
    let (token, _, _) = acquire(&store, &session).await;
    w.advance_to(session.expires_at);
    let id = session.id.as_str();
    refused(
        store.lock_login_session(id, "refresh-0").await,
        ErrorKind::NotFound,
    );
    refused(
        store.unlock_login_session(id, &token).await,
        ErrorKind::NotFound,
    );
}

async fn destroyed_with_its_session(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    // Whoever has its lock.
    assert!(
        store
            .destroy_login_session(session.id.as_str())
            .await
            .unwrap()
    );
    let id = session.id.as_str();
    refused(
        store.unlock_login_session(id, &token).await,
        ErrorKind::NotFound,
    );
    let again = create(&w, &store, 1).await;
    refused(
        store.unlock_login_session(id, &token).await,
        ErrorKind::LockLost,
    );
    acquire(&store, &again).await;
}

async fn sessions_are_locked_one_by_one(w: World) {
    let store = w.store().await;
    let (a, b) = (create(&w, &store, 1).await, create(&w, &store, 2).await);
    let (token_a, _, _) = acquire(&store, &a).await;
    let (token_b, _, _) = acquire(&store, &b).await;
    let wrong = store.unlock_login_session(a.id.as_str(), &token_b).await;
    refused(wrong, ErrorKind::LockLost);
    store
        .unlock_login_session(a.id.as_str(), &token_a)
        .await
        .unwrap();
    assert!(matches!(
        lock(&store, &b, "refresh-0").await,
        LockOutcome::Held { .. }
    ));
}

async fn reads_and_writes_go_on_beside_a_lock(w: World) {
    let stores = w.stores(2).await;
    let mut session = create(&w, &stores[0], 1).await;
    let (token, _, until) = acquire(&stores[0], &session).await;
    let id = session.id.as_str().to_owned();
    same(load(&stores[1], &session).await, &session);
    session.version = stores[1]
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    stores[1]
        .set_login_properties(&id, object(json!({"a": 1})), None)
        .await
        .unwrap();
    stores[1]
        .unset_login_properties(&id, &["a"], None)
        .await
        .unwrap();
    stores[1].extend_login_session(&id, 2 * HOUR).await.unwrap();
    // They took no lock away.
    assert_eq!(
        lock(&stores[1], &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
    stores[0].unlock_login_session(&id, &token).await.unwrap();
}

async fn holding_takes_no_connection(w: World) {
    let store = w.store().await;
    // More locks than any pool has connections.
    let mut locked = Vec::new();
    for n in 0..40 {
        let session = create(&w, &store, n).await;
        locked.push((acquire(&store, &session).await.0, session));
    }
    for (token, session) in locked {
        same(load(&store, &session).await, &session);
        store
            .unlock_login_session(session.id.as_str(), &token)
            .await
            .unwrap();
    }
}

async fn tokens_have_the_promised_shape_and_differ(w: World) {
    let w = w.with(|settings| settings.clock = Arc::new(SystemClock));
    let store = w.store().await;
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..10 {
        let session = create(&w, &store, n).await;
        let (token, _, _) = acquire(&store, &session).await;
        assert!(token.as_str().len() >= 20 && token.as_str().len() <= 64);
        assert!(seen.insert(token));
    }
}
