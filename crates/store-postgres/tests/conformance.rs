//! The contract, on PostgreSQL: straight, with a cache in front, through PgBouncer, and by a role that
//! may not create tables.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{CacheOptions, Cached, Settings, Store};
use store_postgres::{PostgresConfig, PostgresStore};
use store_testkit::{Backend, Lane, Namespace};
use support::{PGBOUNCER_URL, POSTGRES_URL, Schema, variable};

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Direct,
    Cached,
    PgBouncer,
    WithoutDdl,
}

const WAYS: [Way; 4] = [Way::Direct, Way::Cached, Way::PgBouncer, Way::WithoutDdl];

impl Way {
    fn lane(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Cached => "cached",
            Self::PgBouncer => "through PgBouncer",
            Self::WithoutDdl => "role without DDL rights",
        }
    }
}

struct Postgres {
    way: Way,
    /// Where administration goes.
    url: String,
    /// Where the store goes.
    store_url: String,
}

#[async_trait]
impl Backend for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn lane(&self) -> &'static str {
        self.way.lane()
    }

    fn caches(&self) -> bool {
        self.way == Way::Cached
    }

    async fn namespace(&self) -> Box<dyn Namespace> {
        let schema = Schema::create(&self.url).await;
        let mut config = PostgresConfig::from_url(&self.store_url).expect("the URL is right");
        config.tables.schema = Some(schema.name.clone());
        config.pgbouncer = self.way == Way::PgBouncer;
        let admin = config.clone();
        if self.way == Way::WithoutDdl {
            let role = &schema.name;
            let sql = format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'app'; GRANT USAGE ON SCHEMA {role} TO {role}"
            );
            schema.execute(&sql).await;
            config.driver.user(role).password("app");
        }
        Box::new(Place {
            way: self.way,
            schema,
            config,
            admin,
        })
    }
}

struct Place {
    way: Way,
    schema: Schema,
    config: PostgresConfig,
    admin: PostgresConfig,
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
        open(&self.admin, settings)
    }

    async fn after_bootstrap(&self) {
        if self.way == Way::WithoutDdl {
            let name = &self.schema.name;
            let sql = format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {name}"
            );
            self.schema.execute(&sql).await;
        }
    }

    async fn remove(&self) {
        self.schema.drop().await;
        if self.way == Way::WithoutDdl {
            let sql = format!("DROP ROLE {}", self.schema.name);
            self.schema.execute(&sql).await;
        }
    }
}

fn open(config: &PostgresConfig, settings: Settings) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(config.clone(), settings).expect("the configuration is right"))
}

fn main() {
    let lanes = WAYS.map(|way| {
        let url = variable(POSTGRES_URL);
        let store_url = match way {
            Way::PgBouncer => variable(PGBOUNCER_URL),
            _ => url.clone(),
        };
        match url.and_then(|url| Ok((url, store_url?))) {
            Ok((url, store_url)) => Lane::Run(Box::new(Postgres {
                way,
                url,
                store_url,
            })),
            Err(reason) => Lane::Skip {
                backend: "postgres",
                lane: way.lane(),
                reason,
            },
        }
    });
    store_testkit::run(lanes.into());
}
