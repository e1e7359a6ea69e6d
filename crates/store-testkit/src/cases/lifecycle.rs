//! Asking a store how it is, what its errors tell, and closing it.

use std::collections::BTreeSet;
use std::time::Duration;

use store_core::ErrorKind;

use super::jts_sessions;
use super::login_sessions;
use crate::cases::cases;
use crate::concurrency::at_once;
use crate::expect::{refused, same_session};
use crate::operations::call_each;
use crate::world::{World, secs};

cases!(lifecycle:
    health_names_the_server, all_stores_have_the_same_capabilities, every_operation_works,
    errors_tell_their_operation_and_backend, closed_refuses_every_operation, closing_again_does_nothing, closing_one_leaves_others_open,
    close_waits_for_what_is_in_flight, more_tasks_than_connections_all_succeed;
    needing Durable: what_is_written_outlives_its_store,
);

async fn health_names_the_server(w: World) {
    let store = w.store().await;
    let health = store.health().await.unwrap();
    assert!(
        health.server.contains(|c: char| c.is_ascii_digit()),
        "no version: {:?}",
        health.server
    );
    assert!(health.latency < secs(30));
    // Needs no tables.
    w.open().await.health().await.unwrap();
}

async fn all_stores_have_the_same_capabilities(w: World) {
    let stores = w.stores(2).await;
    assert_eq!(stores[0].capabilities(), stores[1].capabilities());
}

async fn every_operation_works(w: World) {
    let store = w.store().await;
    for (operation, result) in call_each(&*store, w.make()).await {
        if let Err(error) = result {
            let expected = [ErrorKind::NotFound, ErrorKind::LockLost];
            assert!(expected.contains(&error.kind()), "{operation}: {error}");
        }
    }
}

async fn errors_tell_their_operation_and_backend(w: World) {
    let store = w.store().await;
    let mut told = BTreeSet::new();
    for (operation, result) in call_each(&*store, w.make()).await {
        if let Err(error) = result {
            assert_eq!(error.operation(), operation, "{error}");
            assert_ne!(error.backend(), "", "{error}");
            told.insert(operation);
        }
    }
    assert!(told.contains("update_client") && told.contains("rotate_state_proof"));
    let nonce = w.make().nonce(1);
    let zero = Some(Duration::ZERO);
    let error = refused(
        store.store_nonce(&nonce, zero).await,
        ErrorKind::InvalidInput,
    );
    assert_eq!(error.operation(), "store_nonce");
}

async fn closed_refuses_every_operation(w: World) {
    let store = w.store().await;
    login_sessions::create(&w, &store, 1).await;
    store.close().await;
    let mut results = call_each(&*store, w.make()).await;
    results.push(("health", store.health().await.map(drop)));
    results.push(("bootstrap", store.bootstrap().await.map(drop)));
    results.push(("schema_status", store.schema_status().await.map(drop)));
    for (operation, result) in results {
        match result {
            Ok(()) => panic!("{operation} succeeded on a closed store"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{operation}: {error}"),
        }
    }
}

async fn closing_again_does_nothing(w: World) {
    let store = w.store().await;
    let closes = (0..4).map(|_| {
        let store = store.clone();
        async move { store.close().await }
    });
    at_once(closes).await;
    store.close().await;
    refused(store.health().await, ErrorKind::Closed);
}

async fn closing_one_leaves_others_open(w: World) {
    let stores = w.stores(2).await;
    let session = login_sessions::create(&w, &stores[0], 1).await;
    stores[0].close().await;
    login_sessions::same(login_sessions::load(&stores[1], &session).await, &session);
    let later = w.store().await;
    login_sessions::same(login_sessions::load(&later, &session).await, &session);
}

async fn close_waits_for_what_is_in_flight(w: World) {
    let stores = w.stores(2).await;
    for round in 0..4 {
        let closing = w.store().await;
        let calls = (0..24).map(|n| {
            let (store, nonce) = (closing.clone(), w.make().nonce(100 * round + n));
            async move {
                if n == 12 {
                    store.close().await;
                    return None;
                }
                match store.store_nonce(&nonce, None).await {
                    Ok(()) => Some(nonce),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                        None
                    }
                }
            }
        });
        let calls: Vec<_> = calls.collect();
        // What was told to be done is done.
        for nonce in at_once(calls).await.into_iter().flatten() {
            assert!(stores[1].consume_nonce(nonce.as_str()).await.unwrap());
        }
    }
}

async fn more_tasks_than_connections_all_succeed(w: World) {
    let store = w.store().await;
    let calls = (0..100).map(|n| {
        let (store, nonce) = (store.clone(), w.make().nonce(n));
        async move {
            store.store_nonce(&nonce, None).await.unwrap();
            assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
        }
    });
    at_once(calls).await;
}

async fn what_is_written_outlives_its_store(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let session = w.make().lti_session(1);
    store.add_lti_session(&session, None).await.unwrap();
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, None).await.unwrap();
    let jts = jts_sessions::create(&w, &store, 1).await;
    let login = login_sessions::create(&w, &store, 1).await;
    store.close().await;
    let store = w.store().await;
    assert_eq!(store.list_clients().await.unwrap(), [client]);
    same_session(
        store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap(),
        &session,
    );
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    jts_sessions::same(jts_sessions::get(&store, &jts).await, &jts);
    login_sessions::same(login_sessions::load(&store, &login).await, &login);
}
