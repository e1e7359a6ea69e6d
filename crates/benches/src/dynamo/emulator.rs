//! The emulator of the crate dynoxide-rs in a process of its own, so that its work is not taken for the client's.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use dynoxide::Database;

/// The argument that makes this program the emulator.
const COMMAND: &str = "emulator";

pub(super) struct Emulator {
    process: Child,
    endpoint: String,
}

impl Emulator {
    pub(super) fn start() -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Command::new(program)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the emulator")?;
        let output = process
            .stdout
            .take()
            .context("the emulator has no output")?;
        let mut endpoint = String::new();
        BufReader::new(output)
            .read_line(&mut endpoint)
            .context("waiting for the emulator")?;
        Ok(Self {
            process,
            endpoint: endpoint.trim().to_owned(),
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until the process that started this is gone.
pub(crate) async fn serve() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let database = Database::memory().context("making a database")?;
    std::thread::spawn(|| {
        // Nobody writes; it ends with the writer.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    dynoxide::server::serve_on(listener, database).await;
    Ok(())
}
