//! The examples' Lambda handlers, called as the runtime calls them.

use std::time::{Duration, SystemTime};

use lambda_http::http::StatusCode;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::json;
use store::{CleanupKind, Settings};

#[allow(dead_code, reason = "its `main` waits for AWS")]
#[path = "../examples/cleanup_lambda.rs"]
mod cleanup_lambda;
#[allow(dead_code, reason = "its `main` waits for AWS")]
#[path = "../examples/lambda.rs"]
mod lambda;

#[tokio::test]
async fn a_nonce_is_taken_once() {
    let store = store::connect("memory:").await.unwrap();
    let nonce = "n-0S6_WzA2Mj";
    store
        .store_nonce(&nonce.parse().unwrap(), None)
        .await
        .unwrap();
    let post = async |body: &str| {
        let request = lambda_http::Request::new(body.into());
        lambda::handle(&*store, request).await.unwrap().status()
    };
    assert_eq!(post("another").await, StatusCode::UNAUTHORIZED);
    assert_eq!(post("").await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(nonce).await, StatusCode::NO_CONTENT);
    assert_eq!(post(nonce).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn cleanup_stops_before_the_deadline() {
    let clock = store::ManualClock::default();
    let settings = Settings {
        clock: std::sync::Arc::new(clock.clone()),
        ..Settings::default()
    };
    let store = store::connect_with("memory:", settings).await.unwrap();
    for nonce in ["n-1", "n-2"] {
        let nonce = nonce.parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();
    }
    clock.advance(Duration::from_secs(601));

    // As EventBridge sends it.
    let event = json!({
        "version": "0",
        "id": "89d1a02d-5ec7-412e-82f5-13505f849b41",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/cleanup"],
        "detail": {}
    });
    let called = async |seconds_left: u64| {
        let deadline = SystemTime::now() + Duration::from_secs(seconds_left);
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let mut context = Context::default();
        context.deadline = u64::try_from(deadline.as_millis()).unwrap();
        let event = serde_json::from_value(event.clone()).unwrap();
        let event = LambdaEvent::new(event, context);
        cleanup_lambda::handle(&*store, event).await.unwrap()
    };
    let report = called(3).await;
    assert_eq!((report.total(), report.finished), (0, false));
    let report = called(30).await;
    assert_eq!(
        (report.deleted[&CleanupKind::Nonces], report.finished),
        (2, true)
    );
    let answer = serde_json::to_value(&report).unwrap();
    assert_eq!(answer["deleted"]["nonces"], 2);
}
