//! The application in a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::places::{AWS_ENVIRONMENT, Place};

/// The variable that makes this program the application.
pub(crate) const SERVE: &str = "STORE_TEST_SERVE_EXAMPLE";

/// A running application. It is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _process: Child,
}

impl Server {
    /// Starts the application on a place, and waits until it listens.
    pub(crate) async fn start(place: &Place) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(SERVE, "1")
            .env("STORE_URL", &place.url)
            .env("LISTEN", "127.0.0.1:0")
            .envs(AWS_ENVIRONMENT)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let line = BufReader::new(output).lines().next_line().await.unwrap();
        let line = line.expect("the application says where it listens");
        let address = line.strip_prefix("listening on ").unwrap();
        Self {
            address: address.parse().unwrap(),
            _process: process,
        }
    }
}
