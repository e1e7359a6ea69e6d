//! What tower-sessions' own tests expect of a store behind the middleware.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use time::Duration;
use tokio::sync::Barrier;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::browser::{Answer, Browser, app};
use crate::{Case, Given};

pub(crate) const CASES: &[Case] = &[
    ("middleware::no_cookie_without_a_session", |g| {
        Box::pin(no_session(g))
    }),
    ("middleware::an_unknown_cookie_is_replaced", |g| {
        Box::pin(unknown_cookie(g))
    }),
    ("middleware::a_malformed_cookie_is_removed", |g| {
        Box::pin(malformed_cookie(g))
    }),
    ("middleware::the_cookie_is_as_configured", |g| {
        Box::pin(cookie(g))
    }),
    ("middleware::properties_are_set_and_removed", |g| {
        Box::pin(properties(g))
    }),
    ("middleware::a_cycled_session_keeps_its_properties", |g| {
        Box::pin(cycled(g))
    }),
    ("middleware::a_flushed_session_is_gone", |g| {
        Box::pin(flushed(g))
    }),
    (
        "middleware::a_session_used_after_flushing_is_another",
        |g| Box::pin(used_after_flushing(g)),
    ),
    ("middleware::the_expiry_can_be_set", |g| Box::pin(expiry(g))),
    ("middleware::inactivity_ends_a_session", |g| {
        Box::pin(inactivity(g))
    }),
    ("middleware::saving_always_keeps_a_session_alive", |g| {
        Box::pin(always_saved(g))
    }),
    ("middleware::a_handler_can_save_twice", |g| {
        Box::pin(saved_twice(g))
    }),
];

const HOUR: Duration = Duration::hours(1);

/// The application with sessions that end after an hour of inactivity.
fn hourly(given: &Given) -> Router {
    let layer = SessionManagerLayer::new(given.sessions.clone());
    let layer = layer.with_expiry(Expiry::OnInactivity(HOUR));
    app(layer, Arc::new(Barrier::new(1)))
}

/// The application with sessions that end with the browser.
fn open_ended(given: &Given) -> Router {
    let layer = SessionManagerLayer::new(given.sessions.clone());
    let layer = layer.with_domain("localhost");
    app(layer, Arc::new(Barrier::new(1)))
}

fn max_age(answer: &Answer) -> Option<Duration> {
    answer.cookie.as_ref().and_then(|cookie| cookie.max_age())
}

fn is_about(max_age: Option<Duration>, expected: Duration) -> bool {
    max_age.is_some_and(|age| age <= expected && age > expected - Duration::minutes(1))
}

fn advance(given: &Given, by: Duration) {
    given.clock.advance(by.unsigned_abs());
}

async fn no_session(given: Given) {
    let answer = Browser::of(&hourly(&given)).get("/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.cookie.is_none());
    let answer = Browser::of(&hourly(&given)).get("/get/user").await;
    assert_eq!(answer.body, "None");
    assert!(answer.cookie.is_none());
}

async fn unknown_cookie(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    browser.cookie = Some(unknown.to_owned());
    assert_eq!(browser.get("/set/user/1").await.status, StatusCode::OK);
    assert_ne!(browser.cookie.as_deref(), Some(unknown));
    assert_eq!(browser.body("/get/user").await, "Some(1)");
}

async fn malformed_cookie(given: Given) {
    for malformed in [
        "malformed",
        "' OR 1=1 --",
        "ls_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let mut browser = Browser::of(&hourly(&given));
        browser.cookie = Some(malformed.to_owned());
        let answer = browser.get("/").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.cookie.unwrap().value(), "");
    }
}

async fn cookie(given: Given) {
    let answer = Browser::of(&hourly(&given)).get("/set/user/1").await;
    assert!(is_about(max_age(&answer), HOUR), "{answer:?}");
    let cookie = answer.cookie.unwrap();
    assert_eq!((cookie.name(), cookie.path()), ("id", Some("/")));
    assert_eq!(cookie.value().len(), 22);
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.same_site(), Some(SameSite::Strict));
    assert_eq!(cookie.secure(), Some(true));

    let answer = Browser::of(&open_ended(&given)).get("/set/user/1").await;
    assert_eq!(max_age(&answer), None);
}

