//! The contract, on MySQL and on MariaDB: straight, with a cache in front, and by a role that may not
//! create tables.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use mysql_async::OptsBuilder;
use store_core::{CacheOptions, Cached, Settings, Store};
use store_mysql::{MySqlConfig, MySqlStore};
use store_testkit::{Backend, Lane, Namespace};
use support::{Database, PRODUCTS, Product, variable};

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Direct,
    Cached,
    WithoutDdl,
}

const WAYS: [Way; 3] = [Way::Direct, Way::Cached, Way::WithoutDdl];

impl Way {
    fn lane(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cached => "cached",
            Self::WithoutDdl => "role without DDL rights",
        }
    }
}

struct Server {
    product: Product,
    way: Way,
    url: String,
}

#[async_trait]
impl Backend for Server {
    fn name(&self) -> &'static str {
        self.product.name
    }

    fn lane(&self) -> &'static str {
        self.way.lane()
    }

    fn caches(&self) -> bool {
        self.way == Way::Cached
    }

    async fn namespace(&self) -> Box<dyn Namespace> {
        let database = Database::create(&self.url).await;
        let mut config = database.config();
        if self.way == Way::WithoutDdl {
            let name = &database.name;
            let sql = format!(
                "CREATE USER '{name}'@'%' IDENTIFIED BY 'app';
                 GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO '{name}'@'%'"
            );
            database.execute(&sql).await;
            config.driver = OptsBuilder::from_opts(config.driver)
                .user(Some(name))
                .pass(Some("app"))
                .into();
        }
        Box::new(Place {
            way: self.way,
            database,
            config,
        })
    }
}

struct Place {
    way: Way,
    database: Database,
    config: MySqlConfig,
}

#[async_trait]
impl Namespace for Place {
    async fn open(&self, settings: Settings) -> Arc<dyn Store> {
        let clock = Arc::clone(&settings.clock);
        let store = open(&self.config, settings);
        match self.way {
            Way::Cached => Arc::new(Cached::new(store, clock, CacheOptions::default())),
            _ => store,
        }
    }

    async fn open_as_admin(&self, settings: Settings) -> Arc<dyn Store> {
        open(&self.database.config(), settings)
    }

    async fn remove(&self) {
        if self.way == Way::WithoutDdl {
            let sql = format!("DROP USER '{}'@'%'", self.database.name);
            self.database.execute(&sql).await;
        }
        self.database.drop().await;
    }
}

fn open(config: &MySqlConfig, settings: Settings) -> Arc<dyn Store> {
    Arc::new(MySqlStore::open(config.clone(), settings).expect("the configuration is right"))
}

fn main() {
    let lanes = PRODUCTS.iter().flat_map(|product| {
        WAYS.map(|way| match variable(product.url) {
            Ok(url) => Lane::Run(Box::new(Server {
                product: *product,
                way,
                url,
            })),
            Err(reason) => Lane::Skip {
                backend: product.name,
                lane: way.lane(),
                reason,
            },
        })
    });
    store_testkit::run(lanes.collect());
}
