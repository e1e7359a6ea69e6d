//! Dynamic registrations under way: their token is taken once.

use std::sync::Arc;

use serde_json::{Map, json};
use store_core::{ErrorKind, MAX_PAYLOAD_BYTES, RegistrationSession, Timestamp};

use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input, successes, trues};
use crate::world::{World, ms, secs};

cases!(registration_sessions:
    kept_as_given, kept_with_the_fewest_fields, unknown_is_none, large_ones_are_kept,
    over_the_limit_is_refused, u0000_is_refused, already_expired_is_refused,
    found_until_just_before_it_expires, taken_until_just_before_it_expires, set_only_once,
    can_be_set_again_once_expired, can_be_set_again_once_taken, taken_exactly_once,
    delete_tells_whether_a_live_one_existed, delete_of_an_expired_one_tells_false,
    reading_does_not_take, seen_by_other_stores, taken_once_by_many_at_the_same_moment,
    taken_or_deleted_but_not_both, one_of_concurrent_sets_wins,
    one_of_concurrent_sets_over_an_expired_one_wins,
);

/// Fails with the JSON of both: `Debug` shows nothing of a registration.
#[track_caller]
fn same(found: Option<RegistrationSession>, expected: &RegistrationSession) {
    let json = |session| serde_json::to_value(session).unwrap();
    assert_eq!(json(&found.expect("the session is found")), json(expected));
}

