//! Renewal: validating and rotating in one step, so that tabs converge and thieves are found out.

use std::sync::Arc;
use std::time::Duration;

use store_core::{
    Clock, ErrorKind, JtsErrorCode, JtsSession, MAX_CLOCK_SKEW, NewJtsSession, Renewal,
    SessionPolicy, StateProof, StateProofStatus, Store, SystemClock, Timestamp,
};

use super::jts_rotation::rotate;
use super::jts_sessions::{create, get, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::refused;
use crate::fixtures::text;
use crate::world::{World, ms, secs};

cases!(jts_renewal:
    current_proof_rotates, previous_proof_converges_within_grace, converging_rotates_nothing,
    chains_for_as_long_as_it_is_used, retired_proof_revokes_the_session,
    older_proof_revokes_even_within_ten_seconds, every_older_proof_revokes,
    a_clock_that_steps_back_revokes, nothing_is_left_after_a_revocation,
    revocation_leaves_other_sessions, unknown_is_unknown, malformed_is_unknown, expired_is_unknown,
    deleted_is_unknown, expired_replay_revokes_nothing_else,
    parallel_renewals_converge, parallel_renewals_converge_on_the_systems_clock,
    parallel_replays_revoke_once, renewals_beside_rotations_agree, beside_a_delete_never_resurrects,
    thief_and_victim_never_both_keep_the_session,
    clocks_that_differ_a_little_converge, clocks_that_differ_too_much_do_not,
);

async fn renew(store: &Arc<dyn Store>, proof: &StateProof) -> Renewal {
    store.renew_state_proof(proof.as_str()).await.unwrap()
}

#[track_caller]
fn rotated(renewal: Renewal) -> JtsSession {
    assert_eq!(renewal.error_code(), None);
    match renewal {
        Renewal::Rotated(session) => *session,
        other => panic!("{other:?} where it must be rotated"),
    }
}

#[track_caller]
fn converged(renewal: Renewal, expected: &JtsSession) {
    assert_eq!(renewal.error_code(), None);
    match renewal {
        Renewal::Converged(session) => same(Some(*session), expected),
        other => panic!("{other:?} where it must be converged"),
    }
}

#[track_caller]
fn compromised(renewal: Renewal, expected: &JtsSession) {
    assert_eq!(renewal.error_code(), Some(JtsErrorCode::SessionCompromised));
    match renewal {
        Renewal::Compromised { aid, prn } => {
            assert_eq!((aid, prn), (expected.aid.clone(), expected.prn.clone()));
        }
        other => panic!("{other:?} where it must be compromised"),
    }
}

#[track_caller]
fn unknown(renewal: Renewal) {
    assert_eq!(renewal, Renewal::Unknown);
    assert_eq!(renewal.error_code(), Some(JtsErrorCode::StateProofInvalid));
}

/// A session renewed so many times, and its former proofs, oldest first.
async fn renewed(w: &World, store: &Arc<dyn Store>, times: usize) -> (JtsSession, Vec<StateProof>) {
    let mut session = create(w, store, 1).await;
    let mut former = Vec::new();
    for _ in 0..times {
        former.push(session.current_state_proof.clone());
        session = rotated(renew(store, &session.current_state_proof).await);
    }
    (session, former)
}

async fn current_proof_rotates(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance(secs(60));
    let renewed = rotated(renew(&store, &session.current_state_proof).await);
    let expected = JtsSession {
        current_state_proof: renewed.current_state_proof.clone(),
        previous_state_proof: Some(session.current_state_proof.clone()),
        state_proof_version: 2,
        rotation_timestamp: Some(w.now()),
        last_active: w.now(),
        ..session.clone()
    };
    assert_ne!(renewed.current_state_proof, session.current_state_proof);
    same(Some(renewed), &expected);
    same(get(&store, &session).await, &expected);
}

async fn previous_proof_converges_within_grace(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 1).await;
    converged(renew(&store, &former[0]).await, &session);
    w.advance(ms(9_999));
    converged(renew(&store, &former[0]).await, &session);
    w.advance(ms(1));
    compromised(renew(&store, &former[0]).await, &session);
}

async fn converging_rotates_nothing(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 1).await;
    for _ in 0..5 {
        w.advance(secs(1));
        converged(renew(&store, &former[0]).await, &session);
        same(get(&store, &session).await, &session);
    }
    // The window did not move with them.
    w.advance(secs(5));
    compromised(renew(&store, &former[0]).await, &session);
}

async fn chains_for_as_long_as_it_is_used(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    for version in 2..40 {
        w.advance(secs(60));
        let renewed = rotated(renew(&store, &session.current_state_proof).await);
        assert_eq!(renewed.state_proof_version, version);
        converged(renew(&store, &session.current_state_proof).await, &renewed);
        session = renewed;
    }
}

