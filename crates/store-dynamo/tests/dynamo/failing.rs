//! Servers that are busy, silent, or not there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use store_core::{
    ErrorKind, JtsSessionStore, Lifecycle, NewJtsSession, NonceStore, SessionPolicy, Settings,
};
use store_dynamo::{DynamoConfig, DynamoStore};

use crate::proxy::{Fault, Proxy};
use crate::support::{Place, Server, credentials};
use crate::{Test, everywhere, on_emulator};

pub(crate) const TESTS: &[Test] = &[
    on_emulator("an_endpoint_that_refuses_is_unavailable", |_| {
        Box::pin(an_endpoint_that_refuses_is_unavailable())
    }),
    everywhere("throttled_requests_are_sent_again", |server| {
        Box::pin(throttled_requests_are_sent_again(server))
    }),
    everywhere(
        "throttling_without_end_is_told_when_the_budget_is_over",
        |server| {
            Box::pin(throttling_without_end_is_told_when_the_budget_is_over(
                server,
            ))
        },
    ),
    everywhere(
        "a_write_without_answer_is_indeterminate_and_not_sent_again",
        |server| {
            Box::pin(a_write_without_answer_is_indeterminate_and_not_sent_again(
                server,
            ))
        },
    ),
    everywhere("a_read_without_answer_is_sent_again", |server| {
        Box::pin(a_read_without_answer_is_sent_again(server))
    }),
    everywhere("a_transaction_without_answer_happens_once", |server| {
        Box::pin(a_transaction_without_answer_happens_once(server))
    }),
    everywhere("silence_ends_with_the_request_timeout", |server| {
        Box::pin(silence_ends_with_the_request_timeout(server))
    }),
    everywhere("what_may_not_be_done_is_denied", |server| {
        Box::pin(what_may_not_be_done_is_denied(server))
    }),
];

/// A store behind a proxy, on a table that is there.
async fn behind_proxy(server: Server) -> (Place, Proxy, Arc<DynamoStore>) {
    let mut place = server.place();
    place.store(Settings::default()).await;
    let proxy = Proxy::to(&server.endpoint().unwrap()).await;
    place.config.endpoint = Some(format!("http://{}", proxy.address));
    place.config.request_timeout = Duration::from_millis(1_500);
    place.config.retry_budget = Duration::from_secs(3);
    let store = place.open(Settings::default()).await;
    place.config.endpoint = Some(server.endpoint().unwrap());
    (place, proxy, store)
}

async fn an_endpoint_that_refuses_is_unavailable() {
    let config = DynamoConfig {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        credentials: Some(credentials()),
        ..DynamoConfig::default()
    };
    let store = DynamoStore::open(config, Settings::default()).await;
    let store = store.unwrap();
    let nonce = "nonce".parse().unwrap();
    let started = Instant::now();
    let error = store.store_nonce(&nonce, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable() && error.to_string().contains("endpoint"));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(store.health().await.is_err());
}

const THROTTLED: Fault = Fault::Refuse("ProvisionedThroughputExceededException");

async fn throttled_requests_are_sent_again(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    let nonce = "nonce".parse().unwrap();
    proxy.fail("PutItem", [THROTTLED, Fault::Refuse("ThrottlingException")]);
    store.store_nonce(&nonce, None).await.unwrap();
    assert_eq!(proxy.seen(), 3);
    proxy.fail(
        "UpdateItem",
        [Fault::Refuse("TransactionConflictException")],
    );
    assert!(store.consume_nonce("nonce").await.unwrap());
    assert_eq!(proxy.seen(), 2);
    place.remove().await;
}

async fn throttling_without_end_is_told_when_the_budget_is_over(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    proxy.fail("PutItem", [THROTTLED; 1_000]);
    let nonce = "nonce".parse().unwrap();
    let started = Instant::now();
    let error = store.store_nonce(&nonce, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
    assert_eq!(error.code(), Some("ProvisionedThroughputExceededException"));
    assert!(proxy.seen() > 4 && started.elapsed() < Duration::from_secs(6));
    place.remove().await;
}

async fn a_write_without_answer_is_indeterminate_and_not_sent_again(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    let nonce = "nonce".parse().unwrap();
    store.store_nonce(&nonce, None).await.unwrap();
    proxy.fail("UpdateItem", [Fault::Swallow]);
    let error = store.consume_nonce("nonce").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    assert!(!error.is_retryable());
    assert_eq!(proxy.seen(), 1);
    assert!(!store.consume_nonce("nonce").await.unwrap(), "it happened");
    place.remove().await;
}

async fn a_read_without_answer_is_sent_again(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    proxy.fail("Query", [Fault::Swallow]);
    assert_eq!(store.count_jts_sessions("alice").await.unwrap(), 0);
    assert_eq!(proxy.seen(), 2);
    place.remove().await;
}

async fn a_transaction_without_answer_happens_once(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    proxy.fail("TransactWriteItems", [Fault::Swallow]);
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::AllowAll);
    let created = created.await.unwrap();
    assert_eq!(proxy.seen(), 2);
    let sessions = store.list_jts_sessions("alice").await.unwrap();
    assert_eq!(sessions, [created.session]);
    place.remove().await;
}

async fn silence_ends_with_the_request_timeout(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    proxy.fail("PutItem", [Fault::Hang]);
    let nonce = "nonce".parse().unwrap();
    let started = Instant::now();
    let error = store.store_nonce(&nonce, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    assert!(started.elapsed() < Duration::from_secs(4));
    place.remove().await;
}

async fn what_may_not_be_done_is_denied(server: Server) {
    let (place, proxy, store) = behind_proxy(server).await;
    proxy.fail("PutItem", [Fault::Refuse("AccessDeniedException")]);
    let nonce = "nonce".parse().unwrap();
    let error = store.store_nonce(&nonce, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!((error.is_retryable(), proxy.seen()), (false, 1));
    place.remove().await;
}
