//! What a state proof is worth, through its whole life.

use std::sync::Arc;

use store_core::{JtsErrorCode, JtsSession, StateProof, StateProofStatus, Store};

use super::jts_rotation::rotate;
use super::jts_sessions::{create, get, same};
use crate::cases::cases;
use crate::world::{World, ms, secs};

cases!(jts_validation:
    current_is_valid, unknown_is_unknown, malformed_is_unknown, previous_is_valid_within_grace,
    grace_ends_after_ten_seconds, grace_follows_the_settings, no_grace_when_it_is_zero,
    older_than_previous_is_compromised, every_retired_one_stays_compromised,
    compromised_names_the_session, a_clock_that_steps_back_never_widens_grace,
    grace_counts_from_the_last_rotation, validating_changes_nothing, expired_is_unknown, error_codes_are_those_of_jts,
    deleted_is_unknown, seen_by_other_stores,
);

async fn validate(store: &Arc<dyn Store>, proof: &StateProof) -> StateProofStatus {
    store.validate_state_proof(proof.as_str()).await.unwrap()
}

#[track_caller]
fn valid(status: StateProofStatus, expected: &JtsSession) {
    assert_eq!(status.error_code(), None);
    match status {
        StateProofStatus::Valid(session) => same(Some(*session), expected),
        other => panic!("{other:?} where it must be valid"),
    }
}

#[track_caller]
fn within_grace(status: StateProofStatus, expected: &JtsSession) {
    assert_eq!(status.error_code(), None);
    match status {
        StateProofStatus::ValidWithinGrace(session) => same(Some(*session), expected),
        other => panic!("{other:?} where it must be valid within grace"),
    }
}

#[track_caller]
fn compromised(status: StateProofStatus, expected: &JtsSession) {
    assert_eq!(status.error_code(), Some(JtsErrorCode::SessionCompromised));
    match status {
        StateProofStatus::Compromised { aid, prn } => {
            assert_eq!((aid, prn), (expected.aid.clone(), expected.prn.clone()));
        }
        other => panic!("{other:?} where it must be compromised"),
    }
}

#[track_caller]
fn unknown(status: StateProofStatus) {
    assert_eq!(status, StateProofStatus::Unknown);
    assert_eq!(status.error_code(), Some(JtsErrorCode::StateProofInvalid));
}

/// A session rotated so many times, and its former proofs, oldest first.
async fn rotated(w: &World, store: &Arc<dyn Store>, times: usize) -> (JtsSession, Vec<StateProof>) {
    let mut session = create(w, store, 1).await;
    let mut former = Vec::new();
    for _ in 0..times {
        former.push(session.current_state_proof.clone());
        session = rotate(store, &session).await;
    }
    (session, former)
}

async fn error_codes_are_those_of_jts(_: World) {
    let codes = [
        (JtsErrorCode::StateProofInvalid, "JTS-401-03"),
        (JtsErrorCode::SessionTerminated, "JTS-401-04"),
        (JtsErrorCode::SessionCompromised, "JTS-401-05"),
    ];
    for (code, spelt) in codes {
        assert_eq!((code.as_str(), code.to_string().as_str()), (spelt, spelt));
    }
}

async fn current_is_valid(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    for _ in 0..3 {
        valid(
            validate(&store, &session.current_state_proof).await,
            &session,
        );
        w.advance(secs(3600));
        valid(
            validate(&store, &session.current_state_proof).await,
            &session,
        );
        session = rotate(&store, &session).await;
    }
}

async fn unknown_is_unknown(w: World) {
    let store = w.store().await;
    create(&w, &store, 1).await;
    unknown(validate(&store, &StateProof::generate()).await);
}

async fn malformed_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 2).await;
    let proofs = [&former[0], &former[1], &session.current_state_proof];
    for proof in proofs {
        let proof = proof.as_str();
        let odd = [
            proof.to_uppercase(),
            proof.to_lowercase(),
            format!("{proof} "),
            format!(" {proof}"),
            format!("{proof}="),
            proof[..proof.len() - 1].to_owned(),
            proof[3..].to_owned(),
        ];
        for odd in odd {
            unknown(store.validate_state_proof(&odd).await.unwrap());
        }
    }
    for odd in [
        "",
        "sp_",
        "\0",
        "' OR 1=1 --",
        &"x".repeat(5_000),
        session.aid.as_str(),
    ] {
        unknown(store.validate_state_proof(odd).await.unwrap());
    }
}

async fn previous_is_valid_within_grace(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    within_grace(validate(&store, &former[0]).await, &session);
    valid(
        validate(&store, &session.current_state_proof).await,
        &session,
    );
}

