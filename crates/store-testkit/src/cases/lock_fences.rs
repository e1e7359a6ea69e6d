//! Fencing: a token that is no longer the holder's changes nothing.

use std::sync::Arc;

use serde_json::json;
use store_core::{ErrorKind, LockOutcome, LockToken, LoginSession, Store};

use super::locks::acquire;
use super::login_sessions::{HOUR, create, load, same};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::{refused, successes};
use crate::fixtures::{object, text};
use crate::world::{World, secs};

cases!(lock_fences:
    the_holder_can_write, writes_without_a_token_succeed, a_token_that_never_held_changes_nothing,
    a_token_after_its_release_changes_nothing, a_token_after_a_takeover_changes_nothing,
    the_holder_keeps_it_past_its_end_until_taken_over, unlock_is_not_for_strangers,
    unlock_by_a_former_holder_leaves_the_successor, unlock_twice_is_lock_lost,
    unlock_of_an_unlocked_one_is_lock_lost, a_fenced_save_still_compares_versions,
    lock_lost_comes_before_conflict, one_of_concurrent_unlocks_succeeds,
    late_writers_never_undo_their_successor, tokens_compare_as_bytes,
);

/// Tries every fenced write with a token that must be refused, and checks that nothing changed.
async fn refused_everywhere(store: &Arc<dyn Store>, session: &LoginSession, token: &LockToken) {
    let id = session.id.as_str();
    let before = load(store, session).await.unwrap();
    let mut changed = before.clone();
    changed.data = object(json!({"changed": true}));
    let lost = ErrorKind::LockLost;
    refused(
        store.save_login_session(&changed, None, Some(token)).await,
        lost,
    );
    refused(
        store
            .save_login_session(&changed, Some(2 * HOUR), Some(token))
            .await,
        lost,
    );
    let properties = object(json!({"changed": true}));
    refused(
        store
            .set_login_properties(id, properties, Some(token))
            .await,
        lost,
    );
    refused(
        store
            .unset_login_properties(id, &["user"], Some(token))
            .await,
        lost,
    );
    refused(store.unlock_login_session(id, token).await, lost);
    same(load(store, session).await, &before);
}

async fn held(store: &Arc<dyn Store>, session: &LoginSession) -> bool {
    let outcome = store
        .lock_login_session(session.id.as_str(), "refresh-0")
        .await;
    matches!(outcome.unwrap(), LockOutcome::Held { .. })
}

async fn the_holder_can_write(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let id = session.id.as_str().to_owned();
    let (token, _, _) = acquire(&store, &session).await;
    session.data.insert("saved".to_owned(), json!(1));
    session.version = store
        .save_login_session(&session, None, Some(&token))
        .await
        .unwrap();
    assert_eq!(session.version, 2);
    let properties = object(json!({"set": 1}));
    session.version = store
        .set_login_properties(&id, properties, Some(&token))
        .await
        .unwrap();
    session.version = store
        .unset_login_properties(&id, &["set"], Some(&token))
        .await
        .unwrap();
    assert_eq!(session.version, 4);
    same(load(&store, &session).await, &session);
    assert!(
        held(&store, &session).await,
        "writing under the lock does not release it"
    );
    store.unlock_login_session(&id, &token).await.unwrap();
}

async fn writes_without_a_token_succeed(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let id = session.id.as_str().to_owned();
    acquire(&store, &session).await;
    session.version = store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    store
        .set_login_properties(&id, object(json!({"a": 1})), None)
        .await
        .unwrap();
    let version = store
        .unset_login_properties(&id, &["a"], None)
        .await
        .unwrap();
    assert_eq!(version, 4);
    assert!(held(&store, &session).await);
}

async fn a_token_that_never_held_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let stranger = LockToken::generate();
    refused_everywhere(&store, &session, &stranger).await;
    acquire(&store, &session).await;
    refused_everywhere(&store, &session, &stranger).await;
    assert!(held(&store, &session).await);
}

async fn a_token_after_its_release_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    store
        .unlock_login_session(session.id.as_str(), &token)
        .await
        .unwrap();
    refused_everywhere(&store, &session, &token).await;
}

async fn a_token_after_a_takeover_changes_nothing(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (former, _, until) = acquire(&store, &session).await;
    w.advance_to(until);
    let (successor, _, _) = acquire(&store, &session).await;
    refused_everywhere(&store, &session, &former).await;
    assert!(held(&store, &session).await, "the successor still has it");
    let properties = object(json!({"a": 1}));
    let id = session.id.as_str();
    store
        .set_login_properties(id, properties, Some(&successor))
        .await
        .unwrap();
    store.unlock_login_session(id, &successor).await.unwrap();
}

