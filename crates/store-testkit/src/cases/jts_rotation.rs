//! Rotation: a compare-and-swap on the proof that the caller saw.

use std::sync::Arc;

use store_core::{ErrorKind, JtsSession, StateProof, Store};

use super::jts_sessions::{create, get, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::refused;
use crate::world::{World, secs};

cases!(jts_rotation:
    replaces_the_current_proof, returns_the_session_as_stored, leaves_everything_else,
    leaves_other_sessions, makes_a_new_proof_each_time, unknown_is_not_found, deleted_is_not_found,
    expired_is_not_found, from_another_proof_is_a_conflict, from_a_former_proof_is_a_conflict,
    works_until_just_before_the_session_expires, one_of_many_at_the_same_moment_wins,
    winners_at_the_same_moment_chain_without_gaps, beside_a_delete_never_resurrects,
    beside_a_touch_loses_nothing, seen_by_other_stores,
);

pub(super) async fn rotate(store: &Arc<dyn Store>, session: &JtsSession) -> JtsSession {
    let seen = session.current_state_proof.as_str();
    store
        .rotate_state_proof(session.aid.as_str(), seen)
        .await
        .unwrap()
}

async fn replaces_the_current_proof(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance(secs(60));
    let rotated = rotate(&store, &session).await;
    assert_ne!(rotated.current_state_proof, session.current_state_proof);
    assert_eq!(
        rotated.previous_state_proof,
        Some(session.current_state_proof)
    );
    assert_eq!(rotated.state_proof_version, 2);
    assert_eq!(rotated.rotation_timestamp, Some(w.now()));
}

async fn returns_the_session_as_stored(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    for version in 2..6 {
        w.advance(secs(1));
        session = rotate(&store, &session).await;
        assert_eq!(session.state_proof_version, version);
        same(get(&store, &session).await, &session);
    }
}

async fn leaves_everything_else(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance(secs(60));
    let rotated = rotate(&store, &session).await;
    let expected = JtsSession {
        current_state_proof: rotated.current_state_proof.clone(),
        previous_state_proof: Some(session.current_state_proof.clone()),
        state_proof_version: 2,
        rotation_timestamp: Some(w.now()),
        // To renew is to be active.
        last_active: w.now(),
        ..session
    };
    same(Some(rotated), &expected);
}

async fn leaves_other_sessions(w: World) {
    let store = w.store().await;
    let (session, same_user) = (create(&w, &store, 1).await, create(&w, &store, 1).await);
    let other_user = create(&w, &store, 2).await;
    rotate(&store, &session).await;
    same(get(&store, &same_user).await, &same_user);
    same(get(&store, &other_user).await, &other_user);
}

async fn makes_a_new_proof_each_time(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let mut seen = vec![session.current_state_proof.clone()];
    for _ in 0..10 {
        session = rotate(&store, &session).await;
        assert!(session.current_state_proof.as_str().starts_with("sp_"));
        assert_eq!(session.current_state_proof.as_str().len(), 67);
        assert!(!seen.contains(&session.current_state_proof));
        seen.push(session.current_state_proof.clone());
    }
}

async fn unknown_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let proof = session.current_state_proof.as_str();
    for aid in [
        store_core::Aid::generate().as_str(),
        "aid_",
        "",
        "\0",
        proof,
    ] {
        let result = store.rotate_state_proof(aid, proof).await;
        refused(result, ErrorKind::NotFound);
    }
    same(get(&store, &session).await, &session);
}

async fn deleted_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    assert!(
        store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    let seen = session.current_state_proof.as_str();
    let result = store.rotate_state_proof(session.aid.as_str(), seen).await;
    refused(result, ErrorKind::NotFound);
    assert_eq!(get(&store, &session).await, None);
}

async fn expired_is_not_found(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to(session.expires_at);
    let seen = session.current_state_proof.as_str();
    let result = store.rotate_state_proof(session.aid.as_str(), seen).await;
    refused(result, ErrorKind::NotFound);
    w.rewind(secs(1));
    if let Some(found) = get(&store, &session).await {
        same(Some(found), &session);
    }
}

async fn from_another_proof_is_a_conflict(w: World) {
    let store = w.store().await;
    let (session, other) = (create(&w, &store, 1).await, create(&w, &store, 1).await);
    let proof = session.current_state_proof.as_str();
    let upper = proof.to_uppercase();
    let padded = format!("{proof} ");
    let wrong = [
        StateProof::generate().as_str().to_owned(),
        other.current_state_proof.as_str().to_owned(),
        upper,
        padded,
        String::new(),
        "\0".to_owned(),
        "x".repeat(5_000),
    ];
    for seen in wrong {
        let result = store.rotate_state_proof(session.aid.as_str(), &seen).await;
        refused(result, ErrorKind::Conflict);
    }
    same(get(&store, &session).await, &session);
    same(get(&store, &other).await, &other);
}

