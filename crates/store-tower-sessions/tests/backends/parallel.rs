//! Requests of one browser that are under way at once.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tower_sessions::SessionManagerLayer;

use crate::browser::{Answer, Browser, app};
use crate::{Case, Given};

pub(crate) const CASES: &[Case] = &[
    ("parallel::requests_undo_nothing", |g| {
        Box::pin(undo_nothing(g))
    }),
    ("parallel::a_logout_is_not_undone", |g| Box::pin(logout(g))),
    ("parallel::a_login_is_not_undone", |g| Box::pin(login(g))),
    ("parallel::always_saving_undoes_nothing", |g| {
        Box::pin(always_saving(g))
    }),
];

/// The application, and a barrier for that many slow requests and the test itself.
fn slow_app(given: &Given, requests: usize, always_save: bool) -> (Router, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(requests + 1));
    let layer = SessionManagerLayer::new(given.sessions.clone());
    let layer = layer.with_always_save(always_save);
    (app(layer, Arc::clone(&barrier)), barrier)
}

fn start(browser: &Browser, path: String) -> JoinHandle<Answer> {
    let browser = browser.clone();
    tokio::spawn(async move { browser.peek(&path).await })
}

async fn undo_nothing(given: Given) {
    const REQUESTS: usize = 12;
    let (app, barrier) = slow_app(&given, REQUESTS, false);
    let mut browser = Browser::of(&app);
    browser.body("/set/user/1").await;
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| start(&browser, format!("/slow/p{n}/{n}")))
        .collect();
    barrier.wait().await;
    browser.body("/remove/user").await;
    barrier.wait().await;
    for request in requests {
        assert_eq!(request.await.unwrap().status, StatusCode::OK);
    }
    for n in 0..REQUESTS {
        assert_eq!(
            browser.body(&format!("/get/p{n}")).await,
            format!("Some({n})")
        );
    }
    assert_eq!(browser.body("/get/user").await, "None");
}

/// Has a request under way while the browser requests `path`; the request fails and sets no cookie.
async fn too_late(given: &Given, path: &str) -> (Browser, Browser) {
    let (app, barrier) = slow_app(given, 1, false);
    let mut browser = Browser::of(&app);
    browser.body("/set/user/1").await;
    let before = browser.clone();
    let late = start(&browser, "/slow/user/2".to_owned());
    barrier.wait().await;
    browser.body(path).await;
    barrier.wait().await;
    let answer = late.await.unwrap();
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.cookie.is_none(), "{answer:?}");
    assert_eq!(before.peek("/get/user").await.body, "None");
    (before, browser)
}

async fn logout(given: Given) {
    let (_, mut browser) = too_late(&given, "/flush").await;
    assert_eq!(browser.cookie, None);
    assert_eq!(browser.body("/get/user").await, "None");
}

async fn login(given: Given) {
    let (before, mut browser) = too_late(&given, "/cycle").await;
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(browser.body("/get/user").await, "Some(1)");
}

async fn always_saving(given: Given) {
    let (app, barrier) = slow_app(&given, 1, true);
    let mut browser = Browser::of(&app);
    browser.body("/set/user/1").await;
    // It loads `user` as 1 and sets it to 1 later, which is no change.
    let idle = start(&browser, "/slow/user/1".to_owned());
    barrier.wait().await;
    browser.body("/set/user/2").await;
    barrier.wait().await;
    assert_eq!(idle.await.unwrap().status, StatusCode::OK);
    assert_eq!(browser.body("/get/user").await, "Some(2)");
}
