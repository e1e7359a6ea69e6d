//! DynamoDB: a table of its own, on an emulator in another process or at an endpoint.

mod emulator;
mod raw;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use store_core::{
    JtsSessionStore, LaunchConfigStore, LoginSessionStore, LtiSessionStore, SchemaStore,
    SessionPolicy, Settings,
};
use store_dynamo::{DynamoConfig, DynamoStore};
use tokio::task::JoinSet;

use self::emulator::Emulator;
pub(crate) use self::emulator::serve;
use self::raw::Raw;
use crate::backend::{Bench, is_stale};
use crate::subject::{Ours, Subject};
use crate::world::{JtsDetails, JtsKey, World};

/// How many calls load at once.
const LOADERS: usize = 16;
/// How many items DynamoDB Local's transactions take.
const LOCAL_TRANSACTION: usize = 10;

pub(crate) struct Dynamo {
    endpoint: String,
    place: String,
    server: &'static str,
    /// Stopped when this is dropped.
    _emulator: Option<Emulator>,
}

impl Dynamo {
    /// At an endpoint; if that is empty, on an emulator of its own.
    pub(crate) fn open(server: &'static str, url: &str, place: &str) -> Result<Self> {
        let emulator = url.is_empty().then(Emulator::start).transpose()?;
        let endpoint = emulator.as_ref().map_or(url, Emulator::endpoint);
        Ok(Self {
            endpoint: endpoint.to_owned(),
            place: place.to_owned(),
            server,
            _emulator: emulator,
        })
    }

    fn config(&self) -> DynamoConfig {
        DynamoConfig {
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            credentials: Some(credentials()),
            transaction_limit: LOCAL_TRANSACTION,
            prefix: self.place.clone(),
            ..DynamoConfig::default()
        }
    }

    async fn store(&self) -> Result<DynamoStore> {
        Ok(DynamoStore::open(self.config(), Settings::default()).await?)
    }

    /// The SDK's client as it comes.
    fn client(&self) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials())
            .endpoint_url(&self.endpoint)
            .http_client(http);
        Client::from_conf(config.build())
    }
}

fn credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    SharedCredentialsProvider::new(credentials)
}

/// Stores every `LOADERS`th session of each kind, and returns the JTS sessions with their places.
async fn load_share(
    store: DynamoStore,
    world: Arc<World>,
    first: usize,
) -> Result<Vec<(usize, JtsKey)>> {
    let mut session = world.lti_session.clone();
    let mut created = Vec::new();
    for n in (first..world.rows).step_by(LOADERS) {
        session.id = world.lti[n].uuid;
        store.add_lti_session(&session, None).await?;
        let data = world.login_data.clone();
        let day = std::time::Duration::from_secs(24 * 3600);
        store
            .create_login_session(&world.logins[n].id, data, day)
            .await?;
        let jts = JtsDetails::of(n).session()?;
        let jts = store
            .create_jts_session(jts, SessionPolicy::AllowAll)
            .await?;
        let (aid, proof) = (jts.session.aid, jts.session.current_state_proof);
        created.push((n, JtsKey::new(aid.as_str(), proof.as_str())));
    }
    Ok(created)
}

#[async_trait]
impl Bench for Dynamo {
    fn server(&self) -> &str {
        self.server
    }

    fn url(&self) -> &str {
        &self.endpoint
    }

    fn place(&self) -> &str {
        &self.place
    }

    async fn create(&self) -> Result<()> {
        let client = self.client();
        let tables = client
            .list_tables()
            .send()
            .await
            .context("listing tables")?;
        for name in tables.table_names() {
            if is_stale(name.trim_end_matches("auth_store")) {
                client.delete_table().table_name(name).send().await?;
            }
        }
        self.store().await?.bootstrap().await?;
        Ok(())
    }

    async fn load(&self, world: &mut World, from: usize) -> Result<()> {
        let store = self.store().await?;
        if from == 0 {
            for config in &world.launch_configs {
                store.save_launch_config(config).await?;
            }
        }
        let shared = Arc::new(World::new(world.rows)?);
        let mut loaders = JoinSet::new();
        for share in 0..LOADERS {
            loaders.spawn(load_share(store.clone(), Arc::clone(&shared), from + share));
        }
        while let Some(done) = loaders.join_next().await {
            for (n, key) in done.context("a loader failed")?? {
                world.jts[n] = key;
            }
        }
        Ok(())
    }

    async fn load_expired(&self, count: usize) -> Result<()> {
        let raw = Raw::new(self.client(), self.config().table_name());
        raw.add_expired(count).await
    }

    async fn ours(&self, ca: Option<&str>) -> Result<Arc<dyn Subject>> {
        if ca.is_some() {
            bail!("no emulator speaks TLS");
        }
        Ok(Arc::new(Ours::new(Arc::new(self.store().await?))))
    }

    async fn raw(&self) -> Result<Arc<dyn Subject>> {
        Ok(Arc::new(Raw::new(
            self.client(),
            self.config().table_name(),
        )))
    }

    async fn remove(&self) -> Result<()> {
        let table = self.config().table_name();
        self.client()
            .delete_table()
            .table_name(table)
            .send()
            .await?;
        Ok(())
    }
}
