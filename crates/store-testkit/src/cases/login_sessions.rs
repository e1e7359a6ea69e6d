//! Login sessions: created, loaded, extended and destroyed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use store_core::{ErrorKind, LoginData, LoginSession, MAX_PAYLOAD_BYTES, Store};

use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input, successes, trues};
use crate::fixtures::object;
use crate::world::{World, secs};

cases!(login_sessions:
    created_as_given, empty_data_is_kept, json_of_any_shape_is_kept, unknown_is_none,
    large_ones_are_kept, over_the_limit_is_refused, u0000_is_refused, created_only_once,
    can_be_created_again_once_expired, can_be_created_again_once_destroyed,
    destroy_tells_whether_a_live_one_existed,
    destroy_of_an_expired_one_tells_false, destroyed_or_expired_ones_are_never_brought_back,
    destroy_leaves_others, seen_by_other_stores, one_of_concurrent_creations_wins,
    one_of_concurrent_creations_over_an_expired_one_wins, one_of_concurrent_destroys_tells_true,
    writes_beside_a_destroy_never_resurrect,
);

pub(super) const HOUR: Duration = secs(3600);

/// A session with the usual data that lives for an hour.
pub(super) async fn create(w: &World, store: &Arc<dyn Store>, n: u64) -> LoginSession {
    let (id, data) = (w.make().login_id(n), w.make().login_data());
    store.create_login_session(&id, data, HOUR).await.unwrap()
}

pub(super) async fn load(store: &Arc<dyn Store>, session: &LoginSession) -> Option<LoginSession> {
    store.load_login_session(session.id.as_str()).await.unwrap()
}

/// Fails with the JSON of both: `Debug` shows no values.
#[track_caller]
pub(super) fn same(found: Option<LoginSession>, expected: &LoginSession) {
    let json = |session| serde_json::to_value(session).unwrap();
    let found = found.expect("the session is found");
    assert_eq!(json(&found), json(expected));
}

/// Data whose JSON is so long, in one property.
pub(super) fn sized(bytes: usize) -> LoginData {
    let padding = bytes - r#"{"padding":""}"#.len();
    object(json!({"padding": "x".repeat(padding)}))
}

async fn created_as_given(w: World) {
    let store = w.store().await;
    let (id, data) = (w.make().login_id(1), w.make().login_data());
    let session = store
        .create_login_session(&id, data.clone(), HOUR)
        .await
        .unwrap();
    let expected = LoginSession {
        id,
        data,
        expires_at: w.after(HOUR),
        version: 1,
    };
    same(Some(session), &expected);
    same(load(&store, &expected).await, &expected);
}

async fn empty_data_is_kept(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    let session = store
        .create_login_session(&id, LoginData::new(), HOUR)
        .await
        .unwrap();
    same(load(&store, &session).await, &session);
}

async fn json_of_any_shape_is_kept(w: World) {
    let store = w.store().await;
    let odd =
        "🔑 e\u{301} é \u{200d} \u{7f} \u{1} \t\r\n \" \\ \u{2028} \u{10ffff} \\u0000 ' $1 % _ {0}";
    let data = object(json!({
        "": "the empty name", odd: { odd: [odd] }, "null": null, "true": true, "list": [[], {}, [[]]],
        "numbers": [0, -1, u64::MAX, i64::MIN, 0.1, -2.5, 1.5e-7, 1.0, f64::MAX, f64::MIN_POSITIVE],
        "Case": 1, "case": 2, "case ": 3, "cäse": 4,
    }));
    let id = w.make().login_id(1);
    let session = store
        .create_login_session(&id, data.clone(), HOUR)
        .await
        .unwrap();
    assert_eq!(Value::Object(session.data.clone()), Value::Object(data));
    same(load(&store, &session).await, &session);
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    create(&w, &store, 1).await;
    let unknown = w.make().login_id(2);
    assert_eq!(
        store.load_login_session(unknown.as_str()).await.unwrap(),
        None
    );
    assert!(!store.destroy_login_session(unknown.as_str()).await.unwrap());
}

