//! What is stored, and reading more than a page of it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use store_core::{
    Clock, Json, JtsSessionStore, ManualClock, NewJtsSession, NonceStore, Placement, Record,
    Renewal, SessionPolicy, Settings, StateProof, StateProofStatus, StoredJtsSession, Timestamp,
    TransferStore,
};

use crate::support::{Place, Server};
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[
    everywhere("time_to_live_is_whole_seconds_rounded_up", |server| {
        Box::pin(time_to_live_is_whole_seconds_rounded_up(server))
    }),
    everywhere("sessions_of_many_pages_are_all_read", |server| {
        Box::pin(sessions_of_many_pages_are_all_read(server))
    }),
    everywhere("no_secret_is_legible_in_a_key", |server| {
        Box::pin(no_secret_is_legible_in_a_key(server))
    }),
    everywhere("a_renewal_that_rotates_nothing_leaves_nothing", |server| {
        Box::pin(a_renewal_that_rotates_nothing_leaves_nothing(server))
    }),
    everywhere("a_place_that_is_out_of_date_is_looked_up_again", |server| {
        Box::pin(a_place_that_is_out_of_date_is_looked_up_again(server))
    }),
];

/// All items, which the store itself never asks for.
pub(crate) async fn all_items(
    place: &Place,
) -> Vec<std::collections::HashMap<String, AttributeValue>> {
    let client = place.client();
    let pages = client
        .scan()
        .table_name(place.table())
        .consistent_read(true);
    let mut items = pages.into_paginator().items().send();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap());
    }
    all
}

async fn time_to_live_is_whole_seconds_rounded_up(server: Server) {
    let place = server.place();
    let clock = ManualClock::at(Timestamp::from_unix_millis(1_900_000_000_001));
    let settings = Settings {
        clock: std::sync::Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = place.store(settings).await;
    let lifetime = Duration::from_millis(999);
    store
        .store_nonce(&"exact".parse().unwrap(), Some(lifetime))
        .await
        .unwrap();
    let later = lifetime + Duration::from_millis(1);
    store
        .store_nonce(&"later".parse().unwrap(), Some(later))
        .await
        .unwrap();
    let mut found = Vec::new();
    for item in all_items(&place).await {
        if let (Some(reap_at), Some(expires_at)) = (item.get("reap_at"), item.get("expires_at")) {
            found.push((
                reap_at.as_n().unwrap().clone(),
                expires_at.as_n().unwrap().clone(),
            ));
        }
    }
    found.sort();
    let text = |reap_at: &str, expires_at: &str| (reap_at.to_owned(), expires_at.to_owned());
    assert_eq!(
        found,
        [
            text("1900000001", "1900000001000"),
            text("1900000002", "1900000001001")
        ]
    );
    assert!(clock.now() < Timestamp::from_unix_millis(1_900_000_001_000));
    place.remove().await;
}

async fn sessions_of_many_pages_are_all_read(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let metadata = Json::new(&"x".repeat(60_000)).unwrap();
    // A page is 1 MB, so that these are two and a half.
    for _ in 0..40 {
        let new = NewJtsSession {
            metadata: Some(metadata.clone()),
            ..NewJtsSession::of("alice".parse().unwrap())
        };
        store
            .create_jts_session(new, SessionPolicy::AllowAll)
            .await
            .unwrap();
    }
    assert_eq!(store.count_jts_sessions("alice").await.unwrap(), 40);
    assert_eq!(store.list_jts_sessions("alice").await.unwrap().len(), 40);
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::Single).await;
    assert_eq!(created.unwrap().revoked.len(), 40);
    assert_eq!(store.delete_jts_sessions("alice").await.unwrap(), 1);
    place.remove().await;
}

async fn no_secret_is_legible_in_a_key(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    store
        .store_nonce(&"secret-nonce".parse().unwrap(), None)
        .await
        .unwrap();
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::AllowAll);
    let proof = created.await.unwrap().session.current_state_proof;
    let status = store.validate_state_proof(proof.as_str()).await.unwrap();
    assert!(matches!(status, StateProofStatus::Valid(_)));
    let unknown = StateProof::generate();
    let status = store.validate_state_proof(unknown.as_str()).await.unwrap();
    assert_eq!(status, StateProofStatus::Unknown);
    for item in all_items(&place).await {
        let keys = format!("{:?} {:?}", item["pk"], item["sk"]);
        assert!(!keys.contains("secret-nonce") && !keys.contains(proof.as_str()));
    }
    place.remove().await;
}

async fn a_renewal_that_rotates_nothing_leaves_nothing(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::AllowAll);
    let proof = created.await.unwrap().session.current_state_proof;
    let renewed = store.renew_state_proof(proof.as_str()).await.unwrap();
    assert!(matches!(renewed, Renewal::Rotated(_)));
    let before = all_items(&place).await.len();
    for _ in 0..3 {
        let converged = store.renew_state_proof(proof.as_str()).await.unwrap();
        assert!(matches!(converged, Renewal::Converged(_)));
    }
    assert_eq!(all_items(&place).await.len(), before);
    place.remove().await;
}

/// A session that was deleted here, and moved back to another principal by another process.
async fn a_place_that_is_out_of_date_is_looked_up_again(server: Server) {
    let place = server.place();
    let (here, elsewhere) = (
        place.store(Settings::default()).await,
        place.open(Settings::default()).await,
    );
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = here.create_jts_session(new, SessionPolicy::AllowAll);
    let mut session = created.await.unwrap().session;
    let (aid, proof) = (session.aid.clone(), session.current_state_proof.clone());
    let (aid, proof) = (aid.as_str(), proof.as_str());
    for _ in 0..2 {
        assert!(elsewhere.delete_jts_session(aid).await.unwrap());
        assert_eq!(here.get_jts_session(aid).await.unwrap(), None);
        assert!(!here.touch_jts_session(aid).await.unwrap());
        session.prn = format!("not-{}", session.prn.as_str()).parse().unwrap();
        let stored = StoredJtsSession::new(session.clone(), []);
        let record = Record::JtsSession(Box::new(stored));
        let placed = elsewhere.import_record(&record).await.unwrap();
        assert_eq!(placed, Placement::Added);
        let status = here.validate_state_proof(proof).await.unwrap();
        assert_eq!(status, StateProofStatus::Valid(Box::new(session.clone())));
        let found = here.get_jts_session(aid).await.unwrap();
        assert_eq!(found.as_ref(), Some(&session));
    }
    let rotated = here.rotate_state_proof(aid, proof).await.unwrap();
    assert_eq!(rotated.prn.as_str(), "not-not-alice");
    place.remove().await;
}
