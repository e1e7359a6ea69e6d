//! JTS sessions of a principal: listed, counted and deleted.

use std::sync::Arc;

use store_core::{ErrorKind, JtsSession, Renewal, SessionPolicy, StateProofStatus, Store};

use super::jts_sessions::{aids, create, get, living, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, trues};
use crate::world::{World, ms, secs};

cases!(jts_lists:
    delete_tells_whether_a_live_one_existed, delete_of_an_expired_one_tells_false,
    deleted_ones_are_nowhere, expired_ones_are_nowhere, delete_all_counts_the_live_ones,
    listed_by_last_activity, listed_by_anchor_id_when_equally_active, oldest_is_the_first_created,
    oldest_by_anchor_id_when_created_at_once, oldest_is_never_an_expired_one,
    concurrent_deletes_of_the_oldest_delete_one_each, concurrent_deletes_count_each_once,
);

/// Checks that nothing finds a session any more.
async fn gone(store: &Arc<dyn Store>, session: &JtsSession, proofs: &[String]) {
    let (aid, prn) = (session.aid.as_str(), session.prn.as_str());
    assert_eq!(get(store, session).await, None);
    assert_eq!(aids(store, prn).await, [""; 0]);
    assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 0);
    assert!(!store.touch_jts_session(aid).await.unwrap());
    for proof in proofs {
        let status = store.validate_state_proof(proof).await.unwrap();
        assert_eq!(status, StateProofStatus::Unknown);
        let renewal = store.renew_state_proof(proof).await.unwrap();
        assert_eq!(renewal, Renewal::Unknown);
        refused(
            store.rotate_state_proof(aid, proof).await,
            ErrorKind::NotFound,
        );
    }
    assert!(!store.delete_jts_session(aid).await.unwrap());
    assert!(!store.delete_oldest_jts_session(prn).await.unwrap());
    assert_eq!(store.delete_jts_sessions(prn).await.unwrap(), 0);
    assert_eq!(get(store, session).await, None);
}

/// A session and all the proofs it had: one retired, the previous and the current.
pub(super) async fn rotated_twice(w: &World, store: &Arc<dyn Store>) -> (JtsSession, Vec<String>) {
    let mut session = create(w, store, 1).await;
    let mut proofs = vec![session.current_state_proof.as_str().to_owned()];
    for _ in 0..2 {
        let seen = session.current_state_proof.as_str();
        session = store
            .rotate_state_proof(session.aid.as_str(), seen)
            .await
            .unwrap();
        proofs.push(session.current_state_proof.as_str().to_owned());
    }
    (session, proofs)
}

async fn deleted_ones_are_nowhere(w: World) {
    let store = w.store().await;
    let (session, proofs) = rotated_twice(&w, &store).await;
    assert!(
        store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
    gone(&store, &session, &proofs).await;
    let (session, proofs) = rotated_twice(&w, &store).await;
    assert_eq!(
        store
            .delete_jts_sessions(session.prn.as_str())
            .await
            .unwrap(),
        1
    );
    gone(&store, &session, &proofs).await;
    let (session, proofs) = rotated_twice(&w, &store).await;
    assert!(
        store
            .delete_oldest_jts_session(session.prn.as_str())
            .await
            .unwrap()
    );
    gone(&store, &session, &proofs).await;
}

async fn expired_ones_are_nowhere(w: World) {
    let store = w.store().await;
    let (session, proofs) = rotated_twice(&w, &store).await;
    w.advance_to(session.expires_at);
    gone(&store, &session, &proofs).await;
}

async fn delete_all_counts_the_live_ones(w: World) {
    let store = w.store().await;
    let policy = SessionPolicy::AllowAll;
    for _ in 0..2 {
        let short = living(w.make().jts_session(1), secs(5));
        store.create_jts_session(short, policy).await.unwrap();
    }
    for _ in 0..3 {
        create(&w, &store, 1).await;
    }
    let other = create(&w, &store, 2).await;
    w.advance(secs(5));
    let prn = w.make().principal(1);
    assert_eq!(store.delete_jts_sessions(prn.as_str()).await.unwrap(), 3);
    assert_eq!(store.delete_jts_sessions(prn.as_str()).await.unwrap(), 0);
    assert_eq!(store.count_jts_sessions(prn.as_str()).await.unwrap(), 0);
    same(get(&store, &other).await, &other);
}

async fn listed_by_last_activity(w: World) {
    let store = w.store().await;
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(create(&w, &store, 1).await.aid.as_str().to_owned());
        w.advance(ms(1));
    }
    create(&w, &store, 2).await;
    let prn = w.make().principal(1);
    let newest_first: Vec<_> = created.iter().rev().cloned().collect();
    assert_eq!(aids(&store, prn.as_str()).await, newest_first);
    assert!(store.touch_jts_session(&created[1]).await.unwrap());
    let order = [&created[1], &created[3], &created[2], &created[0]];
    assert_eq!(
        aids(&store, prn.as_str()).await.iter().collect::<Vec<_>>(),
        order
    );
    assert_eq!(store.count_jts_sessions(prn.as_str()).await.unwrap(), 4);
}

