//! A web application that keeps its login sessions on any backend: set `STORE_URL`, and run it with
//! `cargo run -p store --example axum --all-features`. Started twice with the same `STORE_URL` and another
//! `LISTEN`, a login or logout on one is one on both.
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::{env, error::Error, time::Duration};

use axum::{Router, extract::Path, http::StatusCode, routing::get, routing::post};
use store::tower_sessions::TowerSessionStore;
use tokio::{net::TcpListener, signal, time};
use tower_sessions::{ExpiredDeletion, Expiry, Session, SessionManagerLayer, cookie, session};

type Answer = Result<String, StatusCode>;

fn failed(_: session::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

// A real application would check a password or an ID token here.
async fn login(session: Session, Path(user): Path<String>) -> Answer {
    // A new id for the new rights: somebody else may have put the old cookie there.
    session.cycle_id().await.map_err(failed)?;
    session.insert("user", &user).await.map_err(failed)?;
    Ok(format!("hello {user}\n"))
}

async fn whoami(session: Session) -> Answer {
    let user = session.get::<String>("user").await.map_err(failed)?;
    user.map(|user| user + "\n").ok_or(StatusCode::UNAUTHORIZED)
}

async fn count(session: Session, Path(what): Path<String>) -> Answer {
    let before: Option<u64> = session.get(&what).await.map_err(failed)?;
    let count = before.unwrap_or(0) + 1;
    session.insert(&what, count).await.map_err(failed)?;
    Ok(format!("{count}\n"))
}

async fn logout(session: Session) -> Answer {
    session.flush().await.map_err(failed)?;
    Ok("goodbye\n".to_owned())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("STORE_URL").unwrap_or_else(|_| "memory:".to_owned());
    let store = store::connect(&url).await?;
    store.bootstrap().await?;
    let sessions = TowerSessionStore::new(store.clone());

    let expired = sessions.clone();
    tokio::spawn(async move {
        loop {
            if let Err(error) = expired.delete_expired().await {
                eprintln!("{error}; what has expired is absent all the same");
            }
            time::sleep(Duration::from_secs(60)).await;
        }
    });

    let day = Expiry::OnInactivity(cookie::time::Duration::days(1));
    let app = Router::new()
        .route("/login/{user}", post(login))
        .route("/whoami", get(whoami))
        .route("/count/{what}", post(count))
        .route("/logout", post(logout))
        .layer(SessionManagerLayer::new(sessions).with_expiry(day));
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let stop = async { drop(signal::ctrl_c().await) };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    store.close().await;
    Ok(())
}