async fn retired_proof_revokes_the_session(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 1).await;
    w.advance(secs(10));
    compromised(renew(&store, &former[0]).await, &session);
    assert_eq!(get(&store, &session).await, None);
    unknown(renew(&store, &session.current_state_proof).await);
}

async fn older_proof_revokes_even_within_ten_seconds(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 2).await;
    compromised(renew(&store, &former[0]).await, &session);
    assert_eq!(get(&store, &session).await, None);
}

async fn every_older_proof_revokes(w: World) {
    let store = w.store().await;
    for n in 0..5 {
        let (session, former) = renewed(&w, &store, 6).await;
        compromised(renew(&store, &former[n]).await, &session);
        assert_eq!(
            get(&store, &session).await,
            None,
            "the one {n} from the start"
        );
    }
}

async fn a_clock_that_steps_back_revokes(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 1).await;
    w.rewind(secs(60));
    compromised(renew(&store, &former[0]).await, &session);
    assert_eq!(get(&store, &session).await, None);
}

async fn nothing_is_left_after_a_revocation(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 4).await;
    let (aid, prn) = (session.aid.as_str(), session.prn.as_str());
    compromised(renew(&store, &former[1]).await, &session);
    assert_eq!(get(&store, &session).await, None);
    assert_eq!(store.list_jts_sessions(prn).await.unwrap(), []);
    assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 0);
    assert!(!store.touch_jts_session(aid).await.unwrap());
    assert!(!store.delete_jts_session(aid).await.unwrap());
    for proof in former.iter().chain([&session.current_state_proof]) {
        unknown(renew(&store, proof).await);
        let status = store.validate_state_proof(proof.as_str()).await.unwrap();
        assert_eq!(status, StateProofStatus::Unknown);
        let result = store.rotate_state_proof(aid, proof.as_str()).await;
        refused(result, ErrorKind::NotFound);
    }
}

async fn revocation_leaves_other_sessions(w: World) {
    let store = w.store().await;
    let (same_user, other_user) = (create(&w, &store, 1).await, create(&w, &store, 2).await);
    let (session, former) = renewed(&w, &store, 2).await;
    compromised(renew(&store, &former[0]).await, &session);
    same(get(&store, &same_user).await, &same_user);
    same(get(&store, &other_user).await, &other_user);
}

async fn unknown_is_unknown(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    unknown(renew(&store, &StateProof::generate()).await);
    same(get(&store, &session).await, &session);
}

async fn malformed_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 2).await;
    for proof in [&former[0], &former[1], &session.current_state_proof] {
        let proof = proof.as_str();
        for odd in [
            proof.to_uppercase(),
            format!("{proof} "),
            proof[3..].to_owned(),
        ] {
            unknown(store.renew_state_proof(&odd).await.unwrap());
        }
    }
    for odd in [
        "",
        "\0",
        "' OR 1=1 --",
        &"x".repeat(5_000),
        session.aid.as_str(),
    ] {
        unknown(store.renew_state_proof(odd).await.unwrap());
    }
    same(get(&store, &session).await, &session);
}

async fn expired_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 2).await;
    w.advance_to(session.expires_at);
    for proof in former.iter().chain([&session.current_state_proof]) {
        unknown(renew(&store, proof).await);
    }
    assert_eq!(get(&store, &session).await, None);
}

async fn deleted_is_unknown(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 2).await;
    assert!(
        store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    for proof in former.iter().chain([&session.current_state_proof]) {
        unknown(renew(&store, proof).await);
    }
    assert_eq!(get(&store, &session).await, None);
}

async fn expired_replay_revokes_nothing_else(w: World) {
    let store = w.store().await;
    let (session, former) = renewed(&w, &store, 2).await;
    w.advance_to(session.expires_at);
    let live = create(&w, &store, 1).await;
    unknown(renew(&store, &former[0]).await);
    same(get(&store, &live).await, &live);
}

/// Renews from the same proof 20 times at the same moment and returns the one session they agree on.
async fn twenty_agree(stores: &[Arc<dyn Store>], proof: &StateProof) -> JtsSession {
    let renewals = in_turn(stores, 20).map(|store| {
        let proof = proof.clone();
        async move { renew(&store, &proof).await }
    });
    let mut rotations = Vec::new();
    let mut convergences = Vec::new();
    for renewal in at_once(renewals).await {
        match renewal {
            Renewal::Rotated(session) => rotations.push(*session),
            Renewal::Converged(session) => convergences.push(*session),
            other => panic!("{other:?} for one of the parallel tabs"),
        }
    }
    assert_eq!((rotations.len(), convergences.len()), (1, 19));
    let session = rotations.remove(0);
    for other in convergences {
        same(Some(other), &session);
    }
    session
}

