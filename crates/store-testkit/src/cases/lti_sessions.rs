//! LTI sessions: kept as they came, until they expire.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use store_core::{ErrorKind, Json, LtiSession, LtiSessionData, MAX_PAYLOAD_BYTES, Timestamp};
use uuid::Uuid;

use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input, same_session, successes, trues};
use crate::world::{World, ms, secs};

cases!(lti_sessions:
    kept_with_every_field, kept_with_the_fewest_fields, unknown_is_none, numbers_keep_their_value,
    unicode_is_kept, large_ones_are_kept, at_the_limit_is_kept, over_the_limit_is_refused,
    u0000_is_refused, found_until_just_before_it_expires, lifetime_defaults_to_the_settings, lifetime_follows_the_settings,
    lifetime_out_of_range_is_refused,
    can_live_until_the_end_of_the_year_9999, expiry_is_told_in_whole_milliseconds, reading_does_not_prolong,
    added_only_once, can_be_added_again_once_expired, can_be_added_again_once_deleted,
    delete_tells_whether_a_live_one_existed, delete_of_an_expired_one_tells_false,
    delete_leaves_others, seen_by_other_stores, one_of_concurrent_adds_wins,
    one_of_concurrent_adds_over_an_expired_one_wins, one_of_concurrent_deletes_tells_true;
    needing Uncached: deletes_are_seen_by_other_stores_at_once,
);

fn size(session: &LtiSession) -> usize {
    serde_json::to_string(&LtiSessionData(session))
        .unwrap()
        .len()
}

async fn kept_with_every_field(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    assert!(
        (2_000..8_000).contains(&size(&session)),
        "the fixture is a typical session"
    );
    let expires_at = store.add_lti_session(&session, None).await.unwrap();
    for _ in 0..2 {
        let found = store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap();
        assert_eq!(
            found.as_ref().map(|found| found.expires_at),
            Some(expires_at)
        );
        same_session(found, &session);
    }
}

async fn kept_with_the_fewest_fields(w: World) {
    let store = w.store().await;
    let mut session = w.make().lti_session(1);
    session.user = Default::default();
    session.context = Default::default();
    session.resource_link = None;
    session.services = None;
    session.custom_parameters = Map::new();
    session.extra = Map::new();
    session.jwt_payload = Json::parse("{}").unwrap();
    store.add_lti_session(&session, None).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    store
        .add_lti_session(&w.make().lti_session(1), None)
        .await
        .unwrap();
    for id in [w.make().uuid(2), Uuid::nil(), Uuid::max()] {
        assert_eq!(store.get_lti_session(&id.to_string()).await.unwrap(), None);
        assert!(!store.delete_lti_session(&id.to_string()).await.unwrap());
    }
}

