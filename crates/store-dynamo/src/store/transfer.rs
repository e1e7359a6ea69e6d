//! Moving records from and to other stores. Importing is in a file of its own.
//!
//! Clients are exported off their list, everything else by scans of the table, which are consistent;
//! the expiry index, which lists the same, is not.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use store_core::{
    Aid, Error, ErrorKind, LoginSessionId, Nonce, Placement, Record, RecordKind, RecordPage,
    Result, StateProof, StoredJtsSession, StoredNonce, Timestamp, TransferStore, parse_uuid,
};

use super::{DynamoStore, clients, login_sessions, lti_sessions, within};
use crate::execute::Operation;
use crate::mapping::{self, Item, at, s};
use crate::queries::{self, Key};

/// How many clients with their deployments are read at once.
const ABREAST: usize = 16;
/// How many items a scan looks at for a page, at least.
const LOOKED_AT: u32 = 250;

#[async_trait]
impl TransferStore for DynamoStore {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        within("export_records", async {
            let operation = self.begin().await?;
            let limit = limit.max(1);
            if kind == RecordKind::Clients {
                return export_clients(&operation, after, limit).await;
            }
            let now = self.now();
            let after = after.map(|after| place(kind, after)).transpose()?;
            let scanned = scan(&operation, kind, after, limit, now).await?;
            let records = match kind {
                RecordKind::JtsSessions => jts_sessions(&operation, scanned.items).await?,
                _ => {
                    let records = scanned.items.into_iter().map(|item| record(kind, item));
                    records.collect::<Result<_>>()?
                }
            };
            Ok(RecordPage {
                records,
                next: scanned.last.map(|Key { pk, sk }| format!("{pk} {sk}")),
            })
        })
        .await
    }

    async fn import_record(&self, record: &Record) -> Result<Placement> {
        within("import_record", self.import(record)).await
    }
}

/// A page of clients, each with its deployments as they are together.
async fn export_clients(
    operation: &Operation,
    after: Option<&str>,
    limit: u32,
) -> Result<RecordPage> {
    if after.is_some_and(|after| parse_uuid(after).is_none()) {
        return Err(nowhere());
    }
    let mut from = after.map(queries::listed_client);
    let mut records = Vec::new();
    loop {
        let left = limit.saturating_sub(records.len() as u32);
        let (listed, last) = operation
            .query_page(queries::CLIENT_LIST, left, from)
            .await?;
        for some in listed.chunks(ABREAST) {
            let reads = some.iter().map(async |item| {
                let id = mapping::text(item, "id")?;
                clients::read(operation, id).await
            });
            for client in join_all(reads).await {
                records.extend(client?.map(Record::Client));
            }
        }
        let ended = last.is_none();
        if ended || records.len() >= limit as usize {
            let next = last.map(|key| key.sk);
            return Ok(RecordPage { records, next });
        }
        from = last;
    }
}

/// What a page's worth of scanning found, and where it ended before the end of the table.
struct Scanned {
    items: Vec<Item>,
    last: Option<Key>,
}

async fn scan(
    operation: &Operation,
    kind: RecordKind,
    mut from: Option<Key>,
    limit: u32,
    now: Timestamp,
) -> Result<Scanned> {
    let mut items = Vec::new();
    loop {
        let looked_at = limit.max(LOOKED_AT);
        let filter = HashMap::from([
            (":start".to_owned(), s(start(kind))),
            (":sk".to_owned(), s(sort_start(kind))),
            (":now".to_owned(), at(now)),
        ]);
        let (found, last) = operation
            .scan_page(queries::LIVE_OF_KIND, filter, looked_at, from)
            .await?;
        for item in found {
            items.push(item);
            if items.len() == limit as usize {
                // Whether it was the last one, the next page tells.
                let last = items.last().and_then(Key::of);
                return Ok(Scanned { items, last });
            }
        }
        if last.is_none() {
            return Ok(Scanned { items, last });
        }
        from = last;
    }
}

/// What the partition keys of a kind start with.
fn start(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Clients => "C#",
        RecordKind::Sessions => "S#",
        RecordKind::Nonces => "N#",
        RecordKind::RegistrationSessions => "R#",
        RecordKind::JtsSessions => "P#",
        RecordKind::LoginSessions => "G#",
    }
}

/// What the sort keys of a kind start with.
fn sort_start(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::JtsSessions => queries::JTS_SESSIONS,
        _ => queries::ALONE,
    }
}

