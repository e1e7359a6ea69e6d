//! Setting and unsetting named properties of login sessions.

use serde_json::{Value, json};
use store_core::{ErrorKind, LoginData, LoginSession, MAX_PAYLOAD_BYTES};

use super::login_sessions::{HOUR, create, load, same, sized};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, refused_input};
use crate::fixtures::object;
use crate::world::{World, secs};

cases!(login_properties:
    set_adds_and_replaces_and_leaves_others, set_replaces_values_whole, set_of_nothing_is_a_change,
    set_of_unknown_is_not_found, set_beyond_the_limit_changes_nothing, the_limit_counts_compact_json, set_of_u0000_changes_nothing,
    set_never_conflicts, unset_removes_and_leaves_others, unset_of_missing_names_succeeds,
    unset_then_set_brings_back_only_what_is_set, unset_of_unknown_is_not_found,
    unset_makes_room_for_more, names_compare_as_bytes, set_and_unset_keep_the_expiry,
    concurrent_sets_lose_no_property, concurrent_sets_and_unsets_lose_none,
    writes_leave_other_sessions,
);

/// Data as JSON, which says in a failure what differs.
fn json_of(session: &LoginSession) -> Value {
    Value::Object(session.data.clone())
}

async fn set_adds_and_replaces_and_leaves_others(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let properties = object(json!({"refresh_token": "refresh-1", "new": [1, "🔑", null]}));
    let set = store
        .set_login_properties(session.id.as_str(), properties.clone(), None)
        .await;
    session.version = set.unwrap();
    assert_eq!(session.version, 2);
    session.data.extend(properties);
    same(load(&store, &session).await, &session);
}

async fn set_replaces_values_whole(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    // Not merged with what is there, and null is a value, not a removal.
    let properties = object(json!({"user": {"sub": "other"}, "expires_in": null}));
    let set = store
        .set_login_properties(session.id.as_str(), properties.clone(), None)
        .await;
    session.version = set.unwrap();
    session.data.extend(properties);
    same(load(&store, &session).await, &session);
}

async fn set_of_nothing_is_a_change(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let set = store
        .set_login_properties(session.id.as_str(), LoginData::new(), None)
        .await;
    session.version += 1;
    assert_eq!(set.unwrap(), session.version);
    same(load(&store, &session).await, &session);
}

async fn set_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    for id in [w.make().login_id(1).as_str(), "", "\0", &"x".repeat(5_000)] {
        let properties = object(json!({"a": 1}));
        let result = store.set_login_properties(id, properties, None).await;
        refused(result, ErrorKind::NotFound);
        assert_eq!(store.load_login_session(id).await.unwrap(), None);
    }
}

async fn set_beyond_the_limit_changes_nothing(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let id = session.id.as_str().to_owned();
    // Each of the two fits, both together do not.
    let half = "x".repeat(250 * 1024);
    let first = object(json!({"first": half}));
    session.version = store
        .set_login_properties(&id, first.clone(), None)
        .await
        .unwrap();
    session.data.extend(first);
    let second = object(json!({"second": half}));
    refused_input(store.set_login_properties(&id, second, None).await);
    same(load(&store, &session).await, &session);
    // In the place of the first it fits.
    let other = object(json!({"first": half.replace('x', "y")}));
    session.version = store
        .set_login_properties(&id, other.clone(), None)
        .await
        .unwrap();
    session.data.extend(other);
    same(load(&store, &session).await, &session);
    let too_much = sized(MAX_PAYLOAD_BYTES + 1);
    refused_input(store.set_login_properties(&id, too_much, None).await);
    same(load(&store, &session).await, &session);
}