async fn numbers_keep_their_value(w: World) {
    let store = w.store().await;
    let mut session = w.make().lti_session(1);
    let numbers = json!([
        0,
        -1,
        u64::MAX,
        i64::MIN,
        9_007_199_254_740_993_u64,
        0.1,
        -2.5,
        1.5e-7,
        1.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        2.7182818284590455e10,
    ]);
    session.extra.insert("numbers".to_owned(), numbers.clone());
    session.jwt_payload = Json::new(&json!({"numbers": numbers})).unwrap();
    store.add_lti_session(&session, None).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn unicode_is_kept(w: World) {
    let store = w.store().await;
    let mut session = w.make().lti_session(1);
    let odd =
        "🔑 e\u{301} é \u{200d} \u{7f} \u{1} \t\r\n \" \\ \u{2028} \u{fffe} \u{10ffff} \\u0000";
    session.user.name = Some(odd.to_owned());
    session.extra.insert(odd.to_owned(), json!({ odd: odd }));
    session.jwt_payload = Json::new(&json!({ odd: [odd] })).unwrap();
    store.add_lti_session(&session, None).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn large_ones_are_kept(w: World) {
    let store = w.store().await;
    let session = w.make().padded_lti_session(1, 256 * 1024);
    store.add_lti_session(&session, None).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn at_the_limit_is_kept(w: World) {
    let store = w.store().await;
    let plain = serde_json::to_string(&w.make().lti_session(1))
        .unwrap()
        .len();
    let session = w.make().padded_lti_session(1, MAX_PAYLOAD_BYTES - plain);
    assert_eq!(
        serde_json::to_string(&session).unwrap().len(),
        MAX_PAYLOAD_BYTES
    );
    store.add_lti_session(&session, None).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn over_the_limit_is_refused(w: World) {
    let store = w.store().await;
    let plain = size(&w.make().lti_session(1));
    let session = w
        .make()
        .padded_lti_session(1, MAX_PAYLOAD_BYTES + 1 - plain);
    assert_eq!(size(&session), MAX_PAYLOAD_BYTES + 1);
    refused_input(store.add_lti_session(&session, None).await);
    assert_eq!(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn u0000_is_refused(w: World) {
    let store = w.store().await;
    let plain = w.make().lti_session(1);
    let mut sessions = [plain.clone(), plain.clone(), plain.clone(), plain];
    sessions[0].user.name = Some("a\0b".to_owned());
    sessions[1].extra.insert("a\0b".to_owned(), json!(1));
    sessions[2].jwt_payload = Json::parse(r#"{"sub":"a\u0000b"}"#).unwrap();
    sessions[3].jwt_payload = Json::parse(r#"{"sub":"\ud800"}"#).unwrap();
    for session in sessions {
        refused_input(store.add_lti_session(&session, None).await);
        assert_eq!(
            store
                .get_lti_session(&session.id.to_string())
                .await
                .unwrap(),
            None
        );
    }
}

async fn found_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let expires_at = store
        .add_lti_session(&session, Some(secs(5)))
        .await
        .unwrap();
    assert_eq!(expires_at, w.after(secs(5)));
    let id = session.id.to_string();
    // Read before and after, in case what was read is remembered.
    same_session(store.get_lti_session(&id).await.unwrap(), &session);
    w.advance_to_just_before(expires_at);
    same_session(store.get_lti_session(&id).await.unwrap(), &session);
    w.advance_to(expires_at);
    assert_eq!(store.get_lti_session(&id).await.unwrap(), None);
}

async fn lifetime_defaults_to_the_settings(w: World) {
    let day = secs(24 * 3600);
    assert_eq!(
        w.settings().lti_session_lifetime,
        day,
        "the contract's default"
    );
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let expires_at = store.add_lti_session(&session, None).await.unwrap();
    assert_eq!(expires_at, w.after(day));
}

async fn lifetime_follows_the_settings(w: World) {
    let w = w.with(|settings| settings.lti_session_lifetime = secs(30));
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let expires_at = store.add_lti_session(&session, None).await.unwrap();
    assert_eq!(expires_at, w.after(secs(30)));
}

async fn lifetime_out_of_range_is_refused(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        refused_input(store.add_lti_session(&session, Some(lifetime)).await);
        assert_eq!(
            store
                .get_lti_session(&session.id.to_string())
                .await
                .unwrap(),
            None
        );
    }
    store.add_lti_session(&session, Some(ms(1))).await.unwrap();
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
}

async fn can_live_until_the_end_of_the_year_9999(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let longest = Timestamp::MAX.since(w.now()).unwrap();
    refused_input(store.add_lti_session(&session, Some(longest + ms(1))).await);
    let expires_at = store
        .add_lti_session(&session, Some(longest))
        .await
        .unwrap();
    assert_eq!(expires_at, Timestamp::MAX);
    let found = store
        .get_lti_session(&session.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.expires_at, expires_at);
    store
        .store_nonce(&w.make().nonce(1), Some(longest))
        .await
        .unwrap();
    assert!(
        store
            .consume_nonce(w.make().nonce(1).as_str())
            .await
            .unwrap()
    );
}

async fn expiry_is_told_in_whole_milliseconds(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let lifetime = ms(1_234) + Duration::from_nanos(999_999);
    let told = store
        .add_lti_session(&session, Some(lifetime))
        .await
        .unwrap();
    assert_eq!(told, w.after(ms(1_234)));
    let found = store
        .get_lti_session(&session.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.expires_at, told);
}

async fn reading_does_not_prolong(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let expires_at = store
        .add_lti_session(&session, Some(secs(10)))
        .await
        .unwrap();
    for _ in 0..9 {
        w.advance(secs(1));
        let found = store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.expires_at, expires_at);
    }
    w.advance(secs(1));
    assert_eq!(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        None
    );
}

async fn added_only_once(w: World) {
    let store = w.store().await;
    let first = w.make().lti_session(1);
    let mut second = w.make().lti_session(2);
    second.id = first.id;
    let expires_at = store.add_lti_session(&first, Some(secs(5))).await.unwrap();
    let result = store.add_lti_session(&second, Some(secs(50))).await;
    refused(result, ErrorKind::AlreadyExists);
    let found = store.get_lti_session(&first.id.to_string()).await.unwrap();
    assert_eq!(
        found.as_ref().map(|found| found.expires_at),
        Some(expires_at)
    );
    same_session(found, &first);
    w.advance_to_just_before(expires_at);
    let result = store.add_lti_session(&second, None).await;
    refused(result, ErrorKind::AlreadyExists);
}

async fn can_be_added_again_once_expired(w: World) {
    let store = w.store().await;
    let first = w.make().lti_session(1);
    let mut second = w.make().lti_session(2);
    second.id = first.id;
    let expires_at = store.add_lti_session(&first, Some(secs(5))).await.unwrap();
    same_session(
        store.get_lti_session(&first.id.to_string()).await.unwrap(),
        &first,
    );
    w.advance_to(expires_at);
    let expires_at = store.add_lti_session(&second, Some(secs(7))).await.unwrap();
    assert_eq!(expires_at, w.after(secs(7)));
    same_session(
        store.get_lti_session(&first.id.to_string()).await.unwrap(),
        &second,
    );
}

async fn can_be_added_again_once_deleted(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let id = session.id.to_string();
    for _ in 0..2 {
        assert_eq!(store.get_lti_session(&id).await.unwrap(), None);
        store.add_lti_session(&session, None).await.unwrap();
        same_session(store.get_lti_session(&id).await.unwrap(), &session);
        assert!(store.delete_lti_session(&id).await.unwrap());
    }
}

async fn delete_tells_whether_a_live_one_existed(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let id = session.id.to_string();
    assert!(!store.delete_lti_session(&id).await.unwrap());
    store.add_lti_session(&session, None).await.unwrap();
    same_session(store.get_lti_session(&id).await.unwrap(), &session);
    assert!(store.delete_lti_session(&id).await.unwrap());
    assert_eq!(store.get_lti_session(&id).await.unwrap(), None);
    assert!(!store.delete_lti_session(&id).await.unwrap());
}

async fn delete_of_an_expired_one_tells_false(w: World) {
    let store = w.store().await;
    let session = w.make().lti_session(1);
    let expires_at = store
        .add_lti_session(&session, Some(secs(5)))
        .await
        .unwrap();
    w.advance_to(expires_at);
    assert!(
        !store
            .delete_lti_session(&session.id.to_string())
            .await
            .unwrap()
    );
}

async fn delete_leaves_others(w: World) {
    let store = w.store().await;
    let (gone, kept) = (w.make().lti_session(1), w.make().lti_session(2));
    for session in [&gone, &kept] {
        store.add_lti_session(session, None).await.unwrap();
    }
    assert!(
        store
            .delete_lti_session(&gone.id.to_string())
            .await
            .unwrap()
    );
    same_session(
        store.get_lti_session(&kept.id.to_string()).await.unwrap(),
        &kept,
    );
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let session = w.make().lti_session(1);
    let id = session.id.to_string();
    // A miss before is not remembered.
    assert_eq!(stores[1].get_lti_session(&id).await.unwrap(), None);
    stores[0].add_lti_session(&session, None).await.unwrap();
    same_session(stores[1].get_lti_session(&id).await.unwrap(), &session);
}

async fn one_of_concurrent_adds_wins(w: World) {
    let stores = w.stores(4).await;
    let session = Arc::new(w.make().lti_session(1));
    let adds = in_turn(&stores, 20).map(|store| {
        let session = Arc::clone(&session);
        async move { store.add_lti_session(&session, None).await }
    });
    assert_eq!(successes(at_once(adds).await, ErrorKind::AlreadyExists), 1);
}

async fn one_of_concurrent_adds_over_an_expired_one_wins(w: World) {
    let stores = w.stores(4).await;
    for round in 0..4 {
        let session = Arc::new(w.make().lti_session(round));
        stores[0]
            .add_lti_session(&session, Some(secs(1)))
            .await
            .unwrap();
        w.advance(secs(1));
        let adds = in_turn(&stores, 20).map(|store| {
            let session = Arc::clone(&session);
            async move { store.add_lti_session(&session, None).await }
        });
        assert_eq!(successes(at_once(adds).await, ErrorKind::AlreadyExists), 1);
    }
}

async fn one_of_concurrent_deletes_tells_true(w: World) {
    let stores = w.stores(4).await;
    let session = w.make().lti_session(1);
    stores[0].add_lti_session(&session, None).await.unwrap();
    let deletes = in_turn(&stores, 12)
        .map(|store| async move { store.delete_lti_session(&session.id.to_string()).await });
    let deletes: Vec<_> = deletes.collect();
    assert_eq!(trues(at_once(deletes).await), 1);
}

async fn deletes_are_seen_by_other_stores_at_once(w: World) {
    let stores = w.stores(2).await;
    let session = w.make().lti_session(1);
    let id = session.id.to_string();
    stores[0].add_lti_session(&session, None).await.unwrap();
    same_session(stores[1].get_lti_session(&id).await.unwrap(), &session);
    assert!(stores[0].delete_lti_session(&id).await.unwrap());
    assert_eq!(stores[1].get_lti_session(&id).await.unwrap(), None);
}
