//! The keys of items, and the conditions and updates that requests carry.
//!
//! Whatever a caller chooses is hashed before it becomes part of a key, so that no character in it has a
//! meaning, no key is too long, and no secret is legible in a key.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use store_core::{CleanupKind, Timestamp, proof_digest};

use crate::mapping::{Item, at, n, s};

/// The attributes of the table's own key.
pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
/// The index that cleanup goes by, and its partition key; its sort key is `expires_at`.
pub(crate) const EXPIRY: &str = "expiry";
/// On the pointer of a proof: the digest of the proof that the session had before it.
pub(crate) const PRIOR: &str = "prior";
/// What DynamoDB's own time to live goes by, in whole seconds.
pub(crate) const REAP_AT: &str = "reap_at";
/// How many partitions of the index what expires is spread over, for each kind.
pub(crate) const EXPIRY_SHARDS: u32 = 4;

/// The sort key of items that are alone in their partition, and of what comes first in it.
pub(crate) const ALONE: &str = "#";
/// Sorts after every deployment, so that a query reads a client's deployments before the client: who
/// finds the client has seen all of them.
pub(crate) const CLIENT: &str = "~";
/// Sort keys of deployments and of launch markers start with it.
pub(crate) const DEPLOYMENTS: &str = "D#";
/// Sort keys of JTS sessions start with it.
pub(crate) const JTS_SESSIONS: &str = "J#";

// Conditions. `attribute_exists(pk)` and `attribute_not_exists(pk)` say whether there is an item.
pub(crate) const EXISTS: &str = "attribute_exists(pk)";
pub(crate) const ABSENT: &str = "attribute_not_exists(pk)";
/// Nothing live is there. Never resurrect, never overwrite.
pub(crate) const ABSENT_OR_EXPIRED: &str = "attribute_not_exists(pk) OR expires_at <= :now";
pub(crate) const LIVE: &str = "attribute_exists(pk) AND expires_at > :now";
pub(crate) const EXPIRED: &str = "expires_at <= :now";
/// The optimistic lock of clients, deployments and principals.
pub(crate) const UNCHANGED: &str = "rev = :seen";
/// The marker is free, or was left by a client that is gone.
pub(crate) const MARKER_FREE: &str = "attribute_not_exists(pk) OR client <> :client";
pub(crate) const OWN_MARKER: &str = "client = :client";
/// The place of an anchor id is free, or is in this principal's partition already.
pub(crate) const ABSENT_OR_IN: &str = "attribute_not_exists(pk) OR home = :seen";
/// The proof leads nowhere yet, or to this session.
pub(crate) const OWN_POINTER: &str = "attribute_not_exists(pk) OR aid = :aid OR expires_at <= :now";
/// What exports of a kind look for.
pub(crate) const LIVE_OF_KIND: &str =
    "begins_with(pk, :start) AND begins_with(sk, :sk) AND expires_at > :now";

pub(crate) const UNUSED: &str =
    "attribute_exists(pk) AND expires_at > :now AND attribute_not_exists(used_at)";
pub(crate) const USE: &str = "SET used_at = :now";

pub(crate) const ROTATE: &str = "SET previous_proof = :seen, proof = :fresh, proof_rev = proof_rev + :one, rotated_at = :now, last_active = :now";
pub(crate) const ROTATABLE: &str =
    "proof = :seen AND aid = :aid AND expires_at > :now AND last_active <= :now";
/// The same where `last_active` lies ahead of this clock and stays.
pub(crate) const ROTATE_BEHIND: &str =
    "SET previous_proof = :seen, proof = :fresh, proof_rev = proof_rev + :one, rotated_at = :now";
pub(crate) const ROTATABLE_BEHIND: &str =
    "proof = :seen AND aid = :aid AND expires_at > :now AND last_active > :now";
pub(crate) const TOUCH: &str = "SET last_active = :now";
pub(crate) const TOUCHABLE: &str = "expires_at > :now AND last_active < :now";
/// Lets the logins of a principal under a policy pass one at a time.
pub(crate) const PASS: &str = "SET rev = :next";
pub(crate) const NOBODY_PASSED: &str = "attribute_not_exists(pk) OR rev = :seen";