/// The key that a page ended at.
fn place(kind: RecordKind, after: &str) -> Result<Key> {
    let (pk, sk) = after.split_once(' ').ok_or_else(nowhere)?;
    let rest = pk.strip_prefix(start(kind)).ok_or_else(nowhere)?;
    let is_hash = || {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        rest.len() == 43 && rest.bytes().all(allowed)
    };
    let fits = match kind {
        RecordKind::Clients => false,
        RecordKind::Sessions | RecordKind::RegistrationSessions => {
            parse_uuid(rest).is_some() && sk == queries::ALONE
        }
        RecordKind::Nonces | RecordKind::LoginSessions => is_hash() && sk == queries::ALONE,
        RecordKind::JtsSessions => {
            let aid = sk.strip_prefix(queries::JTS_SESSIONS);
            is_hash() && aid.is_some_and(Aid::accepts)
        }
    };
    fits.then(|| Key::new(pk, sk)).ok_or_else(nowhere)
}

fn nowhere() -> Error {
    Error::invalid("after", "no page ended there")
}

/// A record of any kind but clients and JTS sessions.
pub(super) fn record(kind: RecordKind, mut item: Item) -> Result<Record> {
    let key = Key::of(&item).unwrap_or_else(|| Key::new("", ""));
    let corrupt = || mapping::corrupt(kind.as_str(), &key.pk);
    let id = key.pk.strip_prefix(start(kind)).and_then(parse_uuid);
    Ok(match kind {
        RecordKind::Sessions => {
            let id = id.ok_or_else(corrupt)?;
            Record::Session(Box::new(lti_sessions::decode(id, &item)?))
        }
        RecordKind::RegistrationSessions => {
            let session = mapping::payload(&item, kind.as_str(), &key.pk)?;
            Record::RegistrationSession(id.ok_or_else(corrupt)?, session)
        }
        RecordKind::Nonces => Record::Nonce(StoredNonce {
            nonce: Nonce::from_stored(mapping::take(&mut item, "nonce")?),
            expires_at: mapping::instant(&item, "expires_at")?,
            consumed: item.contains_key("used_at"),
        }),
        RecordKind::LoginSessions => {
            let id = mapping::take(&mut item, "id")?;
            let id = LoginSessionId::from_stored(id);
            Record::LoginSession(login_sessions::decode(&item, id.as_str())?.session)
        }
        RecordKind::Clients | RecordKind::JtsSessions => {
            let message = "this kind of record is more than an item";
            return Err(Error::new(ErrorKind::Backend, message));
        }
    })
}

/// JTS sessions with the digests of all proofs that they ever had. The pointer of each proof names the
/// proof before it, so that these are followed, of all sessions at once, until there are no more.
pub(super) async fn jts_sessions(operation: &Operation, items: Vec<Item>) -> Result<Vec<Record>> {
    let sessions = items.into_iter().map(mapping::jts_session);
    let sessions = sessions.collect::<Result<Vec<_>>>()?;
    let mut proofs = vec![HashSet::new(); sessions.len()];
    let first = sessions.iter().enumerate().map(|(index, session)| {
        let proof: &StateProof = &session.current_state_proof;
        (queries::proof(proof.as_str()), index)
    });
    let mut next: Vec<(Key, usize)> = first.collect();
    while !next.is_empty() {
        let keys: Vec<Key> = next.iter().map(|(key, _)| key.clone()).collect();
        let pointers = operation.get_all(&keys).await?;
        let mut before = Vec::new();
        for (pointer, (_, index)) in pointers.into_iter().zip(next) {
            let Some(AttributeValue::S(prior)) =
                pointer.and_then(|mut item| item.remove(queries::PRIOR))
            else {
                continue;
            };
            let digest = queries::digest(&prior);
            let digest = digest.ok_or_else(|| {
                mapping::corrupt(RecordKind::JtsSessions.as_str(), &sessions[index].aid)
            })?;
            if proofs[index].insert(digest) {
                before.push((queries::proof_of_digest(&prior), index));
            }
        }
        next = before;
    }
    let stored = sessions.into_iter().zip(proofs).map(|(session, proofs)| {
        let stored = StoredJtsSession::new(session, proofs);
        Record::JtsSession(Box::new(stored))
    });
    Ok(stored.collect())
}
