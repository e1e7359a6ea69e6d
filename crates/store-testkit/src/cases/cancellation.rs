//! Futures dropped half-way: all of an operation happens or nothing, and the store goes on working.
//!
//! A request that was sent may still take effect after its future was dropped, so what is checked holds
//! before it and after it, but not half-way.

use std::sync::Arc;

use store_core::{CleanupKind, DeploymentUpdate, ErrorKind, SessionPolicy, Store};

use super::login_sessions::{create as login, load};
use crate::cases::cases;
use crate::concurrency::{at_once, give_up_after};
use crate::fixtures::{text, update_to};
use crate::world::{World, secs};

cases!(cancellation:
    of_adding_a_client, of_updating_a_client, of_deleting_a_client, of_adding_a_deployment,
    of_updating_and_deleting_a_deployment, of_saving_a_launch_config, of_lti_session_writes,
    of_storing_a_nonce, of_consuming_a_nonce, of_setting_a_registration, of_taking_a_registration,
    of_cleaning_up, of_reads,
    of_many_at_random_leaves_a_working_store, of_aborted_tasks_leaves_a_working_store,
);

/// The most polls that an operation is given before the case gives up on ever seeing it finish.
const MOST_POLLS: usize = 60;

/// Drops an operation after each number of polls until it finishes, each time on things of its own,
/// and then checks the state and that the same store still works.
pub(super) async fn dropped_after_each_poll<S>(
    w: &World,
    setup: impl AsyncFn(&Arc<dyn Store>, u64) -> S,
    call: impl AsyncFn(&Arc<dyn Store>, &S),
    check: impl AsyncFn(&Arc<dyn Store>, &S),
) {
    let store = w.store().await;
    for polls in 1..=MOST_POLLS {
        let n = polls as u64;
        let state = setup(&store, n).await;
        let finished = give_up_after(polls, call(&store, &state)).await.is_some();
        check(&store, &state).await;
        works(w, &store, n).await;
        if finished {
            return;
        }
    }
    panic!("not finished after {MOST_POLLS} polls");
}

/// Uses a store for a read and a transaction-like write.
async fn works(w: &World, store: &Arc<dyn Store>, n: u64) {
    let nonce = text(format!("still-works-{n}-{}", w.make().seed()));
    store.store_nonce(&nonce, None).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    let new = w.make().jts_session(10_000 + n);
    let created = store
        .create_jts_session(new, SessionPolicy::Single)
        .await
        .unwrap();
    assert!(
        store
            .delete_jts_session(created.session.aid.as_str())
            .await
            .unwrap()
    );
}

async fn of_adding_a_client(w: World) {
    let new = |n| w.make().client(n);
    dropped_after_each_poll(
        &w,
        async |_, n| n,
        async |store, &n| drop(store.add_client(new(n)).await.unwrap()),
        async |store, &n| {
            if let Err(error) = store.add_client(new(n)).await {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            }
            let clients = store.list_clients().await.unwrap();
            assert_eq!(
                clients
                    .iter()
                    .filter(|client| client.iss == new(n).iss)
                    .count(),
                1
            );
        },
    )
    .await;
}

async fn of_updating_a_client(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| store.add_client(w.make().client(n)).await.unwrap(),
        async |store, client| {
            let mut update = update_to(&w.make().client(77));
            update.iss = None;
            let result = store.update_client(&client.id.to_string(), update).await;
            drop(result.unwrap());
        },
        async |store, client| {
            let found = store
                .get_client(&client.id.to_string())
                .await
                .unwrap()
                .unwrap()
                .client;
            let new = w.make().client(77);
            let changed = [
                found.name == new.name,
                found.client_id == new.client_id,
                found.auth_url == new.auth_url,
                found.jwks_url == new.jwks_url,
            ];
            assert!(
                changed == [true; 4] || changed == [false; 4],
                "half updated: {changed:?}"
            );
        },
    )
    .await;
}

async fn of_deleting_a_client(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let id = store
                .add_client(w.make().client(n))
                .await
                .unwrap()
                .id
                .to_string();
            for deployment in 0..3 {
                let deployment = w.make().deployment(deployment);
                store.add_deployment(&id, deployment).await.unwrap();
            }
            id
        },
        async |store, id| assert!(store.delete_client(id).await.unwrap()),
        async |store, id| {
            if let Some(found) = store.get_client(id).await.unwrap() {
                assert_eq!(
                    found.deployments.len(),
                    3,
                    "a client without its deployments"
                );
            }
        },
    )
    .await;
}

