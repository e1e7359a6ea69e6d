//! Between items and the domain's types.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use store_core::{
    Client, Deployment, Error, ErrorKind, Json, JtsSession, Result, Text, TextKind, Timestamp,
};
use uuid::Uuid;

/// An item, or a part of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A string attribute. An empty one is a null, because DynamoDB took no empty strings before 2020, and
/// older emulators still don't.
pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    let text = text.into();
    if text.is_empty() {
        return AttributeValue::Null(true);
    }
    AttributeValue::S(text)
}

/// A number attribute.
pub(crate) fn n(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// An instant, as milliseconds since 1970.
pub(crate) fn at(instant: Timestamp) -> AttributeValue {
    n(instant.unix_millis())
}

/// An item of these attributes.
pub(crate) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    let owned = attributes.map(|(name, value)| (name.to_owned(), value));
    HashMap::from(owned)
}

/// Adds an attribute where there is a value.
pub(crate) fn add<K: TextKind>(item: &mut Item, name: &str, text: Option<&Text<K>>) {
    if let Some(text) = text {
        item.insert(name.to_owned(), s(text.as_str()));
    }
}

/// Stored data that does not decode: names the kind of item and what is wrong, never the payload.
/// Keys that hold nothing secret are named too.
pub(crate) fn corrupt(kind: &str, key: impl Display) -> Error {
    let message = format!("the item of `{kind}` with key `{key}` does not decode");
    Error::new(ErrorKind::Corrupt, message)
}

fn wrong(name: &str) -> Error {
    let message = format!("attribute `{name}` is missing or of another type");
    Error::new(ErrorKind::Corrupt, message)
}

/// Takes a string out of an item.
pub(crate) fn take(item: &mut Item, name: &str) -> Result<String> {
    take_optional(item, name)?.ok_or_else(|| wrong(name))
}

/// Takes a string out of an item, if it has it.
pub(crate) fn take_optional(item: &mut Item, name: &str) -> Result<Option<String>> {
    match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(Some(text)),
        Some(AttributeValue::Null(true)) => Ok(Some(String::new())),
        None => Ok(None),
        Some(_) => Err(wrong(name)),
    }
}

/// The string that an item has.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(wrong(name)),
    }
}

fn take_text<K: TextKind>(item: &mut Item, name: &str) -> Result<Text<K>> {
    take(item, name).map(Text::from_stored)
}

fn take_optional_text<K: TextKind>(item: &mut Item, name: &str) -> Result<Option<Text<K>>> {
    Ok(take_optional(item, name)?.map(Text::from_stored))
}

/// The whole number that an item has.
pub(crate) fn number(item: &Item, name: &str) -> Result<i64> {
    optional_number(item, name)?.ok_or_else(|| wrong(name))
}

fn optional_number(item: &Item, name: &str) -> Result<Option<i64>> {
    match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse().map(Some).map_err(|_| wrong(name)),
        None => Ok(None),
        Some(_) => Err(wrong(name)),
    }
}

/// The instant that an item has.
pub(crate) fn instant(item: &Item, name: &str) -> Result<Timestamp> {
    number(item, name).map(Timestamp::from_unix_millis)
}

/// The instant that an item has, if it has it.
pub(crate) fn optional_instant(item: &Item, name: &str) -> Result<Option<Timestamp>> {
    Ok(optional_number(item, name)?.map(Timestamp::from_unix_millis))
}

/// Whether an item that can expire is there and has not.
pub(crate) fn live(item: Option<Item>, now: Timestamp) -> Result<Option<Item>> {
    match item {
        Some(item) if instant(&item, "expires_at")? > now => Ok(Some(item)),
        _ => Ok(None),
    }
}

/// The payload of an item.
pub(crate) fn payload<T: DeserializeOwned>(item: &Item, kind: &str, key: &str) -> Result<T> {
    serde_json::from_str(text(item, "payload")?).map_err(|_| corrupt(kind, key))
}

fn uuid(item: &mut Item, name: &str) -> Result<Uuid> {
    Uuid::try_parse(&take(item, name)?).map_err(|_| wrong(name))
}

/// A client and what the store keeps with it.
#[derive(Clone, Debug)]
pub(crate) struct StoredClient {
    pub(crate) client: Client,
    /// Where its launch markers are.
    pub(crate) base: String,
    /// One more at each change.
    pub(crate) rev: i64,
}

