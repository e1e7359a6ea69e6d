//! Operations on JTS sessions dropped half-way.

use store_core::{ErrorKind, Renewal, SessionPolicy, StateProofStatus};

use super::cancellation::dropped_after_each_poll;
use super::jts_lists::rotated_twice;
use super::jts_sessions;
use crate::cases::cases;
use crate::concurrency::{at_once, give_up_after};
use crate::expect::successes;
use crate::world::World;

cases!(cancelled_jts:
    of_creating_under_a_policy,
    of_rotating,
    of_renewing,
    of_revoking,
    of_touching_and_deleting;
    needing AtomicRevocation: of_deleting_a_crowd,
);

async fn of_creating_under_a_policy(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            for _ in 0..3 {
                jts_sessions::create(&w, store, n).await;
            }
            n
        },
        async |store, &n| {
            let new = w.make().jts_session(n);
            drop(
                store
                    .create_jts_session(new, SessionPolicy::Single)
                    .await
                    .unwrap(),
            );
        },
        async |store, &n| {
            let count = store
                .count_jts_sessions(w.make().principal(n).as_str())
                .await
                .unwrap();
            assert!([1, 3].contains(&count), "{count} sessions: half a policy");
        },
    )
    .await;
}

async fn of_rotating(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| jts_sessions::create(&w, store, n).await,
        async |store, session| {
            let seen = session.current_state_proof.as_str();
            drop(
                store
                    .rotate_state_proof(session.aid.as_str(), seen)
                    .await
                    .unwrap(),
            );
        },
        async |store, session| {
            let found = jts_sessions::get(store, session).await.unwrap();
            let rotated = found.state_proof_version == 2;
            assert_eq!(
                rotated,
                found.current_state_proof != session.current_state_proof
            );
            assert_eq!(rotated, found.rotation_timestamp.is_some());
            // Neither the old proof nor the new one is lost on the way.
            let old = session.current_state_proof.as_str();
            match store.renew_state_proof(old).await.unwrap() {
                Renewal::Rotated(now) | Renewal::Converged(now) => {
                    assert_eq!(now.state_proof_version, 2);
                    let status = store
                        .validate_state_proof(now.current_state_proof.as_str())
                        .await;
                    assert!(matches!(status.unwrap(), StateProofStatus::Valid(_)));
                }
                other => panic!("{other:?} after a rotation that was given up"),
            }
        },
    )
    .await;
}

async fn of_renewing(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| jts_sessions::create(&w, store, n).await,
        async |store, session| {
            let proof = session.current_state_proof.as_str();
            drop(store.renew_state_proof(proof).await.unwrap());
        },
        async |store, session| {
            // A tab that was closed while it renewed: the next one gets the session all the same.
            let proof = session.current_state_proof.as_str();
            match store.renew_state_proof(proof).await.unwrap() {
                Renewal::Rotated(now) | Renewal::Converged(now) => {
                    assert_eq!(now.state_proof_version, 2);
                }
                other => panic!("{other:?} after a renewal that was given up"),
            }
        },
    )
    .await;
}

async fn of_revoking(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, _| rotated_twice(&w, store).await,
        async |store, (_, proofs)| {
            let renewal = store.renew_state_proof(&proofs[0]).await.unwrap();
            assert!(
                matches!(renewal, Renewal::Compromised { .. }),
                "{renewal:?}"
            );
        },
        async |store, (session, proofs)| {
            let current = store.validate_state_proof(&proofs[2]).await.unwrap();
            let oldest = store.validate_state_proof(&proofs[0]).await.unwrap();
            // Read one after the other: it may be revoked in between, but never half.
            let revoked = oldest == StateProofStatus::Unknown;
            let lives = matches!(oldest, StateProofStatus::Compromised { .. });
            assert!(revoked || lives, "{oldest:?}");
            assert!(
                revoked || current != StateProofStatus::Unknown,
                "half revoked"
            );
            if revoked {
                assert_eq!(jts_sessions::get(store, session).await, None);
            }
        },
    )
    .await;
}

async fn of_touching_and_deleting(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| jts_sessions::create(&w, store, n).await,
        async |store, session| {
            let prn = session.prn.as_str();
            assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
            assert!(store.delete_oldest_jts_session(prn).await.unwrap());
            assert_eq!(store.delete_jts_sessions(prn).await.unwrap(), 0);
        },
        async |store, session| {
            if let Some(found) = jts_sessions::get(store, session).await {
                jts_sessions::same(Some(found), session);
            }
        },
    )
    .await;
}

async fn of_deleting_a_crowd(w: World) {
    const CROWD: usize = 120;
    let store = w.store().await;
    let prn = w.make().principal(1);
    for polls in (0..).map(|doublings| 1 << doublings) {
        let creating = (0..CROWD).map(|_| {
            let session = w.make().jts_session(1);
            let store = store.clone();
            async move {
                store
                    .create_jts_session(session, SessionPolicy::AllowAll)
                    .await
            }
        });
        let created = successes(at_once(creating).await, ErrorKind::Backend);
        assert_eq!(created, CROWD);
        let deleting = store.delete_jts_sessions(prn.as_str());
        if let Some(deleted) = give_up_after(polls, deleting).await {
            assert_eq!(deleted.unwrap(), CROWD as u64);
            return;
        }
        let left = store.count_jts_sessions(prn.as_str()).await.unwrap();
        assert!(
            [0, CROWD as u64].contains(&left),
            "{left} of {CROWD} are left"
        );
        store.delete_jts_sessions(prn.as_str()).await.unwrap();
    }
}
