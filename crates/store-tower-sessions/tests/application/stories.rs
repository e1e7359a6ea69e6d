//! What users of the application do.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::Story;
use crate::client::Browser;
use crate::places::Place;
use crate::server::Server;

pub(crate) const STORIES: &[Story] = &[
    ("a_user_logs_in_and_out", false, |place| {
        Box::pin(in_and_out(place))
    }),
    ("requests_at_once_undo_nothing", false, |place| {
        Box::pin(at_once(place))
    }),
    ("two_servers_know_the_same_sessions", true, |place| {
        Box::pin(two_servers(place))
    }),
    ("a_session_outlives_its_server", true, |place| {
        Box::pin(outlived(place))
    }),
];

fn ok(body: &str) -> (StatusCode, String) {
    (StatusCode::OK, format!("{body}\n"))
}

fn unauthorized() -> (StatusCode, String) {
    (StatusCode::UNAUTHORIZED, String::new())
}

async fn in_and_out(place: Arc<Place>) {
    let server = Server::start(&place).await;
    let mut alice = Browser::new();
    assert_eq!(alice.get(&server, "/whoami").await, unauthorized());
    assert_eq!(alice.cookie, None);
    assert_eq!(alice.post(&server, "/count/visits").await, ok("1"));
    let anonymous = alice.clone();
    assert_eq!(alice.post(&server, "/login/alice").await, ok("hello alice"));
    assert_ne!(alice.cookie, anonymous.cookie);
    assert_eq!(alice.get(&server, "/whoami").await, ok("alice"));
    assert_eq!(alice.post(&server, "/count/visits").await, ok("2"));
    // Whoever put or saw the cookie of before the login has nothing.
    let mut fixed = anonymous.clone();
    assert_eq!(fixed.get(&server, "/whoami").await, unauthorized());

    let mut bob = Browser::new();
    assert_eq!(bob.post(&server, "/login/bob").await, ok("hello bob"));
    let mut stolen = alice.clone();
    assert_eq!(alice.post(&server, "/logout").await, ok("goodbye"));
    assert_eq!(alice.cookie, None);
    assert_eq!(stolen.get(&server, "/whoami").await, unauthorized());
    assert_eq!(bob.get(&server, "/whoami").await, ok("bob"));
    // Logging out twice is fine.
    assert_eq!(alice.post(&server, "/logout").await, ok("goodbye"));
}

/// Has requests of one browser made at once, on these servers in turn, and then all counted once more.
async fn count_at_once(alice: &mut Browser, servers: &[Arc<Server>]) {
    let requests: Vec<_> = (0..10)
        .map(|n| {
            let mut alice = alice.clone();
            let server = Arc::clone(&servers[n % servers.len()]);
            tokio::spawn(async move { alice.post(&server, &format!("/count/c{n}")).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), ok("1"));
    }
    for n in 0..10 {
        let counted = alice.post(&servers[0], &format!("/count/c{n}")).await;
        assert_eq!(counted, ok("2"));
    }
    assert_eq!(alice.get(&servers[0], "/whoami").await, ok("alice"));
}

async fn at_once(place: Arc<Place>) {
    let server = Arc::new(Server::start(&place).await);
    let mut alice = Browser::new();
    alice.post(&server, "/login/alice").await;
    count_at_once(&mut alice, &[server]).await;
}

async fn two_servers(place: Arc<Place>) {
    // Both find no tables, and make them.
    let (one, other) = tokio::join!(Server::start(&place), Server::start(&place));
    let (one, other) = (Arc::new(one), Arc::new(other));
    let mut alice = Browser::new();
    assert_eq!(alice.post(&one, "/login/alice").await, ok("hello alice"));
    assert_eq!(alice.get(&other, "/whoami").await, ok("alice"));
    assert_eq!(alice.post(&one, "/count/visits").await, ok("1"));
    assert_eq!(alice.post(&other, "/count/visits").await, ok("2"));
    count_at_once(&mut alice, &[Arc::clone(&one), Arc::clone(&other)]).await;

    let mut elsewhere = alice.clone();
    assert_eq!(alice.post(&other, "/logout").await, ok("goodbye"));
    assert_eq!(elsewhere.get(&one, "/whoami").await, unauthorized());
    assert_eq!(alice.get(&one, "/whoami").await, unauthorized());
}

async fn outlived(place: Arc<Place>) {
    let mut alice = Browser::new();
    let first = Server::start(&place).await;
    alice.post(&first, "/login/alice").await;
    drop(first);
    let second = Server::start(&place).await;
    assert_eq!(alice.get(&second, "/whoami").await, ok("alice"));
}