pub(crate) const SAVE: &str = "SET payload = :payload, verify = :verify, rev = rev + :one";
pub(crate) const SAVE_AND_EXTEND: &str = "SET payload = :payload, verify = :verify, rev = rev + :one, expires_at = :expires_at, reap_at = :reap_at";
pub(crate) const SAVABLE: &str = "expires_at > :now AND rev = :seen";
pub(crate) const SAVABLE_FENCED: &str = "expires_at > :now AND rev = :seen AND lock_token = :fence";
pub(crate) const EXTEND: &str = "SET expires_at = :expires_at, reap_at = :reap_at";
pub(crate) const LOCK: &str = "SET lock_token = :token, locked_until = :until";
pub(crate) const LOCKABLE: &str = "expires_at > :now AND verify = :verify AND (attribute_not_exists(locked_until) OR locked_until <= :now)";
/// The same for a session that was written under another verification property.
pub(crate) const LOCKABLE_AS_SEEN: &str = "expires_at > :now AND rev = :seen AND (attribute_not_exists(locked_until) OR locked_until <= :now)";
pub(crate) const UNLOCK: &str = "REMOVE lock_token, locked_until";
pub(crate) const LOCKED_BY: &str = "expires_at > :now AND lock_token = :fence";

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        let (pk, sk) = (pk.into(), sk.into());
        Self { pk, sk }
    }

    fn alone(pk: String) -> Self {
        Self::new(pk, ALONE)
    }

    /// The key of an item that was read.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        match (item.get(PK)?, item.get(SK)?) {
            (AttributeValue::S(pk), AttributeValue::S(sk)) => Some(Self::new(pk, sk)),
            _ => None,
        }
    }

    pub(crate) fn into_item(self) -> Item {
        HashMap::from([(PK.to_owned(), s(self.pk)), (SK.to_owned(), s(self.sk))])
    }
}

pub(crate) fn spell(digest: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest)
}

fn hash(text: &str) -> String {
    spell(&Sha256::digest(text.as_bytes()))
}

/// The hash of two texts that no other two have.
fn hash_pair(first: &str, second: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update((first.len() as u64).to_be_bytes());
    hasher.update(first.as_bytes());
    hasher.update(second.as_bytes());
    spell(&hasher.finalize())
}

/// The client itself, in the partition of its deployments.
pub(crate) fn client(id: &str) -> Key {
    Key::new(client_partition(id), CLIENT)
}

pub(crate) fn client_partition(id: &str) -> String {
    format!("C#{id}")
}

pub(crate) const CLIENT_LIST: &str = "CLIENTS";

/// The client again, in the partition of all clients.
pub(crate) fn listed_client(id: &str) -> Key {
    Key::new(CLIENT_LIST, id)
}

pub(crate) fn deployment(client: &str, id: &str) -> Key {
    Key::new(client_partition(client), format!("{DEPLOYMENTS}{id}"))
}

/// What a client that registers as this uses as its base, unless it is claimed.
pub(crate) fn natural_base(iss: &str, client_id: &str) -> String {
    hash_pair(iss, client_id)
}

/// The client once more, found by issuer and client id; what makes the two unique.
pub(crate) fn registered_client(iss: &str, client_id: &str) -> Key {
    Key::alone(format!("L#{}", natural_base(iss, client_id)))
}

/// Says that a client which has another issuer or client id now still has its markers there.
pub(crate) fn base_claim(base: &str) -> Key {
    Key::new(format!("L#{base}"), "B")
}

/// The launch marker of a deployment; what makes its `deployment_id` unique.
pub(crate) fn marker(base: &str, deployment_id: &str) -> Key {
    let sk = format!("{DEPLOYMENTS}{}", hash(deployment_id));
    Key::new(format!("L#{base}"), sk)
}

/// What is left to sweep of something that was deleted.
pub(crate) fn leftover(id: &str) -> Key {
    Key::alone(format!("X#{id}"))
}

pub(crate) fn lti_session(id: &str) -> Key {
    Key::alone(format!("S#{id}"))
}

pub(crate) fn registration(id: &str) -> Key {
    Key::alone(format!("R#{id}"))
}

pub(crate) fn nonce(nonce: &str) -> Key {
    Key::alone(format!("N#{}", hash(nonce)))
}

