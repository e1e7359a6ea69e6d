//! Session policies: how many sessions a principal may have at once, however many log in at once.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use store_core::{
    Aid, CleanupKind, CreatedJtsSession, ErrorKind, NewJtsSession, Renewal, SessionPolicy, Store,
};

use super::jts_sessions::{create, get, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::fixtures::text;
use crate::world::{World, ms, secs};

cases!(jts_policies:
    allow_all_revokes_none, single_revokes_all_others, max_revokes_the_oldest_until_it_holds,
    max_revokes_none_while_there_is_room, a_smaller_max_revokes_several, revoked_are_told_oldest_first,
    the_new_one_is_never_revoked, revoked_are_gone_with_all_their_proofs, expired_ones_do_not_count,
    other_principals_are_left_alone, principals_that_differ_in_bytes_are_others,
    max_holds_for_many_at_the_same_moment, single_holds_for_many_at_the_same_moment,
    allow_all_keeps_many_at_the_same_moment, principals_at_the_same_moment_do_not_mix,
    creations_beside_other_writes_all_succeed,
);

pub(super) fn max(n: u32) -> SessionPolicy {
    SessionPolicy::Max(NonZeroU32::new(n).unwrap())
}

async fn create_with(
    w: &World,
    store: &Arc<dyn Store>,
    n: u64,
    policy: SessionPolicy,
) -> CreatedJtsSession {
    let new = w.make().jts_session(n);
    store.create_jts_session(new, policy).await.unwrap()
}

async fn live(w: &World, store: &Arc<dyn Store>, n: u64) -> BTreeSet<Aid> {
    let prn = w.make().principal(n);
    let sessions = store.list_jts_sessions(prn.as_str()).await.unwrap();
    assert_eq!(
        store.count_jts_sessions(prn.as_str()).await.unwrap(),
        sessions.len() as u64
    );
    sessions.into_iter().map(|session| session.aid).collect()
}

async fn allow_all_revokes_none(w: World) {
    let store = w.store().await;
    for n in 1..=12 {
        let created = create_with(&w, &store, 1, SessionPolicy::AllowAll).await;
        assert_eq!(created.revoked, []);
        assert_eq!(live(&w, &store, 1).await.len(), n);
    }
}

async fn single_revokes_all_others(w: World) {
    let store = w.store().await;
    for _ in 0..3 {
        create(&w, &store, 1).await;
        w.advance(ms(1));
    }
    let others = live(&w, &store, 1).await;
    let created = create_with(&w, &store, 1, SessionPolicy::Single).await;
    assert_eq!(created.revoked.into_iter().collect::<BTreeSet<_>>(), others);
    assert_eq!(live(&w, &store, 1).await, [created.session.aid].into());
}

async fn max_revokes_the_oldest_until_it_holds(w: World) {
    let store = w.store().await;
    let mut created = Vec::new();
    for n in 0..6_usize {
        let new = create_with(&w, &store, 1, max(3)).await;
        let expected = n.checked_sub(3).map(|oldest| &created[oldest]);
        assert_eq!(
            new.revoked.iter().collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>()
        );
        created.push(new.session.aid);
        // The most recently active is not the youngest.
        let active = &created[n.saturating_sub(2)];
        w.advance(ms(1));
        assert!(store.touch_jts_session(active.as_str()).await.unwrap());
    }
    assert_eq!(
        live(&w, &store, 1).await,
        created[3..].iter().cloned().collect()
    );
}

async fn max_revokes_none_while_there_is_room(w: World) {
    let store = w.store().await;
    for n in 1..=3 {
        assert_eq!(create_with(&w, &store, 1, max(3)).await.revoked, []);
        assert_eq!(live(&w, &store, 1).await.len(), n);
    }
    let created = create_with(&w, &store, 1, max(u32::MAX)).await;
    assert_eq!(created.revoked, []);
}

async fn a_smaller_max_revokes_several(w: World) {
    let store = w.store().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(create(&w, &store, 1).await.aid);
        w.advance(ms(1));
    }
    let new = create_with(&w, &store, 1, max(2)).await;
    assert_eq!(new.revoked, created[..4]);
    assert_eq!(
        live(&w, &store, 1).await,
        [created[4].clone(), new.session.aid].into()
    );
}

