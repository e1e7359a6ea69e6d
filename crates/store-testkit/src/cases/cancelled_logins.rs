//! Operations on login sessions dropped half-way.

use serde_json::json;
use store_core::{ErrorKind, LockOutcome};

use super::cancellation::dropped_after_each_poll;
use super::locks;
use super::login_sessions::{HOUR, create as login, load};
use crate::cases::cases;
use crate::fixtures::object;
use crate::world::{World, secs};

cases!(cancelled_logins:
    of_creating_a_login_session,
    of_saving_a_login_session,
    of_setting_and_unsetting,
    of_extending_and_destroying,
    of_locking,
    of_unlocking,
);

async fn of_creating_a_login_session(w: World) {
    dropped_after_each_poll(
        &w,
        async |_, n| w.make().login_id(n),
        async |store, id| {
            let data = w.make().login_data();
            drop(store.create_login_session(id, data, HOUR).await.unwrap());
        },
        async |store, id| {
            if let Some(found) = store.load_login_session(id.as_str()).await.unwrap() {
                assert_eq!((found.version, found.data), (1, w.make().login_data()));
            }
        },
    )
    .await;
}

async fn of_saving_a_login_session(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| login(&w, store, n).await,
        async |store, session| {
            let mut changed = session.clone();
            changed.data = object(json!({"saved": "x".repeat(100_000)}));
            store
                .save_login_session(&changed, Some(2 * HOUR), None)
                .await
                .unwrap();
        },
        async |store, session| {
            let found = load(store, session).await.unwrap();
            let saved = found.data.contains_key("saved");
            assert_eq!(found.version, 1 + u64::from(saved));
            assert_eq!(saved, !found.data.contains_key("user"));
            assert_eq!(saved, found.expires_at != session.expires_at, "half saved");
        },
    )
    .await;
}

async fn of_setting_and_unsetting(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| login(&w, store, n).await,
        async |store, session| {
            let id = session.id.as_str();
            let properties = object(json!({"a": 1, "b": 2}));
            store
                .set_login_properties(id, properties, None)
                .await
                .unwrap();
            store
                .unset_login_properties(id, &["a", "b"], None)
                .await
                .unwrap();
        },
        async |store, session| {
            let found = load(store, session).await.unwrap();
            let set = ["a", "b"].map(|name| found.data.contains_key(name));
            let expected = [[false, false], [true, true], [false, false]];
            assert_eq!(set, expected[found.version as usize - 1], "half set");
        },
    )
    .await;
}

async fn of_extending_and_destroying(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| login(&w, store, n).await,
        async |store, session| {
            store
                .extend_login_session(session.id.as_str(), 2 * HOUR)
                .await
                .unwrap();
            assert!(
                store
                    .destroy_login_session(session.id.as_str())
                    .await
                    .unwrap()
            );
        },
        async |store, session| {
            if let Some(found) = load(store, session).await {
                assert!([w.after(HOUR), w.after(2 * HOUR)].contains(&found.expires_at));
            }
        },
    )
    .await;
}

async fn of_locking(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| login(&w, store, n).await,
        async |store, session| drop(locks::acquire(store, session).await),
        async |store, session| {
            let outcome = store
                .lock_login_session(session.id.as_str(), "refresh-0")
                .await
                .unwrap();
            if let LockOutcome::Held { until } = outcome {
                // Nobody has the token: it is free again after its time, and not for ever.
                assert_eq!(until, w.after(secs(10)));
            }
            w.advance(secs(10));
            locks::acquire(store, session).await;
        },
    )
    .await;
}

async fn of_unlocking(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let session = login(&w, store, n).await;
            let (token, _, _) = locks::acquire(store, &session).await;
            (session, token)
        },
        async |store, (session, token)| {
            store
                .unlock_login_session(session.id.as_str(), token)
                .await
                .unwrap();
        },
        async |store, (session, token)| {
            if let Err(error) = store.unlock_login_session(session.id.as_str(), token).await {
                assert_eq!(error.kind(), ErrorKind::LockLost, "{error}");
            }
            locks::acquire(store, session).await;
        },
    )
    .await;
}