pub(crate) fn login_session(id: &str) -> Key {
    Key::alone(format!("G#{}", hash(id)))
}

/// The partition of a principal's sessions.
pub(crate) fn principal_partition(prn: &str) -> String {
    format!("P#{}", hash(prn))
}

/// What logins under a policy pass through.
pub(crate) fn principal(partition: &str) -> Key {
    Key::new(partition, ALONE)
}

pub(crate) fn jts_session(partition: &str, aid: &str) -> Key {
    Key::new(partition, format!("{JTS_SESSIONS}{aid}"))
}

/// Says which principal's partition a session is in.
pub(crate) fn anchor(aid: &str) -> Key {
    Key::alone(format!("A#{aid}"))
}

/// Says whose a state proof is or was, by its digest.
pub(crate) fn proof(proof: &str) -> Key {
    proof_of_digest(&spelt_digest(proof))
}

/// The same by the digest, as it is spelt in keys.
pub(crate) fn proof_of_digest(digest: &str) -> Key {
    Key::alone(format!("T#{digest}"))
}

/// The digest of a proof, as it is spelt in keys.
pub(crate) fn spelt_digest(proof: &str) -> String {
    spell(&proof_digest(proof))
}

/// The digest that is spelt so.
pub(crate) fn digest(spelt: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(spelt).ok()?.try_into().ok()
}

/// The migrations that were applied.
pub(crate) const MIGRATIONS: &str = "MIGRATIONS";

pub(crate) fn migration(version: u32) -> Key {
    Key::new(MIGRATIONS, format!("{version:04}"))
}

/// What the lock of a login session compares: the digest of the verification property and its value.
pub(crate) fn verification(property: &str, value: Option<&str>) -> AttributeValue {
    match value {
        Some(value) => s(hash_pair(property, value)),
        None => s("-"),
    }
}

/// The partition of the index for a kind of things.
pub(crate) fn expiry_partition(kind: CleanupKind, shard: u32) -> String {
    format!("{}#{shard}", kind.as_str())
}

/// The partitions of the index for what deletions left behind.
pub(crate) fn leftovers_partition(kind: CleanupKind) -> String {
    format!("{}#leftovers", kind.as_str())
}

/// Lets an item expire: the instant itself, the second after which DynamoDB may reap it, and its place
/// in the index.
pub(crate) fn expire(item: &mut Item, kind: CleanupKind, key: &Key, expires_at: Timestamp) {
    // FNV-1a: any hash that spreads evenly does.
    let spread = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let bytes = key.pk.bytes().chain(key.sk.bytes());
    let shard = bytes.fold(0x811c_9dc5, spread) % EXPIRY_SHARDS;
    item.insert(EXPIRY.to_owned(), s(expiry_partition(kind, shard)));
    item.insert("expires_at".to_owned(), at(expires_at));
    item.insert(REAP_AT.to_owned(), reap_at(expires_at));
}

/// The first whole second that is not before the expiry.
pub(crate) fn reap_at(expires_at: Timestamp) -> AttributeValue {
    n(expires_at.unix_seconds_ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composite_keys_are_unambiguous_and_short() {
        assert_ne!(registered_client("a", "bc"), registered_client("ab", "c"));
        assert_ne!(registered_client("a#b", "c"), registered_client("a", "b#c"));
        let long = "🔑".repeat(255);
        for key in [
            registered_client(&long, &long),
            marker("base", &long),
            nonce(&long),
            login_session(&long),
            jts_session(&principal_partition(&long), &"🔑".repeat(64)),
        ] {
            assert!(key.pk.len() <= 2048 && key.sk.len() <= 1024, "{key:?}");
        }
    }

    #[test]
    fn keys_hold_no_secrets() {
        for key in [nonce("hunter2"), login_session("hunter2"), proof("hunter2")] {
            assert!(!key.pk.contains("hunter2"));
        }
    }

    #[test]
    fn items_are_reaped_no_sooner_than_they_expire() {
        let mut item = Item::new();
        let key = nonce("n");
        let expires_at = Timestamp::from_unix_millis(1_001);
        expire(&mut item, CleanupKind::Nonces, &key, expires_at);
        assert_eq!(item[REAP_AT], n(2));
        assert_eq!(item["expires_at"], n(1_001));
    }
}