async fn of_adding_a_deployment(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            store
                .add_client(w.make().client(n))
                .await
                .unwrap()
                .id
                .to_string()
        },
        async |store, id| {
            drop(
                store
                    .add_deployment(id, w.make().deployment(1))
                    .await
                    .unwrap(),
            )
        },
        async |store, id| {
            if let Err(error) = store.add_deployment(id, w.make().deployment(1)).await {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            }
            assert_eq!(store.list_deployments(id).await.unwrap().len(), 1);
        },
    )
    .await;
}

async fn of_updating_and_deleting_a_deployment(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let client = store
                .add_client(w.make().client(n))
                .await
                .unwrap()
                .id
                .to_string();
            let added = store
                .add_deployment(&client, w.make().deployment(1))
                .await
                .unwrap();
            (client, added.id.to_string())
        },
        async |store, (client, id)| {
            let update = DeploymentUpdate {
                name: Some(None),
                description: Some(None),
                ..DeploymentUpdate::default()
            };
            store.update_deployment(client, id, update).await.unwrap();
            assert!(store.delete_deployment(client, id).await.unwrap());
        },
        async |store, (client, id)| {
            if let Some(found) = store.get_deployment(client, id).await.unwrap() {
                assert_eq!(
                    found.name.is_none(),
                    found.description.is_none(),
                    "half updated"
                );
            }
        },
    )
    .await;
}

async fn of_saving_a_launch_config(w: World) {
    let config = |n| w.make().launch_config(n);
    dropped_after_each_poll(
        &w,
        async |_, n| n,
        async |store, &n| store.save_launch_config(&config(n)).await.unwrap(),
        async |store, &n| {
            let clients = store.list_clients().await.unwrap();
            for client in clients.iter().filter(|client| client.iss == config(n).iss) {
                let id = client.id.to_string();
                let found = store.get_client(&id).await.unwrap().unwrap();
                assert_eq!(
                    found.deployments.len(),
                    1,
                    "a client without its deployment"
                );
            }
            store.save_launch_config(&config(n)).await.unwrap();
        },
    )
    .await;
}

async fn of_lti_session_writes(w: World) {
    dropped_after_each_poll(
        &w,
        async |_, n| w.make().padded_lti_session(n, 100_000),
        async |store, session| {
            store.add_lti_session(session, None).await.unwrap();
            assert!(
                store
                    .delete_lti_session(&session.id.to_string())
                    .await
                    .unwrap()
            );
        },
        async |store, session| {
            let found = store
                .get_lti_session(&session.id.to_string())
                .await
                .unwrap();
            assert!(
                found.is_none_or(|found| found.value == *session),
                "half a session"
            );
        },
    )
    .await;
}

async fn of_storing_a_nonce(w: World) {
    dropped_after_each_poll(
        &w,
        async |_, n| w.make().nonce(n),
        async |store, nonce| store.store_nonce(nonce, None).await.unwrap(),
        async |store, nonce| {
            if let Err(error) = store.store_nonce(nonce, None).await {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            }
            assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
            assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
        },
    )
    .await;
}

async fn of_consuming_a_nonce(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let nonce = w.make().nonce(n);
            store.store_nonce(&nonce, None).await.unwrap();
            nonce
        },
        async |store, nonce| assert!(store.consume_nonce(nonce.as_str()).await.unwrap()),
        async |store, nonce| {
            // Consumed or not, never twice.
            store.consume_nonce(nonce.as_str()).await.unwrap();
            assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
        },
    )
    .await;
}

async fn of_setting_a_registration(w: World) {
    let session = |n| w.make().registration(n, w.after(secs(60)));
    dropped_after_each_poll(
        &w,
        async |_, n| n,
        async |store, &n| {
            store
                .set_registration_session(w.make().uuid(n), &session(n))
                .await
                .unwrap();
        },
        async |store, &n| {
            let found = store
                .get_registration_session(&w.make().uuid(n).to_string())
                .await
                .unwrap();
            assert!(found.is_none_or(|found| found == session(n)));
        },
    )
    .await;
}

async fn of_taking_a_registration(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let id = w.make().uuid(n);
            let session = w.make().registration(n, w.after(secs(60)));
            store.set_registration_session(id, &session).await.unwrap();
            id.to_string()
        },
        async |store, id| drop(store.take_registration_session(id).await.unwrap().unwrap()),
        async |store, id| {
            store.take_registration_session(id).await.unwrap();
            assert_eq!(store.take_registration_session(id).await.unwrap(), None);
        },
    )
    .await;
}