async fn from_a_former_proof_is_a_conflict(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let mut former = Vec::new();
    for _ in 0..4 {
        former.push(session.current_state_proof.clone());
        session = rotate(&store, &session).await;
    }
    // The previous one too, though it is still within grace.
    for seen in former {
        let result = store
            .rotate_state_proof(session.aid.as_str(), seen.as_str())
            .await;
        refused(result, ErrorKind::Conflict);
        same(get(&store, &session).await, &session);
    }
}

async fn works_until_just_before_the_session_expires(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to_just_before(session.expires_at);
    let rotated = rotate(&store, &session).await;
    assert_eq!(
        rotated.expires_at, session.expires_at,
        "rotation does not prolong"
    );
    w.advance_to(session.expires_at);
    assert_eq!(get(&store, &session).await, None);
}

async fn one_of_many_at_the_same_moment_wins(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..5 {
        let session = create(&w, &stores[0], 1).await;
        let rotations = in_turn(&stores, 20).map(|store| {
            let session = session.clone();
            async move {
                let seen = session.current_state_proof.as_str();
                store.rotate_state_proof(session.aid.as_str(), seen).await
            }
        });
        let mut rotated = Vec::new();
        for result in at_once(rotations).await {
            match result {
                Ok(session) => rotated.push(session),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        let [winner] = &rotated[..] else {
            panic!("{} rotations from the same proof succeeded", rotated.len())
        };
        assert_eq!(winner.state_proof_version, 2);
        same(get(&stores[0], &session).await, winner);
    }
}

async fn winners_at_the_same_moment_chain_without_gaps(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    // Each rotates from what it reads, until it has succeeded five times.
    let workers = in_turn(&stores, 4).map(|store| {
        let session = session.clone();
        async move {
            let mut mine = Vec::new();
            while mine.len() < 5 {
                let seen = get(&store, &session).await.unwrap();
                let proof = seen.current_state_proof.as_str();
                match store.rotate_state_proof(seen.aid.as_str(), proof).await {
                    Ok(rotated) => {
                        assert_eq!(rotated.state_proof_version, seen.state_proof_version + 1);
                        assert_eq!(rotated.previous_state_proof, Some(seen.current_state_proof));
                        mine.push(rotated.state_proof_version);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
            mine
        }
    });
    let mut versions: Vec<u32> = at_once(workers).await.into_iter().flatten().collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..22).collect::<Vec<_>>());
}

async fn beside_a_delete_never_resurrects(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..8 {
        let session = create(&w, &stores[0], 1).await;
        let calls = in_turn(&stores, 6).enumerate().map(|(n, store)| {
            let session = session.clone();
            async move {
                let (aid, seen) = (session.aid.as_str(), session.current_state_proof.as_str());
                if n == 3 {
                    assert!(store.delete_jts_session(aid).await.unwrap());
                } else if let Err(error) = store.rotate_state_proof(aid, seen).await {
                    let allowed = [ErrorKind::NotFound, ErrorKind::Conflict];
                    assert!(allowed.contains(&error.kind()), "{error}");
                }
            }
        });
        at_once(calls).await;
        assert_eq!(get(&stores[0], &session).await, None);
    }
}

async fn beside_a_touch_loses_nothing(w: World) {
    let stores = w.stores(2).await;
    for _ in 0..10 {
        let session = create(&w, &stores[0], 1).await;
        w.advance(secs(1));
        let calls = in_turn(&stores, 2).enumerate().map(|(n, store)| {
            let session = session.clone();
            async move {
                if n == 0 {
                    rotate(&store, &session).await;
                } else {
                    assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
                }
            }
        });
        at_once(calls).await;
        let found = get(&stores[0], &session).await.unwrap();
        assert_eq!((found.state_proof_version, found.last_active), (2, w.now()));
        assert_eq!(
            found.previous_state_proof,
            Some(session.current_state_proof)
        );
    }
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let session = create(&w, &stores[0], 1).await;
    let rotated = rotate(&stores[0], &session).await;
    same(get(&stores[1], &session).await, &rotated);
    let again = rotate(&stores[1], &rotated).await;
    same(get(&stores[0], &session).await, &again);
}
