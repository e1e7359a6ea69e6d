//! An application behind tower-sessions' middleware, and a browser that keeps its cookie.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use store::Store;
use store_tower_sessions::TowerSessionStore;
use time::{Duration, OffsetDateTime};
use tokio::sync::Barrier;
use tower::ServiceExt;
use tower_sessions::cookie::Cookie;
use tower_sessions::session::Error;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

pub(crate) type Layer = SessionManagerLayer<TowerSessionStore<dyn Store>>;

type Answered = Result<String, Refusal>;

/// An error of a session, as a handler answers with it.
pub(crate) struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

/// The application. `/slow/…` handlers wait for `barrier` twice: when they have loaded the session, and
/// before they change it.
pub(crate) fn app(layer: Layer, barrier: Arc<Barrier>) -> Router {
    let set = |session: Session, name: String, value: i64| async move {
        session.insert(&name, value).await?;
        Answered::Ok(String::new())
    };
    Router::new()
        .route("/", get(|_: Session| async { "Hello" }))
        .route(
            "/set/{name}/{value}",
            get(move |session: Session, Path((name, value))| set(session, name, value)),
        )
        .route(
            "/slow/{name}/{value}",
            get(
                move |session: Session, Path((name, value)): Path<(String, i64)>| async move {
                    session.get::<i64>(&name).await?;
                    barrier.wait().await;
                    barrier.wait().await;
                    session.insert(&name, value).await?;
                    Answered::Ok(String::new())
                },
            ),
        )
        .route(
            "/get/{name}",
            get(|session: Session, Path(name): Path<String>| async move {
                Answered::Ok(format!("{:?}", session.get::<i64>(&name).await?))
            }),
        )
        .route(
            "/remove/{name}",
            get(|session: Session, Path(name): Path<String>| async move {
                Answered::Ok(format!("{:?}", session.remove::<i64>(&name).await?))
            }),
        )
        .route(
            "/twice/{name}",
            get(|session: Session, Path(name): Path<String>| async move {
                let before = session.get::<i64>(&name).await?.unwrap_or(0);
                session.insert(&name, 1).await?;
                session.save().await?;
                session.insert(&name, before).await?;
                Answered::Ok(String::new())
            }),
        )
        .route(
            "/cycle",
            get(|session: Session| async move {
                session.cycle_id().await?;
                Answered::Ok(String::new())
            }),
        )
        .route(
            "/flush",
            get(|session: Session| async move {
                session.flush().await?;
                Answered::Ok(String::new())
            }),
        )
        .route(
            "/flush-and-set/{name}",
            get(|session: Session, Path(name): Path<String>| async move {
                session.get::<i64>(&name).await?;
                session.flush().await?;
                session.insert(&name, 1).await?;
                Answered::Ok(String::new())
            }),
        )
        .route(
            "/expire-in/{seconds}",
            get(|session: Session, Path(seconds): Path<i64>| async move {
                let expiry = OffsetDateTime::now_utc() + Duration::seconds(seconds);
                session.set_expiry(Some(Expiry::AtDateTime(expiry)));
            }),
        )
        .route(
            "/expire-with-browser",
            get(|session: Session| async move {
                session.set_expiry(Some(Expiry::OnSessionEnd));
            }),
        )
        .layer(layer)
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) cookie: Option<Cookie<'static>>,
    pub(crate) body: String,
}

/// One browser.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    app: Router,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn of(app: &Router) -> Self {
        Self {
            app: app.clone(),
            cookie: None,
        }
    }

    /// Makes a request and keeps the cookie that the answer sets.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let answer = self.peek(path).await;
        if let Some(cookie) = &answer.cookie {
            let kept = !cookie.value().is_empty();
            self.cookie = kept.then(|| cookie.value().to_owned());
        }
        answer
    }

    /// Makes a request and ignores the cookie that the answer sets.
    pub(crate) async fn peek(&self, path: &str) -> Answer {
        let mut request = Request::builder().uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("id={cookie}"));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let cookie = response.headers().get(header::SET_COOKIE);
        let cookie = cookie.map(|text| Cookie::parse(text.to_str().unwrap().to_owned()).unwrap());
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1_000_000).await;
        Answer {
            status,
            cookie,
            body: String::from_utf8(body.unwrap().to_vec()).unwrap(),
        }
    }

    /// Makes a request that succeeds, and tells its body.
    pub(crate) async fn body(&mut self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }
}
