//! Many who want a lock at the same moment, and waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use store_core::{
    ErrorKind, LockOutcome, LockToken, LoginSession, LoginSessionStoreExt, Result, Store,
};

use super::locks::{acquire, lock};
use super::login_sessions::{create, load};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, trues};
use crate::fixtures::object;
use crate::world::{World, ms, secs};

cases!(lock_races:
    one_of_many_at_the_same_moment_acquires,
    one_of_many_takes_over_at_the_same_moment,
    holders_never_overlap,
    five_workers_refresh_once,
    waits_until_it_is_released,
    gives_up_waiting_at_the_deadline,
    waiting_ends_when_superseded,
    waiting_ends_when_destroyed,
);

async fn attempt(store: Arc<dyn Store>, session: LoginSession) -> Result<bool> {
    let outcome = store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await?;
    match outcome {
        LockOutcome::Acquired { .. } => Ok(true),
        LockOutcome::Held { .. } => Ok(false),
        LockOutcome::Superseded { .. } => panic!("superseded though nobody wrote"),
    }
}

async fn one_of_many_at_the_same_moment_acquires(w: World) {
    let stores = w.stores(4).await;
    for round in 0..5 {
        let session = create(&w, &stores[0], round).await;
        let attempts = in_turn(&stores, 20).map(|store| attempt(store, session.clone()));
        assert_eq!(trues(at_once(attempts).await), 1);
    }
}

async fn one_of_many_takes_over_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    for _ in 0..5 {
        let attempts = in_turn(&stores, 20).map(|store| attempt(store, session.clone()));
        assert_eq!(trues(at_once(attempts).await), 1);
        w.advance(secs(10));
    }
}

async fn holders_never_overlap(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    let inside = Arc::new(AtomicU32::new(0));
    let workers = in_turn(&stores, 6).map(|store| {
        let (session, inside) = (session.clone(), Arc::clone(&inside));
        async move {
            for _ in 0..3 {
                let id = session.id.as_str();
                let outcome = store
                    .lock_login_session_within(id, "refresh-0", secs(20))
                    .await;
                let LockOutcome::Acquired { token, .. } = outcome.unwrap() else {
                    panic!("superseded though nobody wrote")
                };
                assert_eq!(
                    inside.fetch_add(1, Ordering::SeqCst),
                    0,
                    "two holders at once"
                );
                tokio::task::yield_now().await;
                assert_eq!(
                    inside.fetch_sub(1, Ordering::SeqCst),
                    1,
                    "two holders at once"
                );
                store.unlock_login_session(id, &token).await.unwrap();
            }
        }
    });
    at_once(workers).await;
}

async fn five_workers_refresh_once(w: World) {
    let stores = w.stores(5).await;
    let session = create(&w, &stores[0], 1).await;
    let workers = in_turn(&stores, 5).map(|store| {
        let id = session.id.clone();
        async move {
            let id = id.as_str();
            match store
                .lock_login_session_within(id, "refresh-0", secs(10))
                .await
                .unwrap()
            {
                LockOutcome::Acquired { token, .. } => {
                    // The authorization server takes a while.
                    tokio::time::sleep(ms(20)).await;
                    let refreshed = object(json!({"refresh_token": "refresh-1"}));
                    store
                        .set_login_properties(id, refreshed, Some(&token))
                        .await
                        .unwrap();
                    store.unlock_login_session(id, &token).await.unwrap();
                    true
                }
                LockOutcome::Superseded { session } => {
                    assert_eq!(session.data["refresh_token"], json!("refresh-1"));
                    false
                }
                LockOutcome::Held { .. } => panic!("the waiting form never tells that it is held"),
            }
        }
    });
    let refreshed = at_once(workers).await;
    assert_eq!(refreshed.iter().filter(|&&refreshed| refreshed).count(), 1);
    assert_eq!(load(&stores[0], &session).await.unwrap().version, 2);
}

/// Waits for a lock that is held, beside a call made a moment later.
async fn wait_beside(
    w: World,
    call: impl AsyncFnOnce(&Arc<dyn Store>, &LoginSession, &LockToken),
) -> Result<LockOutcome> {
    let stores = w.stores(2).await;
    let session = create(&w, &stores[0], 1).await;
    let (token, _, _) = acquire(&stores[0], &session).await;
    let waiting = stores[1].lock_login_session_within(session.id.as_str(), "refresh-0", secs(10));
    let calling = async {
        tokio::time::sleep(ms(60)).await;
        call(&stores[0], &session, &token).await;
    };
    tokio::join!(waiting, calling).0
}

async fn waits_until_it_is_released(w: World) {
    let outcome = wait_beside(w, async |store, session, token| {
        store
            .unlock_login_session(session.id.as_str(), token)
            .await
            .unwrap();
    });
    assert!(matches!(
        outcome.await.unwrap(),
        LockOutcome::Acquired { .. }
    ));
}

async fn gives_up_waiting_at_the_deadline(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (_, _, until) = acquire(&store, &session).await;
    for patience in [Duration::ZERO, ms(120)] {
        let started = Instant::now();
        let id = session.id.as_str();
        let result = store
            .lock_login_session_within(id, "refresh-0", patience)
            .await;
        let error = refused(result, ErrorKind::Locked);
        assert!(error.is_retryable(), "another attempt may succeed");
        assert!(started.elapsed() >= patience);
    }
    assert_eq!(
        lock(&store, &session, "refresh-0").await,
        LockOutcome::Held { until }
    );
}

async fn waiting_ends_when_superseded(w: World) {
    let outcome = wait_beside(w, async |store, session, token| {
        let refreshed = object(json!({"refresh_token": "refresh-1"}));
        let id = session.id.as_str();
        store
            .set_login_properties(id, refreshed, Some(token))
            .await
            .unwrap();
    });
    assert!(matches!(
        outcome.await.unwrap(),
        LockOutcome::Superseded { .. }
    ));
}

async fn waiting_ends_when_destroyed(w: World) {
    let outcome = wait_beside(w, async |store, session, _| {
        assert!(
            store
                .destroy_login_session(session.id.as_str())
                .await
                .unwrap()
        );
    });
    refused(outcome.await, ErrorKind::NotFound);
}