async fn the_limit_counts_compact_json(w: World) {
    let store = w.store().await;
    // What servers may spell longer or shorter than compact JSON does.
    let data = object(json!({
        "list": [1, 2.5, 1e300, true, null, {"a": {}}], "text": "\n\u{1} \" \\ é 🔑 \u{2028} /",
    }));
    let plain = serde_json::to_string(&data).unwrap().len();
    let session = store
        .create_login_session(&w.make().login_id(1), data, HOUR)
        .await
        .unwrap();
    let room = MAX_PAYLOAD_BYTES - plain - r#","more":"""#.len();
    let id = session.id.as_str();
    let over = object(json!({"more": "x".repeat(room + 1)}));
    refused_input(store.set_login_properties(id, over, None).await);
    same(load(&store, &session).await, &session);
    let full = object(json!({"more": "x".repeat(room)}));
    store.set_login_properties(id, full, None).await.unwrap();
    let stored = load(&store, &session).await.unwrap();
    assert_eq!(
        serde_json::to_string(&stored.data).unwrap().len(),
        MAX_PAYLOAD_BYTES
    );
    let over = object(json!({"a": 1}));
    refused_input(store.set_login_properties(id, over, None).await);
}

async fn set_of_u0000_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    for properties in [
        json!({"a": "\0"}),
        json!({"\0": 1}),
        json!({"ok": 1, "a": ["\0"]}),
    ] {
        let id = session.id.as_str();
        refused_input(
            store
                .set_login_properties(id, object(properties), None)
                .await,
        );
        same(load(&store, &session).await, &session);
    }
}

async fn set_never_conflicts(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    for n in 0..5 {
        let properties = object(json!({"n": n}));
        let set = store
            .set_login_properties(session.id.as_str(), properties, None)
            .await;
        assert_eq!(set.unwrap(), n + 2);
    }
    // A save from before does.
    let result = store.save_login_session(&session, None, None).await;
    refused(result, ErrorKind::Conflict);
}

async fn unset_removes_and_leaves_others(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let names = ["access_token", "user"];
    let unset = store
        .unset_login_properties(session.id.as_str(), &names, None)
        .await;
    session.version = unset.unwrap();
    assert_eq!(session.version, 2);
    session
        .data
        .retain(|name, _| !names.contains(&name.as_str()));
    same(load(&store, &session).await, &session);
}

async fn unset_of_missing_names_succeeds(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let odd = [
        "missing",
        "",
        "sub",
        "user.sub",
        "$.user",
        "{user}",
        "' OR 1=1 --",
        "%",
        "_",
        "\0",
    ];
    let id = session.id.as_str();
    let version = store.unset_login_properties(id, &odd, None).await.unwrap();
    same(
        load(&store, &session).await,
        &LoginSession {
            version,
            ..session.clone()
        },
    );
    let version = store.unset_login_properties(id, &[], None).await.unwrap();
    same(
        load(&store, &session).await,
        &LoginSession {
            version,
            ..session.clone()
        },
    );
}

async fn unset_then_set_brings_back_only_what_is_set(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let id = session.id.as_str();
    store
        .unset_login_properties(id, &["user", "access_token"], None)
        .await
        .unwrap();
    let properties = object(json!({"user": 1}));
    store
        .set_login_properties(id, properties, None)
        .await
        .unwrap();
    let stored = load(&store, &session).await.unwrap();
    let expected = json!({"expires_in": 3600, "refresh_token": "refresh-0", "user": 1});
    assert_eq!((json_of(&stored), stored.version), (expected, 3));
}

async fn unset_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    for id in [w.make().login_id(1).as_str(), "", "\0", &"x".repeat(5_000)] {
        let result = store.unset_login_properties(id, &["user"], None).await;
        refused(result, ErrorKind::NotFound);
        assert_eq!(store.load_login_session(id).await.unwrap(), None);
    }
}

async fn unset_makes_room_for_more(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    store
        .create_login_session(&id, sized(MAX_PAYLOAD_BYTES), HOUR)
        .await
        .unwrap();
    let more = object(json!({"more": "x".repeat(250 * 1024)}));
    refused_input(
        store
            .set_login_properties(id.as_str(), more.clone(), None)
            .await,
    );
    store
        .unset_login_properties(id.as_str(), &["padding"], None)
        .await
        .unwrap();
    store
        .set_login_properties(id.as_str(), more, None)
        .await
        .unwrap();
}

