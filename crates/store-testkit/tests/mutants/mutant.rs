//! A memory store behind a wrapper that breaks one promise.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use store_core::{
    Clock, Deployment, LaunchConfig, LockToken, Principal, Settings, Store, Timestamp,
};
use store_memory::MemoryStore;
use store_testkit::{Backend, Namespace};

use crate::bugs::Bug;

/// The backend whose stores have a bug.
pub(crate) struct Mutated(pub(crate) Bug);

#[async_trait]
impl Backend for Mutated {
    fn name(&self) -> &'static str {
        "mutant"
    }

    fn lane(&self) -> &'static str {
        "embedded"
    }

    async fn namespace(&self) -> Box<dyn Namespace> {
        Box::new(Place {
            bug: self.0,
            data: MemoryStore::default(),
            notes: Arc::default(),
        })
    }
}

struct Place {
    bug: Bug,
    data: MemoryStore,
    notes: Arc<Mutex<Notes>>,
}

#[async_trait]
impl Namespace for Place {
    async fn open(&self, settings: Settings) -> Arc<dyn Store> {
        Arc::new(Mutant {
            bug: self.bug,
            inner: self.data.reopen(settings.clone()),
            data: self.data.clone(),
            settings,
            notes: Arc::clone(&self.notes),
        })
    }

    async fn remove(&self) {}
}

/// What a bug remembers that the store does not tell, or should have forgotten.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) nonces: HashMap<String, Timestamp>,
    pub(crate) used: HashSet<String>,
    /// Whether consumed nonces were deleted.
    pub(crate) forgotten: bool,
    pub(crate) touched: HashMap<String, Timestamp>,
    pub(crate) tokens: HashMap<String, LockToken>,
    pub(crate) locked: HashMap<String, Timestamp>,
    pub(crate) principals: HashSet<Principal>,
    pub(crate) copies: HashMap<[String; 3], Option<Arc<LaunchConfig>>>,
    pub(crate) orphans: HashMap<(String, String), Deployment>,
}

pub(crate) struct Mutant {
    pub(crate) bug: Bug,
    pub(crate) inner: MemoryStore,
    /// The data without this store's settings.
    data: MemoryStore,
    pub(crate) settings: Settings,
    notes: Arc<Mutex<Notes>>,
}

impl Mutant {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.settings.now()
    }

    /// The same data seen with a clock that is off by so many milliseconds.
    pub(crate) fn with_clock_off_by(&self, millis: i64) -> MemoryStore {
        let clock = Arc::clone(&self.settings.clock);
        self.with(|settings| settings.clock = Arc::new(Shifted { clock, millis }))
    }

    /// The same data seen by a clock that is years late, to which all that expired lives.
    pub(crate) fn with_expired(&self) -> MemoryStore {
        self.with_clock_off_by(-10 * 365 * 24 * 3_600_000)
    }

    /// The same data with other settings.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Settings)) -> MemoryStore {
        let mut settings = self.settings.clone();
        change(&mut settings);
        self.data.reopen(settings)
    }
}

/// What separates a read from a write where both should be one step.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

struct Shifted {
    clock: Arc<dyn Clock>,
    millis: i64,
}

impl fmt::Debug for Shifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shifted({} ms)", self.millis)
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now().unix_millis() + self.millis)
    }
}
