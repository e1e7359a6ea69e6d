//! The keys and attributes of `store-dynamo`, as they are there.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use store_core::proof_digest;

use super::{Item, millis};

/// How many parts of the index each kind is spread over.
pub(super) const SHARDS: u32 = 4;

pub(super) struct Key {
    pk: String,
    sk: String,
}

impl From<Key> for Item {
    fn from(key: Key) -> Self {
        item([("pk", s(&key.pk)), ("sk", s(&key.sk))])
    }
}

pub(super) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn n(number: impl Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value)))
}

fn alone(pk: String) -> Key {
    Key {
        pk,
        sk: "#".to_owned(),
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

fn hash_pair(first: &str, second: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update((first.len() as u64).to_be_bytes());
    hasher.update(first.as_bytes());
    hasher.update(second.as_bytes());
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

pub(super) fn natural_base(iss: &str, client_id: &str) -> String {
    hash_pair(iss, client_id)
}

pub(super) fn registered_client(base: &str) -> Key {
    alone(format!("L#{base}"))
}

pub(super) fn marker(base: &str, deployment_id: &str) -> Key {
    Key {
        pk: format!("L#{base}"),
        sk: format!("D#{}", hash(deployment_id)),
    }
}

pub(super) fn lti_session(id: &str) -> Key {
    alone(format!("S#{id}"))
}

pub(super) fn nonce(nonce: &str) -> Key {
    alone(format!("N#{}", hash(nonce)))
}

pub(super) fn login_session(id: &str) -> Key {
    alone(format!("G#{}", hash(id)))
}

pub(super) fn jts_session(partition: &str, aid: &str) -> Key {
    Key {
        pk: partition.to_owned(),
        sk: format!("J#{aid}"),
    }
}

pub(super) fn anchor(aid: &str) -> Key {
    alone(format!("A#{aid}"))
}

pub(super) fn proof(proof: &str) -> Key {
    alone(format!("T#{}", URL_SAFE_NO_PAD.encode(proof_digest(proof))))
}

pub(super) fn verification(refresh_token: &str) -> String {
    hash_pair("refresh_token", refresh_token)
}

/// Lets an item expire, with its place in the index by which cleanup goes.
pub(super) fn expire(item: &mut Item, kind: &str, key: &Key, lifetime: Duration) {
    let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or_default();
    expire_at(item, kind, key, millis() + lifetime);
}

pub(super) fn expire_at(item: &mut Item, kind: &str, key: &Key, at: i64) {
    let spread = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let bytes = key.pk.bytes().chain(key.sk.bytes());
    let shard = bytes.fold(0x811c_9dc5, spread) % SHARDS;
    item.insert("expiry".to_owned(), s(&format!("{kind}#{shard}")));
    item.insert("expires_at".to_owned(), n(at));
    item.insert("reap_at".to_owned(), n(at / 1_000 + 1));
}