async fn the_holder_keeps_it_past_its_end_until_taken_over(w: World) {
    let store = w.store().await;
    let mut session = create(&w, &store, 1).await;
    let (token, _, until) = acquire(&store, &session).await;
    w.advance_to(until);
    w.advance(secs(60));
    session.version = store
        .save_login_session(&session, None, Some(&token))
        .await
        .unwrap();
    store
        .unlock_login_session(session.id.as_str(), &token)
        .await
        .unwrap();
    refused_everywhere(&store, &session, &token).await;
}

async fn unlock_is_not_for_strangers(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    acquire(&store, &session).await;
    let result = store
        .unlock_login_session(session.id.as_str(), &LockToken::generate())
        .await;
    refused(result, ErrorKind::LockLost);
    assert!(held(&store, &session).await);
}

async fn unlock_by_a_former_holder_leaves_the_successor(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (former, _, until) = acquire(&store, &session).await;
    w.advance_to(until);
    acquire(&store, &session).await;
    let result = store
        .unlock_login_session(session.id.as_str(), &former)
        .await;
    refused(result, ErrorKind::LockLost);
    assert!(held(&store, &session).await);
}

async fn unlock_twice_is_lock_lost(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    store
        .unlock_login_session(session.id.as_str(), &token)
        .await
        .unwrap();
    let again = store
        .unlock_login_session(session.id.as_str(), &token)
        .await;
    refused(again, ErrorKind::LockLost);
}

async fn unlock_of_an_unlocked_one_is_lock_lost(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let result = store
        .unlock_login_session(session.id.as_str(), &LockToken::generate())
        .await;
    refused(result, ErrorKind::LockLost);
}

async fn a_fenced_save_still_compares_versions(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    let properties = object(json!({"meanwhile": true}));
    store
        .set_login_properties(session.id.as_str(), properties, None)
        .await
        .unwrap();
    let result = store.save_login_session(&session, None, Some(&token)).await;
    refused(result, ErrorKind::Conflict);
    assert!(
        load(&store, &session)
            .await
            .unwrap()
            .data
            .contains_key("meanwhile")
    );
}

async fn lock_lost_comes_before_conflict(w: World) {
    let store = w.store().await;
    let stale = create(&w, &store, 1).await;
    store.save_login_session(&stale, None, None).await.unwrap();
    let result = store
        .save_login_session(&stale, None, Some(&LockToken::generate()))
        .await;
    refused(result, ErrorKind::LockLost);
}

async fn one_of_concurrent_unlocks_succeeds(w: World) {
    let stores = w.stores(4).await;
    let session = create(&w, &stores[0], 1).await;
    let (token, _, _) = acquire(&stores[0], &session).await;
    let unlocks = in_turn(&stores, 12).map(|store| {
        let (id, token) = (session.id.clone(), token.clone());
        async move { store.unlock_login_session(id.as_str(), &token).await }
    });
    assert_eq!(successes(at_once(unlocks).await, ErrorKind::LockLost), 1);
}

async fn late_writers_never_undo_their_successor(w: World) {
    let stores = w.stores(4).await;
    for round in 0..8 {
        let session = create(&w, &stores[0], round).await;
        let (former, _, until) = acquire(&stores[0], &session).await;
        w.advance_to(until);
        // The takeover and the late writes of the former holder, at the same moment.
        let calls = in_turn(&stores, 4).enumerate().map(|(n, store)| {
            let (session, former) = (session.clone(), former.clone());
            async move {
                let id = session.id.as_str();
                if n == 0 {
                    let (token, _, _) = acquire(&store, &session).await;
                    let properties = object(json!({"writer": "successor"}));
                    store
                        .set_login_properties(id, properties, Some(&token))
                        .await
                        .unwrap();
                    return;
                }
                let properties = object(json!({"writer": "former"}));
                match store
                    .set_login_properties(id, properties, Some(&former))
                    .await
                {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::LockLost, "{error}"),
                }
            }
        });
        at_once(calls).await;
        let stored = load(&stores[0], &session).await.unwrap();
        assert_eq!(stored.data["writer"], json!("successor"));
    }
}

async fn tokens_compare_as_bytes(w: World) {
    let store = w.store().await;
    let session = create(&w, &store, 1).await;
    let (token, _, _) = acquire(&store, &session).await;
    let token = token.as_str();
    for odd in [
        token.to_uppercase(),
        token.to_lowercase(),
        format!("{token} "),
        "%".to_owned(),
    ] {
        if odd != token {
            refused_everywhere(&store, &session, &text(odd)).await;
        }
    }
    assert!(held(&store, &session).await);
}
