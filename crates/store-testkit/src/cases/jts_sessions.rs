//! JTS sessions: created as given, listed, counted, touched and deleted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use store_core::{
    Json, JtsSession, MAX_METADATA_BYTES, NewJtsSession, SessionPolicy, StateProofStatus, Store,
};

use crate::cases::cases;
use crate::expect::refused_input;
use crate::world::{World, ms, secs};

cases!(jts_sessions:
    created_as_given, created_with_the_fewest_fields, tokens_have_the_promised_shape_and_differ,
    metadata_of_any_shape_is_kept, metadata_over_the_limit_is_refused, u0000_in_metadata_is_refused,
    lifetime_defaults_to_the_settings, lifetime_follows_the_settings,
    lifetime_out_of_range_is_refused, found_until_just_before_it_expires, unknown_is_none,
    touch_marks_as_active_now, touch_changes_nothing_else, touch_never_moves_back,
    touch_of_an_expired_one_tells_false, touch_of_a_deleted_one_tells_false, seen_by_other_stores,
);

pub(super) async fn create(w: &World, store: &Arc<dyn Store>, n: u64) -> JtsSession {
    let created = store
        .create_jts_session(w.make().jts_session(n), SessionPolicy::AllowAll)
        .await;
    created.unwrap().session
}

pub(super) async fn get(store: &Arc<dyn Store>, session: &JtsSession) -> Option<JtsSession> {
    store.get_jts_session(session.aid.as_str()).await.unwrap()
}

/// Fails with the JSON of both: `Debug` shows little of a session.
#[track_caller]
pub(super) fn same(found: Option<JtsSession>, expected: &JtsSession) {
    let json = |session| serde_json::to_value(session).unwrap();
    let found = found.expect("the session is found");
    assert_eq!(json(&found), json(expected));
    assert!(
        found == *expected,
        "the sessions differ in more than their JSON"
    );
}

pub(super) fn living(new: NewJtsSession, lifetime: Duration) -> NewJtsSession {
    NewJtsSession {
        lifetime: Some(lifetime),
        ..new
    }
}

pub(super) async fn aids(store: &Arc<dyn Store>, prn: &str) -> Vec<String> {
    let sessions = store.list_jts_sessions(prn).await.unwrap();
    sessions
        .iter()
        .map(|session| session.aid.as_str().to_owned())
        .collect()
}

async fn created_as_given(w: World) {
    let store = w.store().await;
    let new = w.make().jts_session(1);
    let created = store
        .create_jts_session(new.clone(), SessionPolicy::AllowAll)
        .await
        .unwrap();
    assert_eq!(created.revoked, []);
    let session = created.session;
    assert_eq!(session.prn, new.prn);
    assert_eq!(session.previous_state_proof, None);
    assert_eq!(session.state_proof_version, 1);
    assert_eq!(session.rotation_timestamp, None);
    assert_eq!(session.device_fingerprint, new.device_fingerprint);
    assert_eq!(session.created_at, w.now());
    assert_eq!(session.last_active, w.now());
    assert_eq!(session.user_agent, new.user_agent);
    assert_eq!(session.ip_address, new.ip_address);
    assert_eq!(session.metadata, new.metadata);
    same(get(&store, &session).await, &session);
    assert_eq!(
        store.list_jts_sessions(new.prn.as_str()).await.unwrap(),
        [session]
    );
}

async fn created_with_the_fewest_fields(w: World) {
    let store = w.store().await;
    let new = NewJtsSession::of(w.make().principal(1));
    let session = store
        .create_jts_session(new, SessionPolicy::AllowAll)
        .await
        .unwrap()
        .session;
    let fields = (
        &session.device_fingerprint,
        &session.user_agent,
        &session.ip_address,
    );
    assert_eq!(fields, (&None, &None, &None));
    assert_eq!(session.metadata, None);
    same(get(&store, &session).await, &session);
}

async fn tokens_have_the_promised_shape_and_differ(w: World) {
    let store = w.store().await;
    let mut seen = std::collections::BTreeSet::new();
    let base64url = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    for _ in 0..20 {
        let session = create(&w, &store, 1).await;
        let aid = session
            .aid
            .as_str()
            .strip_prefix("aid_")
            .unwrap()
            .to_owned();
        let proof = session
            .current_state_proof
            .as_str()
            .strip_prefix("sp_")
            .unwrap()
            .to_owned();
        assert_eq!(
            (aid.len(), proof.len()),
            (32, 64),
            "24 and 48 bytes in base64url"
        );
        assert!(base64url(&aid) && base64url(&proof));
        assert!(seen.insert(aid) && seen.insert(proof));
    }
}

async fn metadata_of_any_shape_is_kept(w: World) {
    let store = w.store().await;
    let padding = "x".repeat(MAX_METADATA_BYTES - 2);
    let shapes = [
        json!({}),
        json!(null),
        json!([]),
        json!("text"),
        json!(7),
        json!(true),
        json!(padding),
        json!({"deep": {"list": [1, 2.5, null, "🔑"]}}),
    ];
    for metadata in shapes {
        let new = NewJtsSession {
            metadata: Some(Json::new(&metadata).unwrap()),
            ..w.make().jts_session(1)
        };
        let created = store
            .create_jts_session(new.clone(), SessionPolicy::AllowAll)
            .await
            .unwrap();
        assert_eq!(created.session.metadata, new.metadata);
        same(get(&store, &created.session).await, &created.session);
    }
}

