//! Deleting what has expired.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;

use crate::error::Result;

/// What can expire, under the names of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupKind {
    /// Nonces.
    Nonces,
    /// LTI sessions.
    Sessions,
    /// Dynamic registrations under way.
    RegistrationSessions,
    /// JTS sessions.
    JtsSessions,
    /// Login sessions.
    LoginSessions,
}

impl CleanupKind {
    /// All kinds, in the order in which they are cleaned up.
    pub const ALL: [Self; 5] = [
        Self::Nonces,
        Self::Sessions,
        Self::RegistrationSessions,
        Self::JtsSessions,
        Self::LoginSessions,
    ];

    /// The name of the kind, such as `registration_sessions`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nonces => "nonces",
            Self::Sessions => "sessions",
            Self::RegistrationSessions => "registration_sessions",
            Self::JtsSessions => "jts_sessions",
            Self::LoginSessions => "login_sessions",
        }
    }
}

impl fmt::Display for CleanupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How to clean up.
#[derive(Clone, Debug)]
pub struct CleanupOptions {
    /// Which kinds. All by default.
    pub kinds: Vec<CleanupKind>,
    /// How many rows a statement deletes at most. 1,000 by default.
    pub batch: u32,
    /// How long to rest between statements. Nothing by default.
    pub pause: Duration,
    /// When to stop at the latest, checked between statements. Never by default.
    pub budget: Option<Duration>,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self {
            kinds: CleanupKind::ALL.to_vec(),
            batch: 1_000,
            pause: Duration::ZERO,
            budget: None,
        }
    }
}

/// What was cleaned up so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanupReport {
    /// How many rows of each kind were deleted.
    pub deleted: BTreeMap<CleanupKind, u64>,
    /// Whether nothing expired was left. `false` when the budget ran out: call again.
    pub finished: bool,
}

impl CleanupReport {
    /// How many rows were deleted in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.deleted.values().sum()
    }
}

/// Deletes expired rows, a bounded number at a time.
#[async_trait]
pub trait CleanupStore: Send + Sync {
    /// Deletes up to `limit` expired rows of a kind, those that expired first, and tells how many.
    /// It takes them off an index, passes over rows that another call is deleting, and blocks
    /// neither readers nor writers. Fewer than `limit` means that nothing else was left.
    ///
    /// # Errors
    /// Those of the connection only.
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64>;
}

/// Cleaning up altogether, on every store.
#[async_trait]
pub trait CleanupStoreExt: CleanupStore {
    /// Deletes what has expired, batch by batch, and calls `progress` after each. It may be
    /// interrupted at any point and called again, and run in several processes at once.
    ///
    /// # Errors
    /// Those of the connection only. What was deleted before stays deleted.
    async fn cleanup(
        &self,
        options: &CleanupOptions,
        progress: &mut (dyn for<'a> FnMut(&'a CleanupReport) + Send),
    ) -> Result<CleanupReport> {
        let started = Instant::now();
        let batch = options.batch.max(1);
        let mut report = CleanupReport::default();
        for &kind in &options.kinds {
            report.deleted.insert(kind, 0);
        }
        for &kind in &options.kinds {
            loop {
                if options
                    .budget
                    .is_some_and(|budget| started.elapsed() >= budget)
                {
                    return Ok(report);
                }
                let deleted = self.delete_expired(kind, batch).await?;
                *report.deleted.entry(kind).or_default() += deleted;
                progress(&report);
                if deleted < u64::from(batch) {
                    break;
                }
                if !options.pause.is_zero() {
                    tokio::time::sleep(options.pause).await;
                }
            }
        }
        report.finished = true;
        Ok(report)
    }
}

impl<S: CleanupStore + ?Sized> CleanupStoreExt for S {}
