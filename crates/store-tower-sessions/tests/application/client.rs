//! A browser that keeps one cookie.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::server::Server;

/// A browser. Clones have the cookie that it has now, and keep their own from then on.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    client: Client<HttpConnector, Body>,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookie: None,
        }
    }

    pub(crate) async fn get(&mut self, server: &Server, path: &str) -> (StatusCode, String) {
        self.request(Method::GET, server, path).await
    }

    pub(crate) async fn post(&mut self, server: &Server, path: &str) -> (StatusCode, String) {
        self.request(Method::POST, server, path).await
    }

    async fn request(&mut self, method: Method, on: &Server, path: &str) -> (StatusCode, String) {
        let uri = format!("http://{}{path}", on.address);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.client.request(request).await.unwrap();
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            for attribute in ["HttpOnly", "SameSite=Strict", "Secure"] {
                assert!(
                    cookie.contains(attribute) || cookie.contains("Max-Age=0"),
                    "{cookie}"
                );
            }
            let (pair, _) = cookie.split_once(';').unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), 1_000_000).await;
        (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
    }
}
