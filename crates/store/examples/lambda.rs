//! An AWS Lambda function behind an HTTP API: an LTI launch's nonce is taken once, whichever instance asks.
//!
//! It connects when an instance starts and keeps the connection from one event to the next. On Lambda a
//! store opens one connection unless told otherwise, because an instance handles one event at a time. The
//! tables are made when the function is deployed (`storectl bootstrap`), not here.

use std::env;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use store::Store;

/// Answers 204 for the first POST of a nonce that the login stored, and 401 for every other.
pub(crate) async fn handle(store: &dyn Store, request: Request) -> Result<Response<Body>, Error> {
    let nonce = std::str::from_utf8(request.body()).unwrap_or_default();
    let taken = store.consume_nonce(nonce.trim()).await?;
    let status = if taken {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    };
    Ok(Response::builder().status(status).body(Body::Empty)?)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let store = store::connect(&env::var("STORE_URL")?).await?;
    run(service_fn(|request| handle(&*store, request))).await
}
