//! The stores, each with a pool of ten connections and otherwise as it comes.

use std::collections::HashMap;

use anyhow::{Result, anyhow, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::{MySqlPool, PgPool};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_dynamodb_store::{DynamoDBStore, DynamoDBStoreProps};
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore};

const CONNECTIONS: u32 = 10;
/// How many rows a statement loads.
const CHUNK: usize = 2_000;
/// How many items a request writes at most.
const BATCH: usize = 25;

pub(crate) enum Peer {
    Postgres(PgPool, PostgresStore, String),
    MySql(MySqlPool, MySqlStore, String),
    Dynamo(Client, DynamoDBStore, String),
}

impl Peer {
    pub(crate) async fn open(backend: &str, url: &str, place: &str) -> Result<Self> {
        match backend {
            "postgres" => {
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
                let options = url.parse::<sqlx::postgres::PgConnectOptions>()?;
                // As all are measured.
                let options = options.ssl_mode(sqlx::postgres::PgSslMode::Disable);
                let pool = pool.connect_with(options).await?;
                let store = PostgresStore::new(pool.clone());
                let store = store.with_schema_name(place).map_err(|why| anyhow!(why))?;
                store.migrate().await?;
                Ok(Self::Postgres(pool, store, place.to_owned()))
            }
            "mysql" | "mariadb" => {
                let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS);
                let options = url.parse::<sqlx::mysql::MySqlConnectOptions>()?;
                let options = options.ssl_mode(sqlx::mysql::MySqlSslMode::Disabled);
                let pool = pool.connect_with(options).await?;
                let store = MySqlStore::new(pool.clone());
                let store = store.with_schema_name(place).map_err(|why| anyhow!(why))?;
                store.migrate().await?;
                Ok(Self::MySql(pool, store, place.to_owned()))
            }
            "dynamo" | "dynamodb-local" => {
                let client = client(url);
                let props = DynamoDBStoreProps {
                    table_name: place.to_owned(),
                    ..DynamoDBStoreProps::default()
                };
                create_table(&client, place, &props.partition_key.name).await?;
                let store = DynamoDBStore::new(client.clone(), props);
                Ok(Self::Dynamo(client, store, place.to_owned()))
            }
            _ => bail!("there is none for {backend}"),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Postgres(..) | Self::MySql(..) => "tower-sessions-sqlx-store",
            Self::Dynamo(..) => "tower-sessions-dynamodb-store",
        }
    }

    pub(crate) fn store(&self) -> Box<dyn SessionStore> {
        match self {
            Self::Postgres(_, store, _) => Box::new(store.clone()),
            Self::MySql(_, store, _) => Box::new(store.clone()),
            Self::Dynamo(_, store, _) => Box::new(store.clone()),
        }
    }

    /// Stores a record under each of these ids: once by the store itself, then in bulk as that wrote it.
    pub(crate) async fn load(&self, ids: &[Id], mut record: Record) -> Result<()> {
        let Some((&first, others)) = ids.split_first() else {
            bail!("there is nothing to load");
        };
        record.id = first;
        let saved = self.store().save(&record).await;
        saved.map_err(|error| anyhow!("{error}"))?;
        for ids in others.chunks(CHUNK) {
            let texts: Vec<String> = ids.iter().map(Id::to_string).collect();
            match self {
                Self::Postgres(pool, _, place) => {
                    let copy = format!(
                        "INSERT INTO {place}.session (id, data, expiry_date)
                         SELECT n.id, s.data, s.expiry_date
                         FROM unnest($1::text[]) AS n (id), {place}.session s WHERE s.id = $2"
                    );
                    let copy = sqlx::query(&copy).bind(&texts).bind(first.to_string());
                    copy.execute(pool).await?;
                }
                Self::MySql(pool, _, place) => {
                    let copy = format!(
                        "INSERT INTO {place}.session (id, data, expiry_date)
                         SELECT n.id, s.data, s.expiry_date
                         FROM JSON_TABLE(?, '$[*]' COLUMNS (id char(22) PATH '$')) n,
                              {place}.session s WHERE s.id = ?"
                    );
                    let texts = serde_json::to_string(&texts)?;
                    let copy = sqlx::query(&copy).bind(texts).bind(first.to_string());
                    copy.execute(pool).await?;
                }
                Self::Dynamo(client, store, place) => {
                    copy_items(client, store, place, &first.to_string(), texts).await?;
                }
            }
        }
        if let Self::Postgres(pool, _, place) = self {
            let vacuum = format!("VACUUM (ANALYZE) {place}.session");
            sqlx::query(&vacuum).execute(pool).await?;
        }
        Ok(())
    }

    pub(crate) async fn remove(&self) -> Result<()> {
        match self {
            Self::Postgres(pool, _, place) => {
                let drop = format!("DROP SCHEMA {place} CASCADE");
                sqlx::query(&drop).execute(pool).await?;
            }
            Self::MySql(pool, _, place) => {
                let drop = format!("DROP DATABASE {place}");
                sqlx::query(&drop).execute(pool).await?;
            }
            Self::Dynamo(client, _, place) => {
                client.delete_table().table_name(place).send().await?;
            }
        }
        Ok(())
    }
}

fn client(endpoint: &str) -> Client {
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

async fn create_table(client: &Client, table: &str, key: &str) -> Result<()> {
    let attribute = AttributeDefinition::builder().attribute_name(key);
    let attribute = attribute.attribute_type(ScalarAttributeType::S).build()?;
    let schema = KeySchemaElement::builder().attribute_name(key);
    let schema = schema.key_type(KeyType::Hash).build()?;
    let create = client.create_table().table_name(table);
    let create = create.attribute_definitions(attribute).key_schema(schema);
    create.billing_mode(BillingMode::PayPerRequest).send().await?;
    Ok(())
}

/// Copies the item of the first id under the others.
async fn copy_items(
    client: &Client,
    store: &DynamoDBStore,
    table: &str,
    first: &str,
    others: Vec<String>,
) -> Result<()> {
    let key = &store.props.partition_key;
    let spell = |id: &str| {
        let parts = [key.prefix.as_deref(), Some(id), key.suffix.as_deref()];
        AttributeValue::S(parts.into_iter().flatten().collect())
    };
    let get = client.get_item().table_name(table).key(&key.name, spell(first));
    let Some(model) = get.send().await?.item else {
        bail!("the first record is not where it should be");
    };
    let mut requests = Vec::new();
    for id in others {
        let mut item: HashMap<_, _> = model.clone();
        item.insert(key.name.clone(), spell(&id));
        let put = PutRequest::builder().set_item(Some(item)).build()?;
        requests.push(WriteRequest::builder().put_request(put).build());
    }
    while !requests.is_empty() {
        let some = requests.split_off(requests.len().saturating_sub(BATCH));
        let write = client.batch_write_item().request_items(table, some);
        let left = write.send().await?.unprocessed_items.unwrap_or_default();
        requests.extend(left.into_values().flatten());
    }
    Ok(())
}
