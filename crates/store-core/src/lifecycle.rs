//! Asking a store how it is, and closing it.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::error::Result;

/// What a backend can and can't do beyond the contract that all keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// What is written survives the process, and other processes see it.
    pub durable: bool,
    /// It has tables, which [`SchemaStore::bootstrap`](crate::SchemaStore::bootstrap) creates.
    pub schema: bool,
    /// A call that deletes or revokes JTS sessions of a principal does so in one step, however many
    /// they are. Without it more than some 90 go in batches: a process that dies in between leaves
    /// the rest valid, until the call is made again.
    pub atomic_revocation: bool,
}

/// A server that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The server and its version, such as `PostgreSQL 18.1`.
    pub server: String,
    /// How long it took to answer.
    pub latency: Duration,
}

/// Asks a store how it is, and closes it.
#[async_trait]
pub trait Lifecycle: Send + Sync {
    /// What this backend can and can't do.
    fn capabilities(&self) -> Capabilities;

    /// Asks the server and waits for its answer.
    ///
    /// # Errors
    /// Why it does not answer.
    async fn health(&self) -> Result<Health>;

    /// Waits for what is in flight and closes all connections. Every later call fails with
    /// [`Closed`](crate::ErrorKind::Closed). Closing again does nothing.
    async fn close(&self);
}
