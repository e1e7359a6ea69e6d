//! What a case works with: stores of one namespace, a clock it can set, and fixtures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store_core::{Capabilities, Clock, ManualClock, Settings, Store, Timestamp};
use tokio::sync::OnceCell;

use crate::backend::Namespace;
use crate::fixtures::Fixtures;

/// The world of one case. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    shared: Arc<Shared>,
    settings: Settings,
}

struct Shared {
    namespace: Box<dyn Namespace>,
    capabilities: Capabilities,
    clock: ManualClock,
    fixtures: Fixtures,
    bootstrapped: OnceCell<()>,
    opened: Mutex<Vec<Arc<dyn Store>>>,
}

impl World {
    pub(crate) fn new(
        case: &str,
        namespace: Box<dyn Namespace>,
        capabilities: Capabilities,
    ) -> Self {
        let clock = ManualClock::default();
        let settings = Settings {
            clock: Arc::new(clock.clone()),
            ..Settings::default()
        };
        Self {
            shared: Arc::new(Shared {
                namespace,
                capabilities,
                clock,
                fixtures: Fixtures::new(case),
                bootstrapped: OnceCell::new(),
                opened: Mutex::default(),
            }),
            settings,
        }
    }

    /// The same world with other settings for the stores that are opened from now on. All stores of
    /// a case should have the same.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// A store in the namespace, bootstrapped, with connections of its own.
    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        self.bootstrap().await;
        self.open().await
    }

    /// Several stores in the same namespace, as several processes would have.
    pub(crate) async fn stores(&self, count: usize) -> Vec<Arc<dyn Store>> {
        let mut stores = Vec::new();
        for _ in 0..count {
            stores.push(self.store().await);
        }
        stores
    }

    /// A store in the namespace as it is, bootstrapped or not.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let store = self.shared.namespace.open(self.settings.clone()).await;
        self.keep(store)
    }

    /// A store with the right to create tables, in the namespace as it is.
    pub(crate) async fn open_as_admin(&self) -> Arc<dyn Store> {
        let settings = self.settings.clone();
        let store = self.shared.namespace.open_as_admin(settings).await;
        self.keep(store)
    }

    /// Creates the tables, once.
    pub(crate) async fn bootstrap(&self) {
        if !self.shared.capabilities.schema {
            return;
        }
        let bootstrap = async || {
            let admin = self.open_as_admin().await;
            admin.bootstrap().await.expect("bootstrap succeeds");
            self.shared.namespace.after_bootstrap().await;
            admin.close().await;
        };
        self.shared.bootstrapped.get_or_init(bootstrap).await;
    }

    fn keep(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let mut opened = self
            .shared
            .opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        opened.push(Arc::clone(&store));
        store
    }

    /// Closes all stores that were opened.
    pub(crate) async fn close_all(&self) {
        let opened = std::mem::take(
            &mut *self
                .shared
                .opened
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for store in opened {
            store.close().await;
        }
    }

    /// Removes the namespace.
    pub(crate) async fn remove_namespace(&self) {
        self.shared.namespace.remove().await;
    }

    /// Things to store, the same at every run.
    pub(crate) fn make(&self) -> &Fixtures {
        &self.shared.fixtures
    }

    /// The settings that the stores are opened with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the stores' clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The instant that far from now.
    pub(crate) fn after(&self, duration: Duration) -> Timestamp {
        let instant = self.now().checked_add(duration);
        instant.expect("cases stay before the year 9999")
    }

    /// Moves the stores' clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Moves the stores' clock to an instant that has not come yet.
    pub(crate) fn advance_to(&self, instant: Timestamp) {
        let left = instant.since(self.now());
        self.advance(left.expect("the instant is still to come"));
    }

    /// Moves the stores' clock forward to a millisecond before an instant.
    pub(crate) fn advance_to_just_before(&self, instant: Timestamp) {
        let left = instant
            .since(self.now())
            .expect("the instant is still to come");
        self.advance(left - Duration::from_millis(1));
    }

    /// Steps the stores' clock back.
    pub(crate) fn rewind(&self, by: Duration) {
        self.shared.clock.rewind(by);
    }
}

/// Whole seconds.
pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whole milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