async fn properties(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    browser.body("/set/user/1").await;
    browser.body("/set/cart/2").await;
    assert_eq!(browser.body("/remove/user").await, "Some(1)");
    assert_eq!(browser.body("/get/user").await, "None");
    assert_eq!(browser.body("/get/cart").await, "Some(2)");
    browser.body("/remove/cart").await;
    assert_eq!(browser.body("/get/cart").await, "None");
}

async fn cycled(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    browser.body("/set/user/1").await;
    let before = browser.clone();
    browser.body("/cycle").await;
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(browser.body("/get/user").await, "Some(1)");
    assert_eq!(before.peek("/get/user").await.body, "None");
}

async fn flushed(given: Given) {
    for app in [hourly(&given), open_ended(&given)] {
        let mut browser = Browser::of(&app);
        browser.body("/set/user/1").await;
        let before = browser.clone();
        let cookie = browser.get("/flush").await.cookie.unwrap();
        assert_eq!((cookie.value(), cookie.path()), ("", Some("/")));
        assert_eq!(cookie.max_age(), Some(Duration::ZERO));
        assert_eq!(before.peek("/get/user").await.body, "None");
    }
}

async fn used_after_flushing(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    browser.body("/set/user/7").await;
    let before = browser.clone();
    browser.body("/flush-and-set/flash").await;
    assert!(browser.cookie.is_some());
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(browser.body("/get/flash").await, "Some(1)");
    assert_eq!(browser.body("/get/user").await, "None");
    assert_eq!(before.peek("/get/flash").await.body, "None");
}

async fn expiry(given: Given) {
    let day = Duration::days(1);
    for app in [hourly(&given), open_ended(&given)] {
        let mut browser = Browser::of(&app);
        browser.body("/set/user/1").await;
        let answer = browser.get("/expire-in/86400").await;
        assert!(is_about(max_age(&answer), day), "{answer:?}");
        advance(&given, day - Duration::minutes(1));
        assert_eq!(browser.body("/get/user").await, "Some(1)");
        assert_eq!(max_age(&browser.get("/expire-with-browser").await), None);
        advance(&given, Duration::weeks(2) - Duration::minutes(1));
        assert_eq!(browser.body("/get/user").await, "Some(1)");
        browser.body("/expire-in/60").await;
        advance(&given, Duration::minutes(1));
        assert_eq!(browser.body("/get/user").await, "None");
    }
}

async fn inactivity(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    browser.body("/set/user/1").await;
    for user in 2..4 {
        advance(&given, HOUR - Duration::minutes(1));
        browser.body(&format!("/set/user/{user}")).await;
    }
    advance(&given, HOUR);
    assert_eq!(browser.body("/get/user").await, "None");
}

async fn always_saved(given: Given) {
    let layer = SessionManagerLayer::new(given.sessions.clone());
    let layer = layer.with_expiry(Expiry::OnInactivity(HOUR));
    let app = app(layer.with_always_save(true), Arc::new(Barrier::new(1)));
    let mut browser = Browser::of(&app);
    browser.body("/set/user/1").await;
    for _ in 0..3 {
        advance(&given, HOUR - Duration::minutes(1));
        assert!(is_about(max_age(&browser.get("/").await), HOUR));
    }
    assert_eq!(browser.body("/get/user").await, "Some(1)");
}

async fn saved_twice(given: Given) {
    let mut browser = Browser::of(&hourly(&given));
    browser.body("/set/busy/0").await;
    browser.body("/twice/busy").await;
    assert_eq!(browser.body("/get/busy").await, "Some(0)");
    // The first save of a new session creates it.
    let mut other = Browser::of(&hourly(&given));
    other.body("/twice/busy").await;
    assert_eq!(other.body("/get/busy").await, "Some(0)");
}