async fn grace_ends_after_ten_seconds(w: World) {
    assert_eq!(
        w.settings().rotation_grace,
        secs(10),
        "the contract's default"
    );
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    w.advance(ms(9_999));
    within_grace(validate(&store, &former[0]).await, &session);
    w.advance(ms(1));
    compromised(validate(&store, &former[0]).await, &session);
    w.advance(secs(3600));
    compromised(validate(&store, &former[0]).await, &session);
    valid(
        validate(&store, &session.current_state_proof).await,
        &session,
    );
}

async fn grace_follows_the_settings(w: World) {
    let w = w.with(|settings| settings.rotation_grace = ms(1_500));
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    w.advance(ms(1_499));
    within_grace(validate(&store, &former[0]).await, &session);
    w.advance(ms(1));
    compromised(validate(&store, &former[0]).await, &session);
}

async fn no_grace_when_it_is_zero(w: World) {
    let w = w.with(|settings| settings.rotation_grace = ms(0));
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    compromised(validate(&store, &former[0]).await, &session);
}

async fn older_than_previous_is_compromised(w: World) {
    let store = w.store().await;
    // All rotations in the same millisecond: the first proof was retired less than the grace window
    // ago, but it is not the previous one.
    let (session, former) = rotated(&w, &store, 2).await;
    compromised(validate(&store, &former[0]).await, &session);
    within_grace(validate(&store, &former[1]).await, &session);
}

async fn every_retired_one_stays_compromised(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 6).await;
    let (previous, older) = former.split_last().unwrap();
    for proof in older {
        compromised(validate(&store, proof).await, &session);
    }
    within_grace(validate(&store, previous).await, &session);
    w.advance(secs(10));
    for proof in &former {
        compromised(validate(&store, proof).await, &session);
    }
    w.advance_to_just_before(session.expires_at);
    for proof in &former {
        compromised(validate(&store, proof).await, &session);
    }
    valid(
        validate(&store, &session.current_state_proof).await,
        &session,
    );
}

async fn compromised_names_the_session(w: World) {
    let store = w.store().await;
    let (first, former) = rotated(&w, &store, 2).await;
    let (second, other) = rotated(&w, &store, 2).await;
    compromised(validate(&store, &former[0]).await, &first);
    compromised(validate(&store, &other[0]).await, &second);
}

async fn a_clock_that_steps_back_never_widens_grace(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    w.rewind(secs(60));
    compromised(validate(&store, &former[0]).await, &session);
    valid(
        validate(&store, &session.current_state_proof).await,
        &session,
    );
    // Back at the time of the rotation, the window is where it was.
    w.advance(secs(60));
    within_grace(validate(&store, &former[0]).await, &session);
    w.advance(secs(10));
    compromised(validate(&store, &former[0]).await, &session);
}

async fn grace_counts_from_the_last_rotation(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    w.advance(secs(9));
    let again = rotate(&store, &session).await;
    compromised(validate(&store, &former[0]).await, &again);
    w.advance(ms(9_999));
    within_grace(validate(&store, &session.current_state_proof).await, &again);
    w.advance(ms(1));
    compromised(validate(&store, &session.current_state_proof).await, &again);
}

async fn validating_changes_nothing(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 2).await;
    w.advance(secs(5));
    for _ in 0..3 {
        valid(
            validate(&store, &session.current_state_proof).await,
            &session,
        );
        within_grace(validate(&store, &former[1]).await, &session);
        compromised(validate(&store, &former[0]).await, &session);
        same(get(&store, &session).await, &session);
    }
}

async fn expired_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 1).await;
    w.advance_to_just_before(session.expires_at);
    let session = rotate(&store, &session).await;
    within_grace(
        validate(&store, session.previous_state_proof.as_ref().unwrap()).await,
        &session,
    );
    w.advance_to(session.expires_at);
    unknown(validate(&store, &session.current_state_proof).await);
    unknown(validate(&store, session.previous_state_proof.as_ref().unwrap()).await);
    unknown(validate(&store, &former[0]).await);
}

async fn deleted_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = rotated(&w, &store, 2).await;
    let other = create(&w, &store, 1).await;
    assert!(
        store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    unknown(validate(&store, &session.current_state_proof).await);
    unknown(validate(&store, &former[1]).await);
    unknown(validate(&store, &former[0]).await);
    valid(validate(&store, &other.current_state_proof).await, &other);
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let (session, former) = rotated(&w, &stores[0], 2).await;
    valid(
        validate(&stores[1], &session.current_state_proof).await,
        &session,
    );
    within_grace(validate(&stores[1], &former[1]).await, &session);
    compromised(validate(&stores[1], &former[0]).await, &session);
    let session = rotate(&stores[1], &session).await;
    compromised(validate(&stores[0], &former[1]).await, &session);
}
