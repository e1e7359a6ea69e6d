//! When login sessions expire, and extending them.

use std::time::Duration;

use store_core::{ErrorKind, LoginSession, Timestamp};

use super::login_sessions::{HOUR, create, load, same};
use crate::cases::cases;
use crate::expect::{refused, refused_input};
use crate::world::{World, ms, secs};

cases!(login_lifetimes:
    found_until_just_before_it_expires,
    lifetime_out_of_range_is_refused,
    expiry_is_told_in_whole_milliseconds,
    loading_does_not_prolong,
    can_last_until_the_end_of_the_year_9999,
    extend_lets_it_expire_later,
    extend_lets_it_expire_sooner,
    extend_keeps_version_and_data,
    extend_out_of_range_changes_nothing,
    extend_of_an_expired_one_is_not_found,
    extend_of_unknown_is_not_found,
);

async fn found_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to_just_before(session.expires_at);
    same(load(&store, &session).await, &session);
    w.advance_to(session.expires_at);
    assert_eq!(load(&store, &session).await, None);
}

async fn lifetime_out_of_range_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let data = w.make().login_data();
        refused_input(store.create_login_session(&id, data, lifetime).await);
        assert_eq!(store.load_login_session(id.as_str()).await.unwrap(), None);
    }
    store
        .create_login_session(&id, w.make().login_data(), ms(1))
        .await
        .unwrap();
}

async fn expiry_is_told_in_whole_milliseconds(w: World) {
    let store = w.store().await;
    let (id, data) = (w.make().login_id(1), w.make().login_data());
    let lifetime = ms(1_234) + Duration::from_nanos(999_999);
    let session = store
        .create_login_session(&id, data, lifetime)
        .await
        .unwrap();
    assert_eq!(session.expires_at, w.after(ms(1_234)));
    same(load(&store, &session).await, &session);
    let lifetime = ms(5_678) + Duration::from_nanos(999_999);
    let expires_at = store
        .extend_login_session(id.as_str(), lifetime)
        .await
        .unwrap();
    assert_eq!(expires_at, w.after(ms(5_678)));
    assert_eq!(load(&store, &session).await.unwrap().expires_at, expires_at);
}

async fn can_last_until_the_end_of_the_year_9999(w: World) {
    let store = w.store().await;
    let longest = Timestamp::MAX.since(w.now()).unwrap();
    let (id, data) = (w.make().login_id(1), w.make().login_data());
    let session = store
        .create_login_session(&id, data, longest)
        .await
        .unwrap();
    assert_eq!(session.expires_at, Timestamp::MAX);
    same(load(&store, &session).await, &session);
    w.advance(secs(3600));
    refused_input(store.extend_login_session(id.as_str(), longest).await);
    same(load(&store, &session).await, &session);
}

async fn loading_does_not_prolong(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    for _ in 0..59 {
        w.advance(secs(60));
        same(load(&store, &session).await, &session);
    }
    w.advance(secs(60));
    assert_eq!(load(&store, &session).await, None);
}

async fn extend_lets_it_expire_later(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to_just_before(session.expires_at);
    let expires_at = store
        .extend_login_session(session.id.as_str(), HOUR)
        .await
        .unwrap();
    assert_eq!(expires_at, w.after(HOUR));
    w.advance_to_just_before(expires_at);
    same(
        load(&store, &session).await,
        &LoginSession {
            expires_at,
            ..session.clone()
        },
    );
    w.advance_to(expires_at);
    assert_eq!(load(&store, &session).await, None);
}

async fn extend_lets_it_expire_sooner(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let expires_at = store
        .extend_login_session(session.id.as_str(), secs(5))
        .await
        .unwrap();
    assert_eq!(expires_at, w.after(secs(5)));
    w.advance_to(expires_at);
    assert_eq!(load(&store, &session).await, None);
}

async fn extend_keeps_version_and_data(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let other = create(&w, &store, 2).await;
    let expires_at = store
        .extend_login_session(session.id.as_str(), 2 * HOUR)
        .await
        .unwrap();
    let extended = LoginSession {
        expires_at,
        ..session.clone()
    };
    same(load(&store, &session).await, &extended);
    same(load(&store, &other).await, &other);
    // A save from before does not conflict, and does not undo the extension.
    store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    assert_eq!(load(&store, &session).await.unwrap().expires_at, expires_at);
}

async fn extend_out_of_range_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        refused_input(
            store
                .extend_login_session(session.id.as_str(), lifetime)
                .await,
        );
    }
    same(load(&store, &session).await, &session);
}

async fn extend_of_an_expired_one_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to(session.expires_at);
    let result = store.extend_login_session(session.id.as_str(), HOUR).await;
    refused(result, ErrorKind::NotFound);
    assert_eq!(load(&store, &session).await, None);
}

async fn extend_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    for id in [w.make().login_id(1).as_str(), "", "\0", &"x".repeat(5_000)] {
        refused(
            store.extend_login_session(id, HOUR).await,
            ErrorKind::NotFound,
        );
        assert_eq!(store.load_login_session(id).await.unwrap(), None);
    }
}