/// The attributes of a client, the same in each of its items.
pub(crate) fn client_item(stored: &StoredClient) -> Item {
    let StoredClient { client, base, rev } = stored;
    item([
        ("id", s(client.id)),
        ("name", s(client.name.as_str())),
        ("iss", s(client.iss.as_str())),
        ("client_id", s(client.client_id.as_str())),
        ("auth_url", s(client.auth_url.as_str())),
        ("token_url", s(client.token_url.as_str())),
        ("jwks_url", s(client.jwks_url.as_str())),
        ("base", s(base)),
        ("rev", n(rev)),
    ])
}

pub(crate) fn client(mut item: Item) -> Result<StoredClient> {
    let item = &mut item;
    Ok(StoredClient {
        client: Client {
            id: uuid(item, "id")?,
            name: take_text(item, "name")?,
            iss: take_text(item, "iss")?,
            client_id: take_text(item, "client_id")?,
            auth_url: take_text(item, "auth_url")?,
            token_url: take_text(item, "token_url")?,
            jwks_url: take_text(item, "jwks_url")?,
        },
        base: take(item, "base")?,
        rev: number(item, "rev")?,
    })
}

/// A deployment and its revision.
#[derive(Clone, Debug)]
pub(crate) struct StoredDeployment {
    pub(crate) deployment: Deployment,
    pub(crate) rev: i64,
}

pub(crate) fn deployment_item(stored: &StoredDeployment) -> Item {
    let StoredDeployment { deployment, rev } = stored;
    let mut item = item([
        ("id", s(deployment.id)),
        ("deployment_id", s(deployment.deployment_id.as_str())),
        ("rev", n(rev)),
    ]);
    add(&mut item, "name", deployment.name.as_ref());
    add(&mut item, "description", deployment.description.as_ref());
    item
}

pub(crate) fn deployment(mut item: Item) -> Result<StoredDeployment> {
    let item = &mut item;
    Ok(StoredDeployment {
        deployment: Deployment {
            id: uuid(item, "id")?,
            deployment_id: take_text(item, "deployment_id")?,
            name: take_optional_text(item, "name")?,
            description: take_optional_text(item, "description")?,
        },
        rev: number(item, "rev")?,
    })
}

pub(crate) fn jts_item(session: &JtsSession, metadata: Option<String>) -> Item {
    let mut item = item([
        ("aid", s(session.aid.as_str())),
        ("prn", s(session.prn.as_str())),
        ("proof", s(session.current_state_proof.as_str())),
        ("proof_rev", n(session.state_proof_version)),
        ("created_at", at(session.created_at)),
        ("last_active", at(session.last_active)),
    ]);
    add(
        &mut item,
        "fingerprint",
        session.device_fingerprint.as_ref(),
    );
    add(&mut item, "user_agent", session.user_agent.as_ref());
    add(&mut item, "ip_address", session.ip_address.as_ref());
    let previous = session.previous_state_proof.as_ref();
    add(&mut item, "previous_proof", previous);
    if let Some(rotated_at) = session.rotation_timestamp {
        item.insert("rotated_at".to_owned(), at(rotated_at));
    }
    if let Some(metadata) = metadata {
        item.insert("metadata".to_owned(), s(metadata));
    }
    item
}

pub(crate) fn jts_session(mut item: Item) -> Result<JtsSession> {
    let item = &mut item;
    let aid: Text<_> = take_text(item, "aid")?;
    let metadata = take_optional(item, "metadata")?.map(Json::parse);
    let metadata = metadata
        .transpose()
        .map_err(|_| corrupt("jts_sessions", &aid))?;
    let version = number(item, "proof_rev")?;
    Ok(JtsSession {
        prn: take_text(item, "prn")?,
        current_state_proof: take_text(item, "proof")?,
        previous_state_proof: take_optional_text(item, "previous_proof")?,
        state_proof_version: u32::try_from(version).map_err(|_| corrupt("jts_sessions", &aid))?,
        rotation_timestamp: optional_instant(item, "rotated_at")?,
        device_fingerprint: take_optional_text(item, "fingerprint")?,
        created_at: instant(item, "created_at")?,
        expires_at: instant(item, "expires_at")?,
        last_active: instant(item, "last_active")?,
        user_agent: take_optional_text(item, "user_agent")?,
        ip_address: take_optional_text(item, "ip_address")?,
        metadata,
        aid,
    })
}
