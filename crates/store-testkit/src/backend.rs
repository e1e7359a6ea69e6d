//! What a backend tells the suite: how to get an empty place to keep things in, and how to open it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use store_core::{Settings, Store};

/// A server, or a way to reach one, that keeps the contract.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The backend's name, such as `postgres`.
    fn name(&self) -> &'static str;

    /// How it is reached or set up, such as `direct` or `through PgBouncer`. Name and lane together
    /// tell the lanes of a run apart.
    fn lane(&self) -> &'static str;

    /// A fresh, empty namespace that nobody else uses: a schema, a database, a prefix.
    ///
    /// # Panics
    /// If none can be had.
    async fn namespace(&self) -> Box<dyn Namespace>;

    /// Whether what is opened here keeps launch configs and LTI sessions in a memory of its own, so
    /// that it may see late what another store wrote. The cases about that are skipped then.
    fn caches(&self) -> bool {
        false
    }
}

/// An empty place that the stores of one case share.
#[async_trait]
pub trait Namespace: Send + Sync {
    /// Opens it with connections of its own, as another process would, and does not bootstrap it.
    ///
    /// # Panics
    /// If it can't be opened.
    async fn open(&self, settings: Settings) -> Arc<dyn Store>;

    /// Opens it with the right to create tables.
    ///
    /// # Panics
    /// If it can't be opened.
    async fn open_as_admin(&self, settings: Settings) -> Arc<dyn Store> {
        self.open(settings).await
    }

    /// Called after the bootstrap by what [`open_as_admin`](Self::open_as_admin) opened succeeded
    /// and before the stores of the case are opened, for instance to grant rights.
    async fn after_bootstrap(&self) {}

    /// Removes it and everything in it. All stores that were opened in it are closed by then.
    async fn remove(&self);
}

/// A backend to run the cases against, or one to pass over for a reason.
pub enum Lane {
    /// Run the cases against it.
    Run(Box<dyn Backend>),
    /// Count every case as skipped for this reason.
    Skip {
        /// The backend's name.
        backend: &'static str,
        /// How it would be reached.
        lane: &'static str,
        /// Why it can't be run here.
        reason: String,
    },
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(backend) => write!(f, "Run({} {})", backend.name(), backend.lane()),
            Self::Skip {
                backend,
                lane,
                reason,
            } => write!(f, "Skip({backend} {lane}: {reason})"),
        }
    }
}