async fn listed_by_anchor_id_when_equally_active(w: World) {
    let store = w.store().await;
    for _ in 0..12 {
        create(&w, &store, 1).await;
    }
    let listed = aids(&store, w.make().principal(1).as_str()).await;
    assert_eq!(listed.len(), 12);
    assert!(
        listed.is_sorted(),
        "byte order of the anchor ids: {listed:?}"
    );
}

async fn oldest_is_the_first_created(w: World) {
    let store = w.store().await;
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(create(&w, &store, 1).await);
        w.advance(ms(1));
    }
    // Being active does not make it younger.
    assert!(
        store
            .touch_jts_session(created[0].aid.as_str())
            .await
            .unwrap()
    );
    let other = create(&w, &store, 2).await;
    let prn = created[0].prn.as_str();
    for (n, oldest) in created.iter().enumerate() {
        assert!(store.delete_oldest_jts_session(prn).await.unwrap());
        assert_eq!(get(&store, oldest).await, None);
        assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 2 - n as u64);
    }
    assert!(!store.delete_oldest_jts_session(prn).await.unwrap());
    same(get(&store, &other).await, &other);
}

async fn oldest_by_anchor_id_when_created_at_once(w: World) {
    let store = w.store().await;
    for _ in 0..6 {
        create(&w, &store, 1).await;
    }
    let prn = w.make().principal(1);
    let mut left = aids(&store, prn.as_str()).await;
    left.sort();
    while !left.is_empty() {
        assert!(store.delete_oldest_jts_session(prn.as_str()).await.unwrap());
        left.remove(0);
        assert_eq!(aids(&store, prn.as_str()).await, left);
    }
}

async fn oldest_is_never_an_expired_one(w: World) {
    let store = w.store().await;
    let short = living(w.make().jts_session(1), secs(5));
    store
        .create_jts_session(short, SessionPolicy::AllowAll)
        .await
        .unwrap();
    w.advance(secs(5));
    let live = create(&w, &store, 1).await;
    assert!(
        store
            .delete_oldest_jts_session(live.prn.as_str())
            .await
            .unwrap()
    );
    assert_eq!(get(&store, &live).await, None);
    assert!(
        !store
            .delete_oldest_jts_session(live.prn.as_str())
            .await
            .unwrap()
    );
}

async fn concurrent_deletes_of_the_oldest_delete_one_each(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..8 {
        create(&w, &stores[0], 1).await;
    }
    let prn = w.make().principal(1);
    let deletes = in_turn(&stores, 5).map(|store| {
        let prn = prn.clone();
        async move { store.delete_oldest_jts_session(prn.as_str()).await }
    });
    assert_eq!(trues(at_once(deletes).await), 5);
    assert_eq!(stores[0].count_jts_sessions(prn.as_str()).await.unwrap(), 3);
}

async fn concurrent_deletes_count_each_once(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..8 {
        create(&w, &stores[0], 1).await;
    }
    let prn = w.make().principal(1);
    let deletes = in_turn(&stores, 6).map(|store| {
        let prn = prn.clone();
        async move { store.delete_jts_sessions(prn.as_str()).await.unwrap() }
    });
    assert_eq!(at_once(deletes).await.iter().sum::<u64>(), 8);
}

async fn delete_tells_whether_a_live_one_existed(w: World) {
    let store = w.store().await;
    let (gone, kept) = (create(&w, &store, 1).await, create(&w, &store, 1).await);
    assert!(store.delete_jts_session(gone.aid.as_str()).await.unwrap());
    assert!(!store.delete_jts_session(gone.aid.as_str()).await.unwrap());
    assert_eq!(get(&store, &gone).await, None);
    same(get(&store, &kept).await, &kept);
}

async fn delete_of_an_expired_one_tells_false(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    w.advance_to(session.expires_at);
    assert!(
        !store
            .delete_jts_session(session.aid.as_str())
            .await
            .unwrap()
    );
}