async fn metadata_over_the_limit_is_refused(w: World) {
    let store = w.store().await;
    let new = NewJtsSession {
        metadata: Some(Json::new(&"x".repeat(MAX_METADATA_BYTES - 1)).unwrap()),
        ..w.make().jts_session(1)
    };
    let prn = new.prn.clone();
    refused_input(store.create_jts_session(new, SessionPolicy::Single).await);
    assert_eq!(store.count_jts_sessions(prn.as_str()).await.unwrap(), 0);
}

async fn u0000_in_metadata_is_refused(w: World) {
    let store = w.store().await;
    let kept = create(&w, &store, 1).await;
    for metadata in [json!({"a": "\0"}), json!({"\0": 1})] {
        let new = NewJtsSession {
            metadata: Some(Json::new(&metadata).unwrap()),
            ..w.make().jts_session(1)
        };
        refused_input(store.create_jts_session(new, SessionPolicy::Single).await);
    }
    assert_eq!(aids(&store, kept.prn.as_str()).await, [kept.aid.as_str()]);
}

async fn lifetime_defaults_to_the_settings(w: World) {
    let week = secs(7 * 24 * 3600);
    assert_eq!(
        w.settings().jts_session_lifetime,
        week,
        "the contract's default"
    );
    let store = w.store().await;
    assert_eq!(create(&w, &store, 1).await.expires_at, w.after(week));
}

async fn lifetime_follows_the_settings(w: World) {
    let w = w.with(|settings| settings.jts_session_lifetime = secs(30));
    let store = w.store().await;
    assert_eq!(create(&w, &store, 1).await.expires_at, w.after(secs(30)));
    let new = living(
        w.make().jts_session(1),
        ms(1_234) + Duration::from_nanos(999_999),
    );
    let created = store
        .create_jts_session(new, SessionPolicy::AllowAll)
        .await
        .unwrap();
    assert_eq!(created.session.expires_at, w.after(ms(1_234)));
    same(get(&store, &created.session).await, &created.session);
}

async fn lifetime_out_of_range_is_refused(w: World) {
    let store = w.store().await;
    let kept = create(&w, &store, 1).await;
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let new = living(w.make().jts_session(1), lifetime);
        refused_input(store.create_jts_session(new, SessionPolicy::Single).await);
    }
    assert_eq!(aids(&store, kept.prn.as_str()).await, [kept.aid.as_str()]);
}

async fn found_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (aid, prn) = (session.aid.as_str(), session.prn.as_str());
    w.advance_to_just_before(session.expires_at);
    same(get(&store, &session).await, &session);
    assert_eq!(aids(&store, prn).await, [aid]);
    assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 1);
    let proof = session.current_state_proof.as_str();
    let status = store.validate_state_proof(proof).await.unwrap();
    assert!(matches!(status, StateProofStatus::Valid(_)));
    assert!(store.touch_jts_session(aid).await.unwrap());
    w.advance_to(session.expires_at);
    assert_eq!(
        get(&store, &session).await,
        None,
        "being active does not prolong it"
    );
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    create(&w, &store, 1).await;
    for aid in [store_core::Aid::generate().as_str(), "aid_", "", "\0"] {
        assert_eq!(store.get_jts_session(aid).await.unwrap(), None);
        assert!(!store.touch_jts_session(aid).await.unwrap());
        assert!(!store.delete_jts_session(aid).await.unwrap());
    }
    for prn in ["nobody", "", "\0"] {
        assert_eq!(store.list_jts_sessions(prn).await.unwrap(), []);
        assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 0);
        assert_eq!(store.delete_jts_sessions(prn).await.unwrap(), 0);
        assert!(!store.delete_oldest_jts_session(prn).await.unwrap());
    }
}

async fn touch_marks_as_active_now(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance(ms(61_001));
    assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
    let touched = get(&store, &session).await.unwrap();
    assert_eq!(touched.last_active, w.now());
}

async fn touch_changes_nothing_else(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let bystander = create(&w, &store, 1).await;
    w.advance(secs(60));
    assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
    let expected = JtsSession {
        last_active: w.now(),
        ..session.clone()
    };
    same(get(&store, &session).await, &expected);
    same(get(&store, &bystander).await, &bystander);
}

async fn touch_never_moves_back(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.rewind(secs(60));
    assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
    same(get(&store, &session).await, &session);
}

async fn touch_of_an_expired_one_tells_false(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to(session.expires_at);
    assert!(!store.touch_jts_session(session.aid.as_str()).await.unwrap());
    assert_eq!(get(&store, &session).await, None);
}

async fn touch_of_a_deleted_one_tells_false(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    assert!(
        store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    assert!(!store.touch_jts_session(session.aid.as_str()).await.unwrap());
    assert_eq!(get(&store, &session).await, None);
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let session = create(&w, &stores[0], 1).await;
    same(get(&stores[1], &session).await, &session);
    w.advance(secs(1));
    assert!(
        stores[1]
            .touch_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    assert_eq!(
        get(&stores[0], &session).await.unwrap().last_active,
        w.now()
    );
    assert!(
        stores[0]
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    assert_eq!(get(&stores[1], &session).await, None);
}
