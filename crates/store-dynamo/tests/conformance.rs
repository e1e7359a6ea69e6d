//! The contract, on the emulator and on DynamoDB Local, straight and with a cache in front.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{CacheOptions, Cached, Settings, Store};
use store_dynamo::DynamoStore;
use store_testkit::{Backend, Lane, Namespace};
use support::{Place, Server};

#[derive(Clone, Copy)]
struct Dynamo {
    server: Server,
    cached: bool,
}

impl Dynamo {
    fn lane(self) -> &'static str {
        match (self.server, self.cached) {
            (Server::Emulator, false) => "emulator",
            (Server::Emulator, true) => "emulator, cached",
            (Server::Local, _) => "DynamoDB Local",
        }
    }
}

#[async_trait]
impl Backend for Dynamo {
    fn name(&self) -> &'static str {
        "dynamo"
    }

    fn lane(&self) -> &'static str {
        Dynamo::lane(*self)
    }

    fn caches(&self) -> bool {
        self.cached
    }

    async fn namespace(&self) -> Box<dyn Namespace> {
        Box::new(Table {
            place: self.server.place(),
            cached: self.cached,
        })
    }
}

struct Table {
    place: Place,
    cached: bool,
}

#[async_trait]
impl Namespace for Table {
    async fn open(&self, settings: Settings) -> Arc<dyn Store> {
        let clock = Arc::clone(&settings.clock);
        let store: Arc<DynamoStore> = self.place.open(settings).await;
        if self.cached {
            Arc::new(Cached::new(store, clock, CacheOptions::default()))
        } else {
            store
        }
    }

    async fn remove(&self) {
        self.place.remove().await;
    }
}

const LANES: [Dynamo; 3] = [
    Dynamo {
        server: Server::Emulator,
        cached: false,
    },
    Dynamo {
        server: Server::Emulator,
        cached: true,
    },
    Dynamo {
        server: Server::Local,
        cached: false,
    },
];

fn main() {
    let lanes = LANES.map(|lane| match lane.server.endpoint() {
        Ok(_) => Lane::Run(Box::new(lane)),
        Err(reason) => Lane::Skip {
            backend: "dynamo",
            lane: lane.lane(),
            reason,
        },
    });
    store_testkit::run(lanes.into());
}
