//! Bringing over what the npm family's LTI adapter for DynamoDB keeps. Its tables have other keys and can't be
//! shared, so that theirs is read, never written, and what is in it is added to ours.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store_core::{
    CleanupKind, Client, Deployment, Error, ErrorKind, LtiSession, LtiSessionData,
    MAX_PAYLOAD_BYTES, RegistrationSession, Result, Text, TextKind, Timestamp, encode, parse_uuid,
};

use crate::error;
use crate::execute::{Access, Executor, Operation, Transacted};
use crate::mapping::{self, Item, StoredClient, StoredDeployment, at, s};
use crate::queries::{self, Key};
use crate::store::{clients, deployments};
use crate::write::Write;

/// Where an import goes on. Keep it as JSON if you like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCursor {
    pk: String,
    sk: String,
}

/// What an import has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// How many of each kind were added.
    pub added: BTreeMap<&'static str, u64>,
    /// How many were here already, from an earlier run.
    pub present: u64,
    /// How many had expired.
    pub expired: u64,
    /// How many are of a kind that is not imported: launch configs are derived here.
    pub ignored: u64,
    /// What could not be added, by its kind and why. Never a session or a nonce itself.
    pub refused: Vec<String>,
    /// Where to go on, or `None` when all was read.
    pub next: Option<ImportCursor>,
}

