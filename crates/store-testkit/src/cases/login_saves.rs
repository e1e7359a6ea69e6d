//! Saving login sessions whole, by compare-and-swap.

use std::time::Duration;

use serde_json::{Value, json};
use store_core::{ErrorKind, LoginData, LoginSession, MAX_PAYLOAD_BYTES};

use super::login_sessions::{HOUR, create, load, same, sized};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input, successes};
use crate::fixtures::object;
use crate::world::{World, ms, secs};

cases!(login_saves:
    save_replaces_all_data,
    save_counts_versions_from_one,
    save_from_another_version_is_a_conflict,
    save_keeps_the_expiry,
    save_never_undoes_an_extension,
    save_can_set_the_expiry,
    save_out_of_range_changes_nothing,
    save_over_the_limit_changes_nothing,
    save_of_unknown_is_not_found,
    one_of_concurrent_saves_wins,
    savers_that_load_again_lose_nothing,
);

async fn save_replaces_all_data(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    session.data = object(json!({"only": "this"}));
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    same(load(&store, &session).await, &session);
    session.data = LoginData::new();
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    same(load(&store, &session).await, &session);
}

async fn save_counts_versions_from_one(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    for version in 2..8 {
        session.data.insert("n".to_owned(), json!(version));
        session.version = store
            .save_login_session(&session, None, None)
            .await
            .unwrap();
        assert_eq!(session.version, version);
        same(load(&store, &session).await, &session);
    }
}

async fn save_from_another_version_is_a_conflict(w: World) {
    let store = w.store().await;
    let stale = create(&w, &store, 1).await;
    let mut session = stale.clone();
    session.data = object(json!({"newer": true}));
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    for version in [0, 1, 3, u64::MAX, i64::MAX as u64] {
        let wrong = LoginSession {
            version,
            ..stale.clone()
        };
        let result = store.save_login_session(&wrong, Some(2 * HOUR), None).await;
        refused(result, ErrorKind::Conflict);
        same(load(&store, &session).await, &session);
    }
}

async fn save_keeps_the_expiry(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance(secs(60));
    // What the caller's copy says of it is not looked at.
    let copy = LoginSession {
        expires_at: w.after(100 * HOUR),
        ..session.clone()
    };
    let version = store.save_login_session(&copy, None, None).await.unwrap();
    same(
        load(&store, &session).await,
        &LoginSession { version, ..session },
    );
}

async fn save_never_undoes_an_extension(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let expires_at = store
        .extend_login_session(session.id.as_str(), 5 * HOUR)
        .await
        .unwrap();
    let version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    same(
        load(&store, &session).await,
        &LoginSession {
            version,
            expires_at,
            ..session
        },
    );
}

async fn save_can_set_the_expiry(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    for lifetime in [2 * HOUR, secs(5), ms(1)] {
        w.advance(ms(1));
        if lifetime == ms(1) {
            w.advance(secs(4));
        }
        session.version = store
            .save_login_session(&session, Some(lifetime), None)
            .await
            .unwrap();
        session.expires_at = w.after(lifetime);
        same(load(&store, &session).await, &session);
    }
    w.advance(ms(1));
    assert_eq!(load(&store, &session).await, None);
}

async fn save_out_of_range_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let mut changed = session.clone();
    changed.data = object(json!({"changed": true}));
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        refused_input(
            store
                .save_login_session(&changed, Some(lifetime), None)
                .await,
        );
    }
    same(load(&store, &session).await, &session);
}

async fn save_over_the_limit_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let too_much = [
        sized(MAX_PAYLOAD_BYTES + 1),
        object(json!({"a": "\0"})),
        object(json!({"\0": 1})),
    ];
    for data in too_much {
        let changed = LoginSession {
            data,
            ..session.clone()
        };
        refused_input(store.save_login_session(&changed, None, None).await);
        same(load(&store, &session).await, &session);
    }
    let changed = LoginSession {
        data: sized(MAX_PAYLOAD_BYTES),
        ..session
    };
    let version = store
        .save_login_session(&changed, None, None)
        .await
        .unwrap();
    same(
        load(&store, &changed).await,
        &LoginSession {
            version,
            ..changed.clone()
        },
    );
}

async fn save_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let unknown = LoginSession {
        id: w.make().login_id(2),
        ..session
    };
    for lifetime in [None, Some(HOUR)] {
        let result = store.save_login_session(&unknown, lifetime, None).await;
        refused(result, ErrorKind::NotFound);
        assert_eq!(load(&store, &unknown).await, None);
    }
}

async fn one_of_concurrent_saves_wins(w: World) {
    let stores = w.stores(4).await;
    let mut session = create(&w, &stores[0], 1).await;
    for _ in 0..5 {
        let saves = in_turn(&stores, 20).enumerate().map(|(n, store)| {
            let mut session = session.clone();
            session.data.insert("winner".to_owned(), json!(n));
            async move { store.save_login_session(&session, None, None).await }
        });
        let results = at_once(saves).await;
        let winner = results.iter().position(Result::is_ok);
        assert_eq!(successes(results, ErrorKind::Conflict), 1);
        let stored = load(&stores[0], &session).await.unwrap();
        assert_eq!(stored.version, session.version + 1);
        assert_eq!(stored.data["winner"], json!(winner));
        session = stored;
    }
}

async fn savers_that_load_again_lose_nothing(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    let workers = in_turn(&stores, 4).map(|store| {
        let id = session.id.clone();
        async move {
            for _ in 0..5 {
                loop {
                    let mut loaded = store
                        .load_login_session(id.as_str())
                        .await
                        .unwrap()
                        .unwrap();
                    let count = loaded
                        .data
                        .get("count")
                        .and_then(Value::as_u64)
                        .unwrap_or(0);
                    loaded.data.insert("count".to_owned(), json!(count + 1));
                    match store.save_login_session(&loaded, None, None).await {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                }
            }
        }
    });
    at_once(workers).await;
    let stored = load(&stores[0], &session).await.unwrap();
    assert_eq!((stored.version, &stored.data["count"]), (21, &json!(20)));
}
