//! Deleting what has expired: all of it, nothing else, in bounded batches.

use std::sync::Arc;
use std::time::Duration;

use store_core::{
    CleanupKind, CleanupOptions, CleanupReport, CleanupStoreExt, ErrorKind, NewJtsSession,
    SessionPolicy, Store,
};

use super::jts_lists::rotated_twice;
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, trues};
use crate::fixtures::text;
use crate::world::{World, ms, secs};

cases!(cleanup:
    deletes_what_expired_and_counts_it, nothing_to_do_is_finished, leaves_what_lives,
    leaves_other_kinds, deletes_up_to_the_limit, deletes_those_that_expired_first,
    a_limit_of_zero_deletes_nothing, tells_its_progress_after_each_batch, stops_when_the_budget_is_over,
    goes_on_where_it_stopped, keeps_consumed_nonces_until_they_expire, takes_all_proofs_along,
    concurrent_cleanups_count_each_row_once, never_deletes_what_was_created_again,
    goes_on_beside_writers,
);

/// Adds the row of a kind with this number, to live so long.
async fn add(w: &World, store: &Arc<dyn Store>, kind: CleanupKind, n: u64, lifetime: Duration) {
    let make = w.make();
    match kind {
        CleanupKind::Nonces => store
            .store_nonce(&make.nonce(n), Some(lifetime))
            .await
            .unwrap(),
        CleanupKind::Sessions => {
            let session = make.lti_session(n);
            store
                .add_lti_session(&session, Some(lifetime))
                .await
                .map(drop)
                .unwrap();
        }
        CleanupKind::RegistrationSessions => {
            let session = make.registration(n, w.after(lifetime));
            store
                .set_registration_session(make.uuid(n), &session)
                .await
                .unwrap();
        }
        CleanupKind::JtsSessions => {
            let new = NewJtsSession {
                prn: text(format!("owner-{n}")),
                lifetime: Some(lifetime),
                ..make.jts_session(n)
            };
            store
                .create_jts_session(new, SessionPolicy::AllowAll)
                .await
                .map(drop)
                .unwrap();
        }
        CleanupKind::LoginSessions => {
            let (id, data) = (make.login_id(n), make.login_data());
            store
                .create_login_session(&id, data, lifetime)
                .await
                .map(drop)
                .unwrap();
        }
    }
}

/// Whether the row of a kind with this number lives. Consumes it if it is a nonce.
async fn lives(w: &World, store: &Arc<dyn Store>, kind: CleanupKind, n: u64) -> bool {
    let make = w.make();
    let uuid = make.uuid(n).to_string();
    match kind {
        CleanupKind::Nonces => store.consume_nonce(make.nonce(n).as_str()).await.unwrap(),
        CleanupKind::Sessions => store.get_lti_session(&uuid).await.unwrap().is_some(),
        CleanupKind::RegistrationSessions => store
            .get_registration_session(&uuid)
            .await
            .unwrap()
            .is_some(),
        CleanupKind::JtsSessions => {
            store
                .count_jts_sessions(&format!("owner-{n}"))
                .await
                .unwrap()
                == 1
        }
        CleanupKind::LoginSessions => {
            let id = make.login_id(n);
            store
                .load_login_session(id.as_str())
                .await
                .unwrap()
                .is_some()
        }
    }
}

async fn clean(store: &Arc<dyn Store>, options: CleanupOptions) -> CleanupReport {
    store.cleanup(&options, &mut |_| ()).await.unwrap()
}

async fn deletes_what_expired_and_counts_it(w: World) {
    let store = w.store().await;
    for (more, kind) in CleanupKind::ALL.into_iter().enumerate() {
        for n in 0..=more as u64 {
            add(&w, &store, kind, n, secs(5)).await;
        }
        add(&w, &store, kind, 100, secs(6)).await;
    }
    w.advance(secs(5));
    let report = clean(&store, CleanupOptions::default()).await;
    assert!(report.finished);
    for (more, kind) in CleanupKind::ALL.into_iter().enumerate() {
        assert_eq!(report.deleted[&kind], more as u64 + 1, "{kind}");
        assert!(lives(&w, &store, kind, 100).await, "{kind}");
    }
    assert_eq!(report.total(), 15);
}

