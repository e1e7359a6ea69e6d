//! Locks of login sessions: one holder, who can't keep it for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use store_core::{
    ErrorKind, LockOutcome, LockToken, LoginSession, LoginSessionStoreExt, Store, SystemClock,
    Timestamp,
};

use super::login_sessions::{HOUR, create, load, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, trues};
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
    one_of_many_at_the_same_moment_acquires, one_of_many_takes_over_at_the_same_moment,
    holders_never_overlap, five_workers_refresh_once, holding_takes_no_connection,
    waits_until_it_is_released, gives_up_waiting_at_the_deadline, waiting_ends_when_superseded,
    waiting_ends_when_destroyed, tokens_have_the_promised_shape_and_differ,
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

async fn lock(store: &Arc<dyn Store>, session: &LoginSession, expected: &str) -> LockOutcome {
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

async fn attempt(store: Arc<dyn Store>, session: LoginSession) -> store_core::Result<bool> {
    let outcome = store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await?;
    match outcome {
        LockOutcome::Acquired { .. } => Ok(true),
        LockOutcome::Held { .. } => Ok(false),
        LockOutcome::Superseded { .. } => panic!("superseded though nobody wrote"),
    }
}

async fn one_of_many_at_the_same_moment_acquires(w: World) {
    let stores = w.stores(4).await;
    for round in 0..5 {
        let session = create(&w, &stores[0], round).await;
        let attempts = in_turn(&stores, 20).map(|store| attempt(store, session.clone()));
        assert_eq!(trues(at_once(attempts).await), 1);
    }
}

async fn one_of_many_takes_over_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    for _ in 0..5 {
        let attempts = in_turn(&stores, 20).map(|store| attempt(store, session.clone()));
        assert_eq!(trues(at_once(attempts).await), 1);
        w.advance(secs(10));
    }
}

async fn holders_never_overlap(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let workers = in_turn(&stores, 6).map(|store| {
        let (session, inside) = (session.clone(), Arc::clone(&inside));
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            for _ in 0..3 {
                let id = session.id.as_str();
                let outcome = store
                    .lock_login_session_within(id, "refresh-0", secs(50))
                    .await;
                let LockOutcome::Acquired { token, .. } = outcome.unwrap() else {
                    panic!("superseded though nobody wrote")
                };
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "two holders at once");
                tokio::task::yield_now().await;
                assert_eq!(inside.fetch_sub(1, SeqCst), 1, "two holders at once");
                store.unlock_login_session(id, &token).await.unwrap();
            }
        }
    });
    at_once(workers).await;
}

async fn five_workers_refresh_once(w: World) {
    let stores = w.stores(5).await;
    let session = create(&w, &stores[0], 1).await;
    let workers = in_turn(&stores, 5).map(|store| {
        let id = session.id.clone();
        async move {
            let id = id.as_str();
            match store
                .lock_login_session_within(id, "refresh-0", secs(30))
                .await
                .unwrap()
            {
                LockOutcome::Acquired { token, .. } => {
                    // The authorization server takes a while.
                    tokio::time::sleep(ms(20)).await;
                    let refreshed = object(json!({"refresh_token": "refresh-1"}));
                    store
                        .set_login_properties(id, refreshed, Some(&token))
                        .await
                        .unwrap();
                    store.unlock_login_session(id, &token).await.unwrap();
                    true
                }
                LockOutcome::Superseded { session } => {
                    assert_eq!(session.data["refresh_token"], json!("refresh-1"));
                    false
                }
                LockOutcome::Held { .. } => panic!("the waiting form never tells that it is held"),
            }
        }
    });
    let refreshed = at_once(workers).await;
    assert_eq!(refreshed.iter().filter(|&&refreshed| refreshed).count(), 1);
    assert_eq!(load(&stores[0], &session).await.unwrap().version, 2);
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

/// Waits for a lock that is held, beside a call made a moment later.
async fn wait_beside(
    w: World,
    call: impl AsyncFnOnce(&Arc<dyn Store>, &LoginSession, &LockToken),
) -> store_core::Result<LockOutcome> {
    let stores = w.stores(2).await;
    let session = create(&w, &stores[0], 1).await;
    let (token, _, _) = acquire(&stores[0], &session).await;
    let waiting = stores[1].lock_login_session_within(session.id.as_str(), "refresh-0", secs(30));
    let calling = async {
        tokio::time::sleep(ms(60)).await;
        call(&stores[0], &session, &token).await;
    };
    tokio::join!(waiting, calling).0
}

async fn waits_until_it_is_released(w: World) {
    let outcome = wait_beside(w, async |store, session, token| {
        store
            .unlock_login_session(session.id.as_str(), token)
            .await
            .unwrap();
    });
    assert!(matches!(
        outcome.await.unwrap(),
        LockOutcome::Acquired { .. }
    ));
}

async fn gives_up_waiting_at_the_deadline(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, _, until) = acquire(&store, &session).await;
    for patience in [Duration::ZERO, ms(120)] {
        let started = Instant::now();
        let id = session.id.as_str();
        let result = store
            .lock_login_session_within(id, "refresh-0", patience)
            .await;
        let error = refused(result, ErrorKind::Locked);
        assert!(error.is_retryable(), "another attempt may succeed");
        assert!(started.elapsed() >= patience);
    }
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
}

async fn waiting_ends_when_superseded(w: World) {
    let outcome = wait_beside(w, async |store, session, token| {
        let refreshed = object(json!({"refresh_token": "refresh-1"}));
        let id = session.id.as_str();
        store
            .set_login_properties(id, refreshed, Some(token))
            .await
            .unwrap();
    });
    assert!(matches!(
        outcome.await.unwrap(),
        LockOutcome::Superseded { .. }
    ));
}

async fn waiting_ends_when_destroyed(w: World) {
    let outcome = wait_beside(w, async |store, session, _| {
        assert!(
            store
                .destroy_login_session(session.id.as_str())
                .await
                .unwrap()
        );
    });
    refused(outcome.await, ErrorKind::NotFound);
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