async fn revoked_are_told_oldest_first(w: World) {
    let store = w.store().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(create(&w, &store, 1).await);
        w.advance(ms(1));
    }
    // The order of activity is another, and so is that of anchor ids, almost surely.
    for session in created.iter().rev() {
        w.advance(ms(1));
        assert!(store.touch_jts_session(session.aid.as_str()).await.unwrap());
    }
    let new = create_with(&w, &store, 1, SessionPolicy::Single).await;
    let expected: Vec<_> = created.into_iter().map(|session| session.aid).collect();
    assert_eq!(new.revoked, expected);
    // Those created at the same moment are told by anchor id.
    let mut expected = vec![new.session.aid];
    for _ in 0..5 {
        expected.push(create(&w, &store, 1).await.aid);
    }
    expected.sort();
    let new = create_with(&w, &store, 1, SessionPolicy::Single).await;
    assert_eq!(new.revoked, expected);
}

async fn the_new_one_is_never_revoked(w: World) {
    let store = w.store().await;
    for n in 0..30 {
        // Created at the same moment as the other, and later before it, so that by time alone the
        // new one would sometimes be the oldest.
        if n > 15 {
            w.rewind(ms(1));
        }
        let policy = if n % 2 == 0 {
            SessionPolicy::Single
        } else {
            max(1)
        };
        let created = create_with(&w, &store, 1, policy).await;
        assert_eq!(live(&w, &store, 1).await, [created.session.aid].into());
    }
}

async fn revoked_are_gone_with_all_their_proofs(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let mut proofs = vec![session.current_state_proof.as_str().to_owned()];
    for _ in 0..2 {
        let seen = proofs.last().unwrap();
        let rotated = store
            .rotate_state_proof(session.aid.as_str(), seen)
            .await
            .unwrap();
        proofs.push(rotated.current_state_proof.as_str().to_owned());
    }
    let new = create_with(&w, &store, 1, SessionPolicy::Single).await;
    assert_eq!(get(&store, &session).await, None);
    for proof in proofs {
        assert_eq!(
            store.renew_state_proof(&proof).await.unwrap(),
            Renewal::Unknown
        );
    }
    same(get(&store, &new.session).await, &new.session);
}

async fn expired_ones_do_not_count(w: World) {
    let store = w.store().await;
    let short = NewJtsSession {
        lifetime: Some(secs(5)),
        ..w.make().jts_session(1)
    };
    for _ in 0..3 {
        store
            .create_jts_session(short.clone(), max(3))
            .await
            .unwrap();
    }
    w.advance(secs(5));
    for n in 1..=3 {
        assert_eq!(create_with(&w, &store, 1, max(3)).await.revoked, []);
        assert_eq!(live(&w, &store, 1).await.len(), n);
    }
    assert_eq!(
        create_with(&w, &store, 1, SessionPolicy::Single)
            .await
            .revoked
            .len(),
        3
    );
}

async fn other_principals_are_left_alone(w: World) {
    let store = w.store().await;
    let others = [create(&w, &store, 2).await, create(&w, &store, 2).await];
    for policy in [SessionPolicy::Single, max(1), max(2)] {
        create_with(&w, &store, 1, policy).await;
    }
    for other in others {
        same(get(&store, &other).await, &other);
    }
}

async fn principals_that_differ_in_bytes_are_others(w: World) {
    let store = w.store().await;
    let variants = [
        "bob",
        "Bob",
        "BOB",
        "bob ",
        " bob",
        "böb",
        "bo\u{308}b",
        "bob\u{200b}",
    ];
    for prn in variants {
        let new = NewJtsSession::of(text(prn));
        let created = store
            .create_jts_session(new, SessionPolicy::Single)
            .await
            .unwrap();
        assert_eq!(created.revoked, [], "{prn:?} revoked another's session");
    }
    for prn in variants {
        assert_eq!(store.count_jts_sessions(prn).await.unwrap(), 1, "{prn:?}");
    }
    assert_eq!(store.delete_jts_sessions("bob").await.unwrap(), 1);
    assert!(store.delete_oldest_jts_session("Bob").await.unwrap());
    for prn in &variants[2..] {
        assert_eq!(
            store.list_jts_sessions(prn).await.unwrap().len(),
            1,
            "{prn:?}"
        );
    }
}