async fn nothing_to_do_is_finished(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        assert_eq!(store.delete_expired(kind, 10).await.unwrap(), 0);
        add(&w, &store, kind, 1, secs(5)).await;
    }
    let report = clean(&store, CleanupOptions::default()).await;
    assert!(report.finished);
    assert_eq!((report.deleted.len(), report.total()), (5, 0));
}

async fn leaves_what_lives(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        add(&w, &store, kind, 1, secs(5)).await;
    }
    w.advance(secs(5) - ms(1));
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 0);
    for kind in CleanupKind::ALL {
        assert!(lives(&w, &store, kind, 1).await, "{kind}");
    }
    w.advance(ms(1));
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 5);
}

async fn leaves_other_kinds(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        add(&w, &store, kind, 1, secs(5)).await;
    }
    w.advance(secs(5));
    let kinds = vec![CleanupKind::LoginSessions, CleanupKind::Nonces];
    let report = clean(
        &store,
        CleanupOptions {
            kinds,
            ..CleanupOptions::default()
        },
    )
    .await;
    let deleted: Vec<_> = report.deleted.into_iter().collect();
    assert_eq!(
        deleted,
        [(CleanupKind::Nonces, 1), (CleanupKind::LoginSessions, 1)]
    );
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 3);
}

async fn deletes_up_to_the_limit(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        for n in 0..7 {
            add(&w, &store, kind, n, secs(5)).await;
        }
    }
    w.advance(secs(5));
    for kind in CleanupKind::ALL {
        let mut deleted = Vec::new();
        for _ in 0..4 {
            deleted.push(store.delete_expired(kind, 3).await.unwrap());
        }
        assert_eq!(deleted, [3, 3, 1, 0], "{kind}");
    }
}

async fn deletes_those_that_expired_first(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        // Added in another order than they expire in.
        for n in [3, 0, 4, 1, 5, 2] {
            add(&w, &store, kind, n, secs(10 + n)).await;
        }
    }
    w.advance(secs(60));
    for kind in CleanupKind::ALL {
        assert_eq!(store.delete_expired(kind, 3).await.unwrap(), 3);
    }
    // To see what is left, the clock steps back to when all of it lived.
    w.rewind(secs(60));
    for kind in CleanupKind::ALL {
        let mut living = Vec::new();
        for n in 0..6 {
            living.push(lives(&w, &store, kind, n).await);
        }
        assert_eq!(living, [false, false, false, true, true, true], "{kind}");
    }
}

async fn a_limit_of_zero_deletes_nothing(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        add(&w, &store, kind, 1, secs(5)).await;
    }
    w.advance(secs(5));
    for kind in CleanupKind::ALL {
        assert_eq!(store.delete_expired(kind, 0).await.unwrap(), 0);
        assert_eq!(store.delete_expired(kind, u32::MAX).await.unwrap(), 1);
    }
}

async fn tells_its_progress_after_each_batch(w: World) {
    let store = w.store().await;
    for n in 0..10 {
        add(&w, &store, CleanupKind::Nonces, n, secs(5)).await;
    }
    w.advance(secs(5));
    let options = CleanupOptions {
        kinds: vec![CleanupKind::Nonces],
        batch: 3,
        ..CleanupOptions::default()
    };
    let mut told = Vec::new();
    let report = store
        .cleanup(&options, &mut |report| told.push(report.total()))
        .await;
    assert_eq!(told, [3, 6, 9, 10]);
    assert_eq!(report.unwrap().total(), 10);
}

async fn stops_when_the_budget_is_over(w: World) {
    let store = w.store().await;
    add(&w, &store, CleanupKind::Nonces, 1, secs(5)).await;
    w.advance(secs(5));
    let budget = Some(Duration::ZERO);
    let report = clean(
        &store,
        CleanupOptions {
            budget,
            ..CleanupOptions::default()
        },
    )
    .await;
    assert!(!report.finished);
    assert_eq!(report.total(), 0);
    let report = clean(&store, CleanupOptions::default()).await;
    assert!(report.finished);
    assert_eq!(report.total(), 1);
}