async fn names_compare_as_bytes(w: World) {
    let store = w.store().await;
    let id = w.make().login_id(1);
    let data = object(json!({"Name": 1, "name": 2, "name ": 3, "näme": 4, "na\u{308}me": 5}));
    let session = store.create_login_session(&id, data, HOUR).await.unwrap();
    let id = id.as_str();
    store
        .unset_login_properties(id, &["name"], None)
        .await
        .unwrap();
    store
        .set_login_properties(id, object(json!({"NAME": 6, "näme": 7})), None)
        .await
        .unwrap();
    let stored = load(&store, &session).await.unwrap();
    let expected = json!({"Name": 1, "name ": 3, "näme": 7, "na\u{308}me": 5, "NAME": 6});
    assert_eq!(json_of(&stored), expected);
}

async fn set_and_unset_keep_the_expiry(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let id = session.id.as_str();
    w.advance(secs(60));
    store
        .set_login_properties(id, object(json!({"a": 1})), None)
        .await
        .unwrap();
    store
        .unset_login_properties(id, &["a"], None)
        .await
        .unwrap();
    assert_eq!(
        load(&store, &session).await.unwrap().expires_at,
        session.expires_at
    );
    w.advance_to(session.expires_at);
    assert_eq!(load(&store, &session).await, None);
}

async fn concurrent_sets_lose_no_property(w: World) {
    let stores = w.stores(4).await;
    for round in 0..3 {
        let session = create(&w, &stores[0], round).await;
        let sets = in_turn(&stores, 20).enumerate().map(|(n, store)| {
            let id = session.id.clone();
            let properties = object(json!({ format!("p{n}"): n }));
            async move {
                store
                    .set_login_properties(id.as_str(), properties, None)
                    .await
                    .unwrap()
            }
        });
        let mut versions = at_once(sets).await;
        versions.sort_unstable();
        assert_eq!(
            versions,
            (2..22).collect::<Vec<_>>(),
            "each has a version of its own"
        );
        let stored = load(&stores[0], &session).await.unwrap();
        assert_eq!(
            (stored.version, stored.data.len()),
            (21, session.data.len() + 20)
        );
        for n in 0..20 {
            assert_eq!(stored.data[&format!("p{n}")], json!(n));
        }
    }
}

async fn concurrent_sets_and_unsets_lose_none(w: World) {
    let stores = w.stores(4).await;
    let mut data = LoginData::new();
    for n in 0..10 {
        data.insert(format!("old{n}"), json!(n));
    }
    let id = w.make().login_id(1);
    let session = stores[0]
        .create_login_session(&id, data, HOUR)
        .await
        .unwrap();
    let calls = in_turn(&stores, 20).enumerate().map(|(n, store)| {
        let id = session.id.clone();
        let properties = object(json!({ format!("new{n}"): n }));
        async move {
            if n % 2 == 0 {
                store
                    .set_login_properties(id.as_str(), properties, None)
                    .await
                    .unwrap()
            } else {
                let name = format!("old{}", n / 2);
                store
                    .unset_login_properties(id.as_str(), &[&name], None)
                    .await
                    .unwrap()
            }
        }
    });
    at_once(calls).await;
    let stored = load(&stores[0], &session).await.unwrap();
    let mut names: Vec<_> = stored.data.keys().cloned().collect();
    names.sort();
    let mut expected: Vec<_> = (0..10).map(|n| format!("new{}", 2 * n)).collect();
    expected.sort();
    assert_eq!((names, stored.version), (expected, 21));
}

async fn writes_leave_other_sessions(w: World) {
    let store = w.store().await;
    let (mut session, other) = (create(&w, &store, 1).await, create(&w, &store, 2).await);
    let id = session.id.as_str().to_owned();
    session.version = store
        .save_login_session(&session, Some(secs(5)), None)
        .await
        .unwrap();
    store
        .set_login_properties(&id, object(json!({"a": 1})), None)
        .await
        .unwrap();
    store
        .unset_login_properties(&id, &["user"], None)
        .await
        .unwrap();
    store.extend_login_session(&id, secs(7)).await.unwrap();
    same(load(&store, &other).await, &other);
}