/// Creates 20 at the same moment and returns them.
async fn twenty(
    w: &World,
    stores: &[Arc<dyn Store>],
    policy: SessionPolicy,
) -> Vec<CreatedJtsSession> {
    let creations = in_turn(stores, 20).map(|store| {
        let new = w.make().jts_session(1);
        async move { store.create_jts_session(new, policy).await.unwrap() }
    });
    at_once(creations).await
}

/// Checks that each session that was created is either live or told as revoked exactly once.
fn accounted_for(created: &[CreatedJtsSession], live: &BTreeSet<Aid>) {
    let mut ends: Vec<_> = created
        .iter()
        .flat_map(|created| &created.revoked)
        .collect();
    ends.extend(live);
    ends.sort();
    let mut all: Vec<_> = created.iter().map(|created| &created.session.aid).collect();
    all.sort();
    assert_eq!(ends, all);
}

async fn max_holds_for_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..3 {
        let created = twenty(&w, &stores, max(3)).await;
        let left = live(&w, &stores[0], 1).await;
        assert_eq!(left.len(), 3);
        accounted_for(&created, &left);
        create_with(&w, &stores[0], 1, SessionPolicy::Single).await;
        stores[0]
            .delete_jts_sessions(w.make().principal(1).as_str())
            .await
            .unwrap();
    }
}

async fn single_holds_for_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    let created = twenty(&w, &stores, SessionPolicy::Single).await;
    let left = live(&w, &stores[0], 1).await;
    assert_eq!(left.len(), 1);
    accounted_for(&created, &left);
}

async fn allow_all_keeps_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    let created = twenty(&w, &stores, SessionPolicy::AllowAll).await;
    let left = live(&w, &stores[0], 1).await;
    assert_eq!(left.len(), 20);
    accounted_for(&created, &left);
}

async fn principals_at_the_same_moment_do_not_mix(w: World) {
    let stores = w.stores(4).await;
    let creations = in_turn(&stores, 20).enumerate().map(|(n, store)| {
        let new = w.make().jts_session(n as u64 % 4);
        async move { store.create_jts_session(new, max(2)).await.unwrap() }
    });
    at_once(creations).await;
    for n in 0..4 {
        assert_eq!(live(&w, &stores[0], n).await.len(), 2);
    }
}

async fn creations_beside_other_writes_all_succeed(w: World) {
    let stores = w.stores(4).await;
    for _ in 0..4 {
        let session = create(&w, &stores[0], 1).await;
        let calls = in_turn(&stores, 20).enumerate().map(|(n, store)| {
            let (new, session) = (w.make().jts_session(1), session.clone());
            async move {
                let (aid, prn) = (session.aid.as_str(), session.prn.as_str());
                let proof = session.current_state_proof.as_str();
                let allowed =
                    |kind: ErrorKind| matches!(kind, ErrorKind::NotFound | ErrorKind::Conflict);
                match n % 10 {
                    0 => drop(store.renew_state_proof(proof).await.unwrap()),
                    1 => drop(store.touch_jts_session(aid).await.unwrap()),
                    2 => drop(store.delete_oldest_jts_session(prn).await.unwrap()),
                    3 => {
                        if let Err(error) = store.rotate_state_proof(aid, proof).await {
                            assert!(allowed(error.kind()), "{error}");
                        }
                    }
                    4 => drop(store.list_jts_sessions(prn).await.unwrap()),
                    5 => {
                        store.delete_jts_sessions(prn).await.unwrap();
                    }
                    6 => {
                        let kind = CleanupKind::JtsSessions;
                        store.delete_expired(kind, 100).await.unwrap();
                    }
                    _ => drop(store.create_jts_session(new, max(2)).await.unwrap()),
                }
            }
        });
        at_once(calls).await;
        assert!(live(&w, &stores[0], 1).await.len() <= 2);
    }
}
