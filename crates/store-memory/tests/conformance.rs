//! The contract, on the memory store: as it is, and with a cache in front.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{CacheOptions, Cached, Settings, Store};
use store_memory::MemoryStore;
use store_testkit::{Backend, Lane, Namespace};

struct Memory {
    cached: bool,
}

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn lane(&self) -> &'static str {
        if self.cached { "cached" } else { "embedded" }
    }

    fn caches(&self) -> bool {
        self.cached
    }

    async fn namespace(&self) -> Box<dyn Namespace> {
        Box::new(Shared {
            store: MemoryStore::default(),
            cached: self.cached,
        })
    }
}

/// What the stores of a case share.
struct Shared {
    store: MemoryStore,
    cached: bool,
}

#[async_trait]
impl Namespace for Shared {
    async fn open(&self, settings: Settings) -> Arc<dyn Store> {
        let clock = Arc::clone(&settings.clock);
        let store = Arc::new(self.store.reopen(settings));
        if !self.cached {
            return store;
        }
        Arc::new(Cached::new(store, clock, CacheOptions::default()))
    }

    async fn remove(&self) {}
}

fn main() {
    let lane = |cached| Lane::Run(Box::new(Memory { cached }));
    store_testkit::run(vec![lane(false), lane(true)])
}
