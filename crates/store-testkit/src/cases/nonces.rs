//! Nonces: stored once, consumed once.

use std::sync::Arc;
use std::time::Duration;

use store_core::ErrorKind;

use crate::cases::cases;
use crate::concurrency::at_once;
use crate::expect::{refused, refused_input, successes, trues};
use crate::world::{World, ms, secs};

cases!(nonces:
    consumed_exactly_once, unknown_is_not_consumed, stored_only_once,
    not_stored_again_after_its_consumption, consumed_until_just_before_it_expires,
    lifetime_defaults_to_the_settings, lifetime_can_be_chosen, lifetime_is_in_whole_milliseconds,
    lifetime_out_of_range_is_refused, can_be_stored_again_once_expired, attempts_do_not_prolong_it,
    seen_by_other_stores, consumed_once_by_many_at_the_same_moment, stored_once_by_many_at_the_same_moment,
    stored_once_by_many_over_an_expired_one, one_does_not_consume_another,
);

async fn consumed_exactly_once(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, None).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    for _ in 0..3 {
        assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
    }
}

async fn unknown_is_not_consumed(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
    // Trying did not store it.
    store.store_nonce(&nonce, None).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
}

async fn stored_only_once(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, Some(secs(60))).await.unwrap();
    let again = store.store_nonce(&nonce, Some(secs(600))).await;
    refused(again, ErrorKind::AlreadyExists);
    // The refused attempt did not prolong it.
    w.advance(secs(60));
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
}

async fn not_stored_again_after_its_consumption(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, None).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    let again = store.store_nonce(&nonce, None).await;
    refused(again, ErrorKind::AlreadyExists);
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
    w.advance(secs(600) - ms(1));
    let again = store.store_nonce(&nonce, None).await;
    refused(again, ErrorKind::AlreadyExists);
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
}

async fn consumed_until_just_before_it_expires(w: World) {
    let store = w.store().await;
    let (early, late) = (w.make().nonce(1), w.make().nonce(2));
    for nonce in [&early, &late] {
        store.store_nonce(nonce, Some(secs(5))).await.unwrap();
    }
    w.advance(ms(4_999));
    assert!(store.consume_nonce(early.as_str()).await.unwrap());
    w.advance(ms(1));
    assert!(!store.consume_nonce(late.as_str()).await.unwrap());
}

async fn lifetime_defaults_to_the_settings(w: World) {
    assert_eq!(
        w.settings().nonce_lifetime,
        secs(600),
        "the contract's default"
    );
    let store = w.store().await;
    let (early, late) = (w.make().nonce(1), w.make().nonce(2));
    for nonce in [&early, &late] {
        store.store_nonce(nonce, None).await.unwrap();
    }
    w.advance(secs(600) - ms(1));
    assert!(store.consume_nonce(early.as_str()).await.unwrap());
    w.advance(ms(1));
    assert!(!store.consume_nonce(late.as_str()).await.unwrap());
}

async fn lifetime_can_be_chosen(w: World) {
    let w = w.with(|settings| settings.nonce_lifetime = secs(3));
    let store = w.store().await;
    let (by_settings, by_call) = (w.make().nonce(1), w.make().nonce(2));
    store.store_nonce(&by_settings, None).await.unwrap();
    store.store_nonce(&by_call, Some(secs(7))).await.unwrap();
    w.advance(secs(3));
    assert!(!store.consume_nonce(by_settings.as_str()).await.unwrap());
    w.advance(secs(4) - ms(1));
    assert!(store.consume_nonce(by_call.as_str()).await.unwrap());
}

async fn lifetime_is_in_whole_milliseconds(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    let lifetime = ms(5) + Duration::from_nanos(999_999);
    store.store_nonce(&nonce, Some(lifetime)).await.unwrap();
    w.advance(ms(5));
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
}

async fn lifetime_out_of_range_is_refused(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    for lifetime in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        refused_input(store.store_nonce(&nonce, Some(lifetime)).await);
    }
    assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
    store.store_nonce(&nonce, Some(ms(1))).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
}

async fn can_be_stored_again_once_expired(w: World) {
    let store = w.store().await;
    let (consumed, unused) = (w.make().nonce(1), w.make().nonce(2));
    for nonce in [&consumed, &unused] {
        store.store_nonce(nonce, Some(secs(5))).await.unwrap();
    }
    assert!(store.consume_nonce(consumed.as_str()).await.unwrap());
    w.advance(secs(5));
    for nonce in [&consumed, &unused] {
        store.store_nonce(nonce, Some(secs(5))).await.unwrap();
        assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
        assert!(!store.consume_nonce(nonce.as_str()).await.unwrap());
    }
}

async fn attempts_do_not_prolong_it(w: World) {
    let store = w.store().await;
    let nonce = w.make().nonce(1);
    store.store_nonce(&nonce, Some(secs(5))).await.unwrap();
    w.advance(secs(4));
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    w.advance(secs(1));
    store.store_nonce(&nonce, Some(secs(5))).await.unwrap();
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(3).await;
    let nonce = w.make().nonce(1);
    stores[0].store_nonce(&nonce, None).await.unwrap();
    assert!(stores[1].consume_nonce(nonce.as_str()).await.unwrap());
    assert!(!stores[2].consume_nonce(nonce.as_str()).await.unwrap());
    let again = stores[2].store_nonce(&nonce, None).await;
    refused(again, ErrorKind::AlreadyExists);
}

async fn consumed_once_by_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    for round in 0..10 {
        let nonce = w.make().nonce(round);
        stores[0].store_nonce(&nonce, None).await.unwrap();
        let attempts = (0..20).map(|n| {
            let (store, nonce) = (Arc::clone(&stores[n % stores.len()]), nonce.clone());
            async move { store.consume_nonce(nonce.as_str()).await }
        });
        assert_eq!(trues(at_once(attempts).await), 1);
    }
}

async fn stored_once_by_many_at_the_same_moment(w: World) {
    let stores = w.stores(4).await;
    for round in 0..5 {
        let nonce = w.make().nonce(round);
        let attempts = (0..20).map(|n| {
            let (store, nonce) = (Arc::clone(&stores[n % stores.len()]), nonce.clone());
            async move { store.store_nonce(&nonce, None).await }
        });
        assert_eq!(
            successes(at_once(attempts).await, ErrorKind::AlreadyExists),
            1
        );
    }
}

async fn stored_once_by_many_over_an_expired_one(w: World) {
    let stores = w.stores(4).await;
    for round in 0..5 {
        let nonce = w.make().nonce(round);
        stores[0].store_nonce(&nonce, Some(secs(1))).await.unwrap();
        w.advance(secs(1));
        let attempts = (0..20).map(|n| {
            let (store, nonce) = (Arc::clone(&stores[n % stores.len()]), nonce.clone());
            async move { store.store_nonce(&nonce, None).await }
        });
        assert_eq!(
            successes(at_once(attempts).await, ErrorKind::AlreadyExists),
            1
        );
        assert!(stores[0].consume_nonce(nonce.as_str()).await.unwrap());
    }
}

async fn one_does_not_consume_another(w: World) {
    let store = w.store().await;
    let nonces: Vec<_> = (0..10).map(|n| w.make().nonce(n)).collect();
    for nonce in &nonces {
        store.store_nonce(nonce, None).await.unwrap();
    }
    for nonce in &nonces {
        assert!(store.consume_nonce(nonce.as_str()).await.unwrap());
    }
}