async fn goes_on_where_it_stopped(w: World) {
    let store = w.store().await;
    for kind in CleanupKind::ALL {
        for n in 0..4 {
            add(&w, &store, kind, n, secs(5)).await;
        }
    }
    w.advance(secs(5));
    let options = CleanupOptions {
        batch: 1,
        pause: ms(4),
        budget: Some(ms(12)),
        ..CleanupOptions::default()
    };
    let (mut deleted, mut finished) = (0, false);
    for _ in 0..1_000 {
        let report = clean(&store, options.clone()).await;
        deleted += report.total();
        finished = report.finished;
        if finished {
            break;
        }
    }
    assert_eq!((deleted, finished), (20, true));
}

async fn keeps_consumed_nonces_until_they_expire(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, Some(secs(5))).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    w.advance(secs(5) - ms(1));
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 0);
    refused(
        store.store_nonce(&nonce, None).await,
        ErrorKind::AlreadyExists,
    );
    w.advance(ms(1));
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 1);
}

async fn takes_all_proofs_along(w: World) {
    let store = w.store().await;
    let (session, proofs) = rotated_twice(&w, &store).await;
    w.advance_to(session.expires_at);
    assert_eq!(clean(&store, CleanupOptions::default()).await.total(), 1);
    // Nothing of it is left even for a clock by which it would still live.
    w.rewind(secs(60));
    for proof in proofs {
        let status = store.validate_state_proof(&proof).await.unwrap();
        assert_eq!(status, store_core::StateProofStatus::Unknown);
    }
}

async fn concurrent_cleanups_count_each_row_once(w: World) {
    let stores = w.stores(4).await;
    for kind in CleanupKind::ALL {
        for n in 0..30 {
            add(&w, &stores[0], kind, n, secs(5)).await;
        }
        add(&w, &stores[0], kind, 100, secs(6)).await;
    }
    w.advance(secs(5));
    let cleanups = in_turn(&stores, 6).map(|store| async move {
        let options = CleanupOptions {
            batch: 7,
            ..CleanupOptions::default()
        };
        clean(&store, options).await.total()
    });
    let deleted: u64 = at_once(cleanups).await.iter().sum();
    let left = clean(&stores[0], CleanupOptions::default()).await.total();
    assert_eq!(deleted + left, 150);
    for kind in CleanupKind::ALL {
        assert!(lives(&w, &stores[0], kind, 100).await, "{kind}");
    }
}

async fn never_deletes_what_was_created_again(w: World) {
    let stores = w.stores(4).await;
    let replaceable = [
        CleanupKind::Nonces,
        CleanupKind::Sessions,
        CleanupKind::RegistrationSessions,
        CleanupKind::LoginSessions,
    ];
    for round in 0..5 {
        for kind in replaceable {
            add(&w, &stores[0], kind, round, secs(5)).await;
        }
        w.advance(secs(5));
        let calls = in_turn(&stores, 8).enumerate().map(|(n, store)| {
            let w = w.clone();
            async move {
                let kind = replaceable[n % 4];
                if n < 4 {
                    add(&w, &store, kind, round, secs(5)).await;
                } else {
                    store.delete_expired(kind, 10).await.unwrap();
                }
            }
        });
        at_once(calls).await;
        for kind in replaceable {
            assert!(
                lives(&w, &stores[0], kind, round).await,
                "{kind} in round {round}"
            );
        }
        w.advance(secs(5));
    }
}

async fn goes_on_beside_writers(w: World) {
    let stores = w.stores(4).await;
    for kind in CleanupKind::ALL {
        for n in 0..20 {
            add(&w, &stores[0], kind, n, secs(5)).await;
        }
    }
    w.advance(secs(5));
    let calls = in_turn(&stores, 12).enumerate().map(|(n, store)| {
        let w = w.clone();
        async move {
            if n % 4 == 0 {
                let options = CleanupOptions {
                    batch: 2,
                    ..CleanupOptions::default()
                };
                return clean(&store, options).await.finished;
            }
            for kind in CleanupKind::ALL {
                add(&w, &store, kind, 100 + n as u64, secs(60)).await;
            }
            true
        }
    });
    assert_eq!(trues(at_once(calls).await.into_iter().map(Ok)), 12);
    for kind in CleanupKind::ALL {
        for n in (100..112).filter(|n| n % 4 != 0) {
            assert!(lives(&w, &stores[0], kind, n).await, "{kind} {n}");
        }
    }
}