async fn parallel_renewals_converge(w: World) {
    let stores = w.stores(4).await;
    let mut session = create(&w, &stores[0], 1).await;
    for version in 2..7 {
        w.advance(secs(60));
        let renewed = twenty_agree(&stores, &session.current_state_proof).await;
        assert_eq!(renewed.state_proof_version, version);
        same(get(&stores[0], &session).await, &renewed);
        session = renewed;
    }
}

async fn parallel_renewals_converge_on_the_systems_clock(w: World) {
    let w = w.with(|settings| settings.clock = Arc::new(SystemClock));
    let stores = w.stores(4).await;
    let mut session = create(&w, &stores[0], 1).await;
    for _ in 0..5 {
        session = twenty_agree(&stores, &session.current_state_proof).await;
    }
    assert_eq!(session.state_proof_version, 6);
}

async fn parallel_replays_revoke_once(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..4 {
        let (session, former) = renewed(&w, &stores[0], 3).await;
        let replays = in_turn(&stores, 20).map(|store| {
            let proof = former[0].clone();
            async move { renew(&store, &proof).await }
        });
        let mut revocations = 0;
        for renewal in at_once(replays).await {
            match renewal {
                Renewal::Unknown => {}
                other => {
                    compromised(other, &session);
                    revocations += 1;
                }
            }
        }
        assert_eq!(revocations, 1);
        assert_eq!(get(&stores[0], &session).await, None);
    }
}

async fn renewals_beside_rotations_agree(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..6 {
        let session = create(&w, &stores[0], 1).await;
        let calls = in_turn(&stores, 12).enumerate().map(|(n, store)| {
            let session = session.clone();
            async move {
                let proof = &session.current_state_proof;
                if n % 2 == 0 {
                    match renew(&store, proof).await {
                        Renewal::Rotated(session) | Renewal::Converged(session) => Some(*session),
                        other => panic!("{other:?} for one of the parallel tabs"),
                    }
                } else {
                    let aid = session.aid.as_str();
                    match store.rotate_state_proof(aid, proof.as_str()).await {
                        Ok(session) => Some(session),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                            None
                        }
                    }
                }
            }
        });
        let stored = {
            let results = at_once(calls).await;
            let stored = get(&stores[0], &session).await.unwrap();
            for session in results.into_iter().flatten() {
                same(Some(session), &stored);
            }
            stored
        };
        assert_eq!(stored.state_proof_version, 2);
    }
}

async fn beside_a_delete_never_resurrects(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..8 {
        let session = create(&w, &stores[0], 1).await;
        let calls = in_turn(&stores, 6).enumerate().map(|(n, store)| {
            let session = session.clone();
            async move {
                if n == 3 {
                    assert!(
                        store
                            .delete_jts_session(session.aid.as_str())
                            .await
                            .unwrap()
                    );
                } else {
                    let renewal = renew(&store, &session.current_state_proof).await;
                    assert!(
                        !matches!(renewal, Renewal::Compromised { .. }),
                        "{renewal:?}"
                    );
                }
            }
        });
        at_once(calls).await;
        assert_eq!(get(&stores[0], &session).await, None);
    }
}

async fn thief_and_victim_never_both_keep_the_session(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    // The thief renews first, and again and again; the victim comes back a minute later with the
    // proof it last had.
    let stolen = rotated(renew(&store, &session.current_state_proof).await);
    w.advance(secs(30));
    let stolen = rotated(renew(&store, &stolen.current_state_proof).await);
    w.advance(secs(30));
    compromised(renew(&store, &session.current_state_proof).await, &session);
    unknown(renew(&store, &stolen.current_state_proof).await);
    let own = create(&w, &store, 1).await;
    rotate(&store, &own).await;
}

/// The system's clock of a server that is so far ahead of the others.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.checked_add(self.0)
            .expect("now is before the year 9999")
    }
}

/// Renews on a server whose clock is ahead, and then with the same proof on one that is not.
async fn renew_behind(w: World, ahead: Duration) -> (JtsSession, Renewal) {
    let here = w
        .clone()
        .with(|settings| settings.clock = Arc::new(SystemClock));
    let there = w.with(|settings| settings.clock = Arc::new(Ahead(ahead)));
    let (here, there) = (here.store().await, there.store().await);
    let new = NewJtsSession::of(text("somebody"));
    let session = here
        .create_jts_session(new, SessionPolicy::AllowAll)
        .await
        .unwrap()
        .session;
    let renewed = rotated(renew(&there, &session.current_state_proof).await);
    (renewed, renew(&here, &session.current_state_proof).await)
}

async fn clocks_that_differ_a_little_converge(w: World) {
    let (renewed, renewal) = renew_behind(w, MAX_CLOCK_SKEW / 2).await;
    converged(renewal, &renewed);
}

async fn clocks_that_differ_too_much_do_not(w: World) {
    let (renewed, renewal) = renew_behind(w, secs(60)).await;
    compromised(renewal, &renewed);
}