async fn of_cleaning_up(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            store
                .store_nonce(&w.make().nonce(n), Some(secs(1)))
                .await
                .unwrap();
            let live = w.make().nonce(1_000 + n);
            store.store_nonce(&live, Some(secs(3600))).await.unwrap();
            w.advance(secs(1));
            live
        },
        async |store, _| {
            _ = store
                .delete_expired(CleanupKind::Nonces, 100)
                .await
                .unwrap()
        },
        async |store, live| {
            store
                .delete_expired(CleanupKind::Nonces, 100)
                .await
                .unwrap();
            assert!(store.consume_nonce(live.as_str()).await.unwrap());
        },
    )
    .await;
}

async fn of_reads(w: World) {
    dropped_after_each_poll(
        &w,
        async |store, n| {
            let session = w.make().lti_session(n);
            store.add_lti_session(&session, None).await.unwrap();
            store
                .save_launch_config(&w.make().launch_config(n))
                .await
                .unwrap();
            (
                session,
                w.make().launch_config(n),
                login(&w, store, n).await,
            )
        },
        async |store, (session, config, login)| {
            store
                .get_lti_session(&session.id.to_string())
                .await
                .unwrap()
                .unwrap();
            let (iss, client) = (config.iss.as_str(), config.client_id.as_str());
            let deployment = config.deployment_id.as_str();
            store
                .get_launch_config(iss, client, deployment)
                .await
                .unwrap()
                .unwrap();
            load(store, login).await.unwrap();
            store.list_clients().await.unwrap();
            store.health().await.unwrap();
        },
        async |store, (session, config, login)| {
            // A read that was given up does not stop the others who wait for what it reads.
            store
                .get_lti_session(&session.id.to_string())
                .await
                .unwrap()
                .unwrap();
            let (iss, client) = (config.iss.as_str(), config.client_id.as_str());
            let deployment = config.deployment_id.as_str();
            store
                .get_launch_config(iss, client, deployment)
                .await
                .unwrap()
                .unwrap();
            load(store, login).await.unwrap();
        },
    )
    .await;
}

/// A bit of everything.
async fn story(w: World, store: Arc<dyn Store>, n: u64) {
    let nonce = w.make().nonce(n);
    store.store_nonce(&nonce, None).await.unwrap();
    store.consume_nonce(nonce.as_str()).await.unwrap();
    store
        .save_launch_config(&w.make().launch_config(n % 7))
        .await
        .unwrap();
    let new = w.make().jts_session(n % 5);
    let policy = super::jts_policies::max(2);
    let session = store.create_jts_session(new, policy).await.unwrap().session;
    store
        .renew_state_proof(session.current_state_proof.as_str())
        .await
        .unwrap();
    let login = login(&w, &store, n).await;
    store
        .lock_login_session(login.id.as_str(), "refresh-0")
        .await
        .unwrap();
    store
        .set_login_properties(login.id.as_str(), login.data, None)
        .await
        .unwrap();
}

async fn afterwards(w: &World, store: &Arc<dyn Store>) {
    let stories = (0..20).map(|n| story(w.clone(), Arc::clone(store), 50_000 + n));
    at_once(stories.collect::<Vec<_>>()).await;
    for n in 0..5 {
        let prn = w.make().principal(n);
        assert!(store.count_jts_sessions(prn.as_str()).await.unwrap() <= 2);
    }
    for client in store.list_clients().await.unwrap() {
        let found = store
            .get_client(&client.id.to_string())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            found.deployments.len(),
            1,
            "a client without its deployment"
        );
    }
}

async fn of_many_at_random_leaves_a_working_store(w: World) {
    let store = w.store().await;
    let stories = (0..150).map(|n| {
        let story = story(w.clone(), Arc::clone(&store), n);
        let polls = (w.make().uuid(n).as_u128() % 40) as usize;
        async move { give_up_after(polls, story).await }
    });
    at_once(stories.collect::<Vec<_>>()).await;
    afterwards(&w, &store).await;
}

async fn of_aborted_tasks_leaves_a_working_store(w: World) {
    let store = w.store().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        tasks.spawn(story(w.clone(), Arc::clone(&store), n));
        if n % 10 == 9 {
            tokio::time::sleep(std::time::Duration::from_millis(n % 4)).await;
            tasks.abort_all();
        }
    }
    tasks.shutdown().await;
    afterwards(&w, &store).await;
}
