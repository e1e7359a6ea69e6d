//! What the tests share: the two servers, and tables of their own on them.
#![allow(dead_code, unreachable_pub, reason = "each test target uses a part")]

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use dynoxide::Database;
use store_core::{SchemaStore, Settings};
use store_dynamo::{DynamoConfig, DynamoStore};
use uuid::Uuid;

/// A DynamoDB Local server, such as `http://127.0.0.1:8000`.
pub const DYNAMODB_ENDPOINT: &str = "STORE_TEST_DYNAMODB_ENDPOINT";

/// A server that speaks DynamoDB's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The emulator of the crate dynoxide-rs, in this process.
    Emulator,
    /// AWS's own DynamoDB Local.
    Local,
}

impl Server {
    pub const ALL: [Self; 2] = [Self::Emulator, Self::Local];

    pub fn name(self) -> &'static str {
        match self {
            Self::Emulator => "emulator",
            Self::Local => "DynamoDB Local",
        }
    }

    /// Where it is, or why it is not.
    pub fn endpoint(self) -> Result<String, String> {
        match self {
            Self::Emulator => Ok(format!("http://{}", emulator())),
            Self::Local => std::env::var(DYNAMODB_ENDPOINT)
                .map_err(|_| format!("{DYNAMODB_ENDPOINT} is not set; run `cargo xtask test`")),
        }
    }

    /// How many items its transactions take.
    pub fn transaction_limit(self) -> usize {
        match self {
            Self::Emulator => 100,
            Self::Local => 10,
        }
    }

    /// A table of a test's own.
    pub fn place(self) -> Place {
        let endpoint = self.endpoint().expect("the server is there");
        Place {
            server: self,
            config: DynamoConfig {
                region: Some("eu-west-1".to_owned()),
                endpoint: Some(endpoint),
                credentials: Some(credentials()),
                transaction_limit: self.transaction_limit(),
                prefix: format!("t-{}-", Uuid::new_v4().simple()),
                ..DynamoConfig::default()
            },
        }
    }
}

/// The emulator, started once for all tests of this process, on threads of its own.
fn emulator() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("threads");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let database = Database::memory().expect("memory");
                dynoxide::server::serve_on(listener, database).await;
            });
        });
        address
    })
}

pub fn credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SharedCredentialsProvider::new(credentials)
}

/// A prefix that nobody else has, on a server.
pub struct Place {
    pub server: Server,
    pub config: DynamoConfig,
}

impl Place {
    /// A store that is not bootstrapped.
    pub async fn open(&self, settings: Settings) -> Arc<DynamoStore> {
        let store = DynamoStore::open(self.config.clone(), settings).await;
        Arc::new(store.expect("the configuration is right"))
    }

    /// A store on a table that is there.
    pub async fn store(&self, settings: Settings) -> Arc<DynamoStore> {
        let store = self.open(settings).await;
        store.bootstrap().await.expect("the table is created");
        store
    }

    /// The SDK's own client, for what the store does not do.
    pub fn client(&self) -> Client {
        Client::from_conf(self.client_config().build())
    }

    pub fn client_config(&self) -> aws_sdk_dynamodb::config::Builder {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let endpoint = self.config.endpoint.clone().expect("an endpoint");
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials())
            .endpoint_url(endpoint)
            .http_client(http)
    }

    pub fn table(&self) -> String {
        self.config.table_name()
    }

    /// Deletes the table, if there is one.
    pub async fn remove(&self) {
        let request = self.client().delete_table().table_name(self.table());
        drop(request.send().await);
    }
}