async fn kept_as_given(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    same(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
    same(
        store
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn kept_with_the_fewest_fields(w: World) {
    let store = w.store().await;
    let session = RegistrationSession {
        open_id_configuration: Map::new(),
        registration_token: None,
        expires_at: Timestamp::MAX,
        extra: Map::new(),
    };
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    same(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    store
        .set_registration_session(w.make().uuid(1), &session)
        .await
        .unwrap();
    let unknown = w.make().uuid(2).to_string();
    assert_eq!(
        store.get_registration_session(&unknown).await.unwrap(),
        None
    );
    assert_eq!(
        store.take_registration_session(&unknown).await.unwrap(),
        None
    );
    assert!(!store.delete_registration_session(&unknown).await.unwrap());
}

/// A registration whose JSON is so long.
fn sized(w: &World, bytes: usize) -> RegistrationSession {
    let mut session = w.make().registration(1, w.after(secs(60)));
    session.extra.insert("padding".to_owned(), json!(""));
    let plain = serde_json::to_string(&session).unwrap().len();
    session
        .extra
        .insert("padding".to_owned(), json!("x".repeat(bytes - plain)));
    session
}

async fn large_ones_are_kept(w: World) {
    let store = w.store().await;
    for (n, bytes) in [(1, 256 * 1024), (2, MAX_PAYLOAD_BYTES)] {
        let session = sized(&w, bytes);
        let id = w.make().uuid(n);
        store.set_registration_session(id, &session).await.unwrap();
        same(
            store
                .get_registration_session(&id.to_string())
                .await
                .unwrap(),
            &session,
        );
    }
}

async fn over_the_limit_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().uuid(1);
    let session = sized(&w, MAX_PAYLOAD_BYTES + 1);
    refused_input(store.set_registration_session(id, &session).await);
    assert_eq!(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn u0000_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().uuid(1);
    let plain = w.make().registration(1, w.after(secs(60)));
    let mut sessions = [plain.clone(), plain.clone(), plain];
    sessions[0].registration_token = Some("a\0b".to_owned());
    sessions[1].extra.insert("a\0b".to_owned(), json!(1));
    sessions[2]
        .open_id_configuration
        .insert("a".to_owned(), json!(["\0"]));
    for session in sessions {
        refused_input(store.set_registration_session(id, &session).await);
        assert_eq!(
            store
                .get_registration_session(&id.to_string())
                .await
                .unwrap(),
            None
        );
    }
}

async fn already_expired_is_refused(w: World) {
    let store = w.store().await;
    let id = w.make().uuid(1);
    let past = Timestamp::from_unix_millis(w.now().unix_millis() - 1);
    for expires_at in [w.now(), past, Timestamp::MIN] {
        let session = w.make().registration(1, expires_at);
        refused_input(store.set_registration_session(id, &session).await);
    }
    let session = w.make().registration(1, w.after(ms(1)));
    store.set_registration_session(id, &session).await.unwrap();
    same(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn found_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    w.advance_to_just_before(session.expires_at);
    same(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
    w.advance_to(session.expires_at);
    assert_eq!(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn taken_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let (early, late) = (w.make().uuid(1), w.make().uuid(2));
    for id in [early, late] {
        store.set_registration_session(id, &session).await.unwrap();
    }
    w.advance_to_just_before(session.expires_at);
    same(
        store
            .take_registration_session(&early.to_string())
            .await
            .unwrap(),
        &session,
    );
    w.advance_to(session.expires_at);
    assert_eq!(
        store
            .take_registration_session(&late.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn set_only_once(w: World) {
    let store = w.store().await;
    let first = w.make().registration(1, w.after(secs(60)));
    let second = w.make().registration(2, w.after(secs(90)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &first).await.unwrap();
    let result = store.set_registration_session(id, &second).await;
    refused(result, ErrorKind::AlreadyExists);
    w.advance_to_just_before(first.expires_at);
    let result = store.set_registration_session(id, &second).await;
    refused(result, ErrorKind::AlreadyExists);
    same(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &first,
    );
}

async fn can_be_set_again_once_expired(w: World) {
    let store = w.store().await;
    let first = w.make().registration(1, w.after(secs(60)));
    let second = w.make().registration(2, w.after(secs(90)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &first).await.unwrap();
    w.advance_to(first.expires_at);
    store.set_registration_session(id, &second).await.unwrap();
    same(
        store
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        &second,
    );
}

async fn can_be_set_again_once_taken(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    for _ in 0..2 {
        store.set_registration_session(id, &session).await.unwrap();
        same(
            store
                .take_registration_session(&id.to_string())
                .await
                .unwrap(),
            &session,
        );
    }
}

async fn taken_exactly_once(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let other = w.make().registration(2, w.after(secs(60)));
    let (id, kept) = (w.make().uuid(1), w.make().uuid(2));
    store.set_registration_session(id, &session).await.unwrap();
    store.set_registration_session(kept, &other).await.unwrap();
    same(
        store
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
    assert_eq!(
        store
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
    assert!(
        !store
            .delete_registration_session(&id.to_string())
            .await
            .unwrap()
    );
    same(
        store
            .get_registration_session(&kept.to_string())
            .await
            .unwrap(),
        &other,
    );
}

async fn delete_tells_whether_a_live_one_existed(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    assert!(
        store
            .delete_registration_session(&id.to_string())
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_registration_session(&id.to_string())
            .await
            .unwrap()
    );
    assert_eq!(
        store
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn delete_of_an_expired_one_tells_false(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    w.advance_to(session.expires_at);
    assert!(
        !store
            .delete_registration_session(&id.to_string())
            .await
            .unwrap()
    );
}

async fn reading_does_not_take(w: World) {
    let store = w.store().await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    store.set_registration_session(id, &session).await.unwrap();
    for _ in 0..3 {
        same(
            store
                .get_registration_session(&id.to_string())
                .await
                .unwrap(),
            &session,
        );
    }
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(3).await;
    let session = w.make().registration(1, w.after(secs(60)));
    let id = w.make().uuid(1);
    stores[0]
        .set_registration_session(id, &session)
        .await
        .unwrap();
    same(
        stores[1]
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
    same(
        stores[2]
            .take_registration_session(&id.to_string())
            .await
            .unwrap(),
        &session,
    );
    assert_eq!(
        stores[1]
            .get_registration_session(&id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn taken_once_by_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    for round in 0..10 {
        let session = w.make().registration(round, w.after(secs(60)));
        let id = w.make().uuid(round);
        stores[0]
            .set_registration_session(id, &session)
            .await
            .unwrap();
        let takes: Vec<_> = in_turn(&stores, 20)
            .map(|store| async move { store.take_registration_session(&id.to_string()).await })
            .collect();
        let taken = at_once(takes).await.into_iter().map(Result::unwrap);
        let mut taken = taken.flatten();
        same(taken.next(), &session);
        assert_eq!(taken.next(), None);
    }
}

async fn taken_or_deleted_but_not_both(w: World) {
    let stores = w.stores(4).await;
    for round in 0..10 {
        let session = w.make().registration(round, w.after(secs(60)));
        let id = w.make().uuid(round);
        stores[0]
            .set_registration_session(id, &session)
            .await
            .unwrap();
        let calls: Vec<_> = in_turn(&stores, 8)
            .enumerate()
            .map(|(n, store)| async move {
                let id = id.to_string();
                if n % 2 == 0 {
                    let taken = store.take_registration_session(&id).await;
                    taken.map(|session| session.is_some())
                } else {
                    store.delete_registration_session(&id).await
                }
            })
            .collect();
        assert_eq!(trues(at_once(calls).await), 1);
    }
}

async fn one_of_concurrent_sets_wins(w: World) {
    let stores = w.stores(4).await;
    let session = Arc::new(w.make().registration(1, w.after(secs(60))));
    let id = w.make().uuid(1);
    let sets = in_turn(&stores, 20).map(|store| {
        let session = Arc::clone(&session);
        async move { store.set_registration_session(id, &session).await }
    });
    assert_eq!(successes(at_once(sets).await, ErrorKind::AlreadyExists), 1);
}

async fn one_of_concurrent_sets_over_an_expired_one_wins(w: World) {
    let stores = w.stores(4).await;
    for round in 0..4 {
        let id = w.make().uuid(round);
        let old = w.make().registration(round, w.after(secs(1)));
        stores[0].set_registration_session(id, &old).await.unwrap();
        w.advance(secs(1));
        let session = Arc::new(w.make().registration(round, w.after(secs(60))));
        let sets = in_turn(&stores, 20).map(|store| {
            let session = Arc::clone(&session);
            async move { store.set_registration_session(id, &session).await }
        });
        assert_eq!(successes(at_once(sets).await, ErrorKind::AlreadyExists), 1);
    }
}