/// What became of one item.
enum Outcome {
    Added(&'static str),
    Present,
    Expired,
    Ignored,
}

/// How many items a page has at most.
const PAGE: i32 = 100;

/// Imports the next page of a table.
pub(crate) async fn import_page(
    executor: &Executor,
    source: &str,
    now: Timestamp,
    report: &mut ImportReport,
) -> Result<()> {
    let operation = executor.begin().await?;
    let from = report.next.take();
    let from = from.map(|cursor| Key::new(cursor.pk, cursor.sk).into_item());
    let scan = executor.client().scan().table_name(source).limit(PAGE);
    let scan = scan.consistent_read(true).set_exclusive_start_key(from);
    let send = || async {
        let sent = scan.clone().send().await;
        sent.map_err(|error| error::request(&error, Access::Read))
    };
    let page = executor.send("Scan", Access::Read, send).await?;
    for item in page.items.unwrap_or_default() {
        let name = name(&item);
        match import(&operation, item, now).await {
            Ok(Outcome::Added(kind)) => *report.added.entry(kind).or_default() += 1,
            Ok(Outcome::Present) => report.present += 1,
            Ok(Outcome::Expired) => report.expired += 1,
            Ok(Outcome::Ignored) => report.ignored += 1,
            Err(error) => match error.kind() {
                ErrorKind::InvalidInput
                | ErrorKind::Corrupt
                | ErrorKind::AlreadyExists
                | ErrorKind::NotFound => report.refused.push(format!("{name}: {error}")),
                _ => return Err(error),
            },
        }
    }
    let last = page.last_evaluated_key.filter(|key| !key.is_empty());
    let last = last.as_ref().and_then(Key::of);
    report.next = last.map(|Key { pk, sk }| ImportCursor { pk, sk });
    Ok(())
}

/// What an item is called in a report. The keys of sessions and nonces are secrets.
fn name(item: &Item) -> String {
    match Key::of(item) {
        Some(key) if key.pk.starts_with("C#") => format!("{} {}", key.pk, key.sk),
        Some(key) => key.pk.split('#').next().unwrap_or_default().to_owned(),
        None => "an item without keys of strings".to_owned(),
    }
}

async fn import(operation: &Operation, mut item: Item, now: Timestamp) -> Result<Outcome> {
    let Some(Key { pk, sk }) = Key::of(&item) else {
        return Ok(Outcome::Ignored);
    };
    if let Some(client) = pk.strip_prefix("C#") {
        return match sk.strip_prefix("D#") {
            Some(id) => import_deployment(operation, client, id, &mut item).await,
            None => import_client(operation, client, &mut item).await,
        };
    }
    let reaped_at = mapping::number(&item, "ttl").map(|ttl| ttl.saturating_mul(1_000));
    let reaped_at = reaped_at.map(Timestamp::from_unix_millis);
    if let Some(nonce) = pk.strip_prefix("N#").filter(|_| pk == sk) {
        let told = mapping::take(&mut item, "expiresAt");
        let told = told.map(|text| serde_json::from_value(Value::String(text)));
        let expires_at = match told {
            Ok(Ok(expires_at)) => expires_at,
            _ => reaped_at?,
        };
        // A nonce that is there was used, unless it says that it was not.
        let unused = matches!(item.get("usedAt"), Some(AttributeValue::Null(true)));
        let mut copy = mapping::item([("nonce", s(nonce))]);
        if !unused {
            copy.insert("used_at".to_owned(), at(now));
        }
        let (key, kind) = (queries::nonce(nonce), CleanupKind::Nonces);
        return add(operation, key, copy, kind, expires_at, now).await;
    }
    if let Some(id) = pk.strip_prefix("S#").filter(|_| pk == sk) {
        let id = parse_uuid(id).ok_or_else(|| malformed("the id"))?;
        let data = serde_json::to_vec(&document(item)).map_err(|_| malformed("the session"))?;
        let session = LtiSession::from_data(id, &data).map_err(|_| malformed("the session"))?;
        let data = encode("session", &LtiSessionData(&session), MAX_PAYLOAD_BYTES)?;
        let (key, kind) = (queries::lti_session(&id.to_string()), CleanupKind::Sessions);
        let copy = mapping::item([("payload", s(data))]);
        return add(operation, key, copy, kind, reaped_at?, now).await;
    }
    if let Some(id) = pk.strip_prefix("DYNREG#") {
        let id = parse_uuid(id).ok_or_else(|| malformed("the id"))?;
        let session: RegistrationSession = serde_json::from_value(document(item))
            .map_err(|_| malformed("the registration session"))?;
        let data = encode("session", &session, MAX_PAYLOAD_BYTES)?;
        let kind = CleanupKind::RegistrationSessions;
        let key = queries::registration(&id.to_string());
        let copy = mapping::item([("payload", s(data))]);
        return add(operation, key, copy, kind, session.expires_at, now).await;
    }
    Ok(Outcome::Ignored)
}

/// Adds what expires, unless it is there.
async fn add(
    operation: &Operation,
    key: Key,
    mut copy: Item,
    kind: CleanupKind,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<Outcome> {
    if expires_at <= now {
        return Ok(Outcome::Expired);
    }
    queries::expire(&mut copy, kind, &key, expires_at);
    let put = Write::put(key, copy).when(queries::ABSENT_OR_EXPIRED);
    let added = operation.write(put.now(now)).await?.happened();
    Ok(if added {
        Outcome::Added(kind.as_str())
    } else {
        Outcome::Present
    })
}

async fn import_client(operation: &Operation, id: &str, item: &mut Item) -> Result<Outcome> {
    let client = Client {
        id: parse_uuid(id).ok_or_else(|| malformed("the id"))?,
        name: checked(item, "name")?,
        iss: checked(item, "iss")?,
        client_id: checked(item, "clientId")?,
        auth_url: checked(item, "authUrl")?,
        token_url: checked(item, "tokenUrl")?,
        jwks_url: checked(item, "jwksUrl")?,
    };
    if clients::stored(operation, id).await?.is_some() {
        return Ok(Outcome::Present);
    }
    let natural = queries::natural_base(client.iss.as_str(), client.client_id.as_str());
    for base in [natural, id.to_owned()] {
        let stored = StoredClient {
            client: client.clone(),
            base,
            rev: 1,
        };
        match operation.transact(clients::insert(&stored)).await? {
            Transacted::Done => return Ok(Outcome::Added("clients")),
            Transacted::Refused(refused) if refused.contains(&clients::REGISTERED) => break,
            // The base is a renamed client's.
            Transacted::Refused(_) => {}
        }
    }
    let message = "another client has this iss and clientId";
    Err(Error::new(ErrorKind::AlreadyExists, message))
}

async fn import_deployment(
    operation: &Operation,
    client: &str,
    id: &str,
    item: &mut Item,
) -> Result<Outcome> {
    let deployment = Deployment {
        id: parse_uuid(id).ok_or_else(|| malformed("the id"))?,
        deployment_id: checked(item, "deploymentId")?,
        name: optional(item, "name")?,
        description: optional(item, "description")?,
    };
    let owner = clients::stored(operation, client).await?;
    let owner = owner.ok_or_else(clients::unknown)?;
    let key = queries::deployment(client, id);
    if operation.get(key).await?.is_some() {
        return Ok(Outcome::Present);
    }
    let stored = StoredDeployment { deployment, rev: 1 };
    let mut writes = deployments::insert(&owner, &stored);
    writes.push(deployments::owner_exists(&owner));
    match operation.transact(writes).await? {
        Transacted::Done => Ok(Outcome::Added("deployments")),
        Transacted::Refused(_) => {
            let message = "the client has another deployment with this deploymentId";
            Err(Error::new(ErrorKind::AlreadyExists, message))
        }
    }
}

fn checked<K: TextKind>(item: &mut Item, name: &str) -> Result<Text<K>> {
    Text::new(mapping::take(item, name)?)
}

fn optional<K: TextKind>(item: &mut Item, name: &str) -> Result<Option<Text<K>>> {
    match item.get(name) {
        None | Some(AttributeValue::Null(_)) => Ok(None),
        Some(_) => checked(item, name).map(Some),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what} does not decode"))
}

/// The document that an item was made of, without its keys.
fn document(mut item: Item) -> Value {
    for key in [queries::PK, queries::SK, "ttl"] {
        item.remove(key);
    }
    object(item)
}

fn object(item: Item) -> Value {
    let fields = item.into_iter().map(|(name, field)| (name, value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(attribute: AttributeValue) -> Value {
    match attribute {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(number) => serde_json::from_str(&number).unwrap_or(Value::Null),
        AttributeValue::Bool(bool) => Value::Bool(bool),
        AttributeValue::L(items) => items.into_iter().map(value).collect(),
        AttributeValue::M(fields) => object(fields),
        AttributeValue::Ss(texts) => texts.into_iter().map(Value::String).collect(),
        _ => Value::Null,
    }
}
