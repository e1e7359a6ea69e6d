//! A proxy in front of the server that can answer in its place, or swallow answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Answer with this error of DynamoDB's, and do nothing.
    Refuse(&'static str),
    /// Do it, and cut the connection instead of answering.
    Swallow,
    /// Never answer, and do nothing.
    Hang,
}

/// A proxy that meets requests of one kind with faults, in their order, and lets all others pass.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: &'static str,
    faults: VecDeque<Fault>,
    seen: usize,
}

impl Proxy {
    /// A proxy to the server at this endpoint.
    pub(crate) async fn to(endpoint: &str) -> Self {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                target: "",
                faults: VecDeque::new(),
                seen: 0,
            })),
        };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, server) = (serving.clone(), server.clone());
                tokio::spawn(async move { serving.serve(stream, &server).await });
            }
        });
        proxy
    }

    /// Meets the next requests of a kind, such as `PutItem`, with these faults.
    pub(crate) fn fail(&self, target: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.state.lock().unwrap();
        state.target = target;
        state.faults = faults.into_iter().collect();
        state.seen = 0;
    }

    /// How many requests of that kind have come since.
    pub(crate) fn seen(&self) -> usize {
        self.state.lock().unwrap().seen
    }

    fn next(&self, head: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let target = format!(".{}", state.target);
        if state.target.is_empty() || !head.lines().any(|line| line.ends_with(&target)) {
            return None;
        }
        state.seen += 1;
        state.faults.pop_front()
    }

    async fn serve(&self, mut stream: TcpStream, server: &str) -> Option<()> {
        loop {
            let request = message(&mut stream).await?;
            let head = String::from_utf8_lossy(&request).into_owned();
            match self.next(&head) {
                Some(Fault::Hang) => std::future::pending::<()>().await,
                Some(Fault::Refuse(code)) => {
                    let body = format!(
                        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#
                    );
                    let answer = format!(
                        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.ok()?;
                }
                fault => {
                    let mut onward = TcpStream::connect(server).await.ok()?;
                    onward.write_all(&request).await.ok()?;
                    let answer = message(&mut onward).await?;
                    if fault.is_some() {
                        return None;
                    }
                    stream.write_all(&answer).await.ok()?;
                }
            }
        }
    }
}

/// A whole message of HTTP/1.1 whose length is said.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut part = [0; 16_384];
        let length = stream.read(&mut part).await.ok()?;
        if length == 0 {
            return None;
        }
        message.extend_from_slice(&part[..length]);
        let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&message[..end]).to_lowercase();
        let said = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = said.map_or(0, |length| length.trim().parse().unwrap_or(0));
        if message.len() >= end + 4 + length {
            return Some(message);
        }
    }
}