async fn large_ones_are_kept(w: World) {
    let store = w.store().await;
    for (n, bytes) in [(1, 256 * 1024), (2, MAX_PAYLOAD_BYTES)] {
        let (id, data) = (w.make().login_id(n), sized(bytes));
        assert_eq!(serde_json::to_string(&data).unwrap().len(), bytes);
        let session = store.create_login_session(&id, data, HOUR).await.unwrap();
        same(load(&store, &session).await, &session);
    }
}

async fn over_the_limit_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    let data = sized(MAX_PAYLOAD_BYTES + 1);
    refused_input(store.create_login_session(&id, data, HOUR).await);
    assert_eq!(store.load_login_session(id.as_str()).await.unwrap(), None);
}

async fn u0000_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    for data in [
        json!({"a": "\0"}),
        json!({"\0": 1}),
        json!({"a": [{"b": "x\0y"}]}),
    ] {
        refused_input(store.create_login_session(&id, object(data), HOUR).await);
        assert_eq!(store.load_login_session(id.as_str()).await.unwrap(), None);
    }
}

async fn created_only_once(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let other = object(json!({"other": true}));
    let again = store
        .create_login_session(&session.id, other.clone(), 2 * HOUR)
        .await;
    refused(again, ErrorKind::AlreadyExists);
    w.advance_to_just_before(session.expires_at);
    let again = store
        .create_login_session(&session.id, other, 2 * HOUR)
        .await;
    refused(again, ErrorKind::AlreadyExists);
    same(load(&store, &session).await, &session);
}

async fn can_be_created_again_once_expired(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    // What the new one must not inherit: a version and a lock.
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await
        .unwrap();
    w.advance_to_just_before(session.expires_at);
    store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await
        .unwrap();
    w.advance_to(session.expires_at);
    let again = create(&w, &store, 1).await;
    assert_eq!((again.version, again.expires_at), (1, w.after(HOUR)));
    same(load(&store, &again).await, &again);
    let locked = store
        .lock_login_session(again.id.as_str(), "refresh-0")
        .await
        .unwrap();
    assert!(
        matches!(locked, store_core::LockOutcome::Acquired { .. }),
        "{locked:?}"
    );
}

async fn can_be_created_again_once_destroyed(w: World) {
    let store = w.store().await;
    for _ in 0..2 {
        let session = create(&w, &store, 1).await;
        assert_eq!(session.version, 1);
        let locked = store
            .lock_login_session(session.id.as_str(), "refresh-0")
            .await
            .unwrap();
        assert!(
            matches!(locked, store_core::LockOutcome::Acquired { .. }),
            "{locked:?}"
        );
        assert!(
            store
                .destroy_login_session(session.id.as_str())
                .await
                .unwrap()
        );
    }
}

async fn destroy_tells_whether_a_live_one_existed(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    assert!(
        store
            .destroy_login_session(session.id.as_str())
            .await
            .unwrap()
    );
    assert!(
        !store
            .destroy_login_session(session.id.as_str())
            .await
            .unwrap()
    );
    assert_eq!(load(&store, &session).await, None);
}

async fn destroy_of_an_expired_one_tells_false(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to(session.expires_at);
    assert!(
        !store
            .destroy_login_session(session.id.as_str())
            .await
            .unwrap()
    );
}

async fn destroyed_or_expired_ones_are_never_brought_back(w: World) {
    let store = w.store().await;
    let destroyed = create(&w, &store, 1).await;
    assert!(
        store
            .destroy_login_session(destroyed.id.as_str())
            .await
            .unwrap()
    );
    let expired = create(&w, &store, 2).await;
    w.advance_to(expired.expires_at);
    for session in [destroyed, expired] {
        let id = session.id.as_str();
        let not_found = ErrorKind::NotFound;
        refused(
            store.save_login_session(&session, None, None).await,
            not_found,
        );
        refused(
            store.save_login_session(&session, Some(HOUR), None).await,
            not_found,
        );
        let properties = object(json!({"a": 1}));
        refused(
            store.set_login_properties(id, properties, None).await,
            not_found,
        );
        refused(
            store.unset_login_properties(id, &["user"], None).await,
            not_found,
        );
        refused(store.extend_login_session(id, HOUR).await, not_found);
        refused(store.lock_login_session(id, "refresh-0").await, not_found);
        let token = store_core::LockToken::generate();
        refused(store.unlock_login_session(id, &token).await, not_found);
        assert_eq!(load(&store, &session).await, None);
    }
}

async fn destroy_leaves_others(w: World) {
    let store = w.store().await;
    let (gone, kept) = (create(&w, &store, 1).await, create(&w, &store, 2).await);
    assert!(store.destroy_login_session(gone.id.as_str()).await.unwrap());
    same(load(&store, &kept).await, &kept);
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let mut session = create(&w, &stores[0], 1).await;
    same(load(&stores[1], &session).await, &session);
    session.data = object(json!({"changed": true}));
    session.version = stores[1]
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    same(load(&stores[0], &session).await, &session);
    assert!(
        stores[0]
            .destroy_login_session(session.id.as_str())
            .await
            .unwrap()
    );
    assert_eq!(load(&stores[1], &session).await, None);
}

async fn one_of_concurrent_creations_wins(w: World) {
    let stores = w.stores(4).await;
    let creations = in_turn(&stores, 20).enumerate().map(|(n, store)| {
        let id = w.make().login_id(1);
        let data = object(json!({"winner": n}));
        async move { store.create_login_session(&id, data, HOUR).await }
    });
    assert_eq!(
        successes(at_once(creations).await, ErrorKind::AlreadyExists),
        1
    );
}

async fn one_of_concurrent_creations_over_an_expired_one_wins(w: World) {
    let stores = w.stores(4).await;
    for round in 0..4 {
        let session = create(&w, &stores[0], round).await;
        w.advance_to(session.expires_at);
        let creations = in_turn(&stores, 20).map(|store| {
            let session = session.clone();
            async move {
                store
                    .create_login_session(&session.id, session.data, HOUR)
                    .await
            }
        });
        assert_eq!(
            successes(at_once(creations).await, ErrorKind::AlreadyExists),
            1
        );
    }
}

async fn one_of_concurrent_destroys_tells_true(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    let destroys = in_turn(&stores, 12).map(|store| {
        let id = session.id.clone();
        async move { store.destroy_login_session(id.as_str()).await }
    });
    assert_eq!(trues(at_once(destroys).await), 1);
}

async fn writes_beside_a_destroy_never_resurrect(w: World) {
    let stores = w.stores(4).await;
    for round in 0..8 {
        let session = create(&w, &stores[0], round).await;
        let calls = in_turn(&stores, 8).enumerate().map(|(n, store)| {
            let session = session.clone();
            async move {
                let id = session.id.as_str();
                let properties = object(json!({"n": n}));
                let result = match n {
                    3 => store.destroy_login_session(id).await.map(drop),
                    n if n % 3 == 0 => store
                        .save_login_session(&session, None, None)
                        .await
                        .map(drop),
                    n if n % 3 == 1 => store.extend_login_session(id, HOUR).await.map(drop),
                    _ => store
                        .set_login_properties(id, properties, None)
                        .await
                        .map(drop),
                };
                if let Err(error) = result {
                    let allowed = [ErrorKind::NotFound, ErrorKind::Conflict];
                    assert!(allowed.contains(&error.kind()), "{error}");
                }
            }
        });
        at_once(calls).await;
        assert_eq!(load(&stores[0], &session).await, None);
    }
}
