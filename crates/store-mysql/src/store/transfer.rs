//! Moving records from and to other stores.

use std::collections::HashMap;

use async_trait::async_trait;
use mysql_async::{Row, Value};
use store_core::{
    ClientWithDeployments, Error, ErrorKind, JtsSession, LtiSessionData, MAX_METADATA_BYTES,
    MAX_PAYLOAD_BYTES, Placement, Record, RecordKind, RecordPage, Result, StoredJtsSession,
    TransferStore, encode, parse_uuid, proof_digest,
};

use super::{LOOKS, MySqlStore, at};
use super::{clients, deployments, login_sessions};
use crate::execute::{Params, Step};
use crate::mapping;
use crate::queries::Query;

const EXPORT: &str = "export_records";
const IMPORT: &str = "import_record";

#[async_trait]
impl TransferStore for MySqlStore {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        page(self, kind, after, limit.max(1))
            .await
            .map_err(|error| at(EXPORT, error))
    }

    async fn import_record(&self, record: &Record) -> Result<Placement> {
        let said = |error| at(IMPORT, error);
        let payload = payload(record).map_err(said)?;
        if record.expires_at().is_some_and(|at| at <= self.now()) {
            return Ok(Placement::Expired);
        }
        place(self, record, payload).await.map_err(said)
    }
}

/// The JSON that a record is stored with, checked as when it was created.
fn payload(record: &Record) -> Result<Option<String>> {
    let json = match record {
        Record::Client(_) | Record::Nonce(_) => return Ok(None),
        Record::Session(session) => encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)?,
        Record::RegistrationSession(_, session) => encode("session", session, MAX_PAYLOAD_BYTES)?,
        Record::JtsSession(stored) => match &stored.session.metadata {
            Some(metadata) => encode("metadata", metadata, MAX_METADATA_BYTES)?,
            None => return Ok(None),
        },
        Record::LoginSession(session) => encode("data", &session.data, MAX_PAYLOAD_BYTES)?,
    };
    Ok(Some(json))
}

/// A record with the key that it is stored under.
type Keyed = (String, Record);

/// The live records of the first keys after `after`. One more than asked for is read, which tells
/// whether there are more.
async fn page(
    store: &MySqlStore,
    kind: RecordKind,
    after: Option<&str>,
    limit: u32,
) -> Result<RecordPage> {
    let after = after.unwrap_or_default();
    let by_id = matches!(
        kind,
        RecordKind::Clients | RecordKind::Sessions | RecordKind::RegistrationSessions
    );
    if by_id && !after.is_empty() && parse_uuid(after).is_none() {
        return Err(Error::invalid("after", "no page ended there"));
    }
    let limit = limit as usize;
    let mut found = records(store, kind, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(key, _)| key.clone());
    Ok(RecordPage {
        records: found.into_iter().map(|(_, record)| record).collect(),
        next: last,
    })
}

async fn records(
    store: &MySqlStore,
    kind: RecordKind,
    after: &str,
    limit: usize,
) -> Result<Vec<Keyed>> {
    let queries = &store.queries().transfer;
    let limit = Value::from(limit as u64);
    if kind == RecordKind::Clients {
        let params = vec![after.into(), limit];
        return clients(&rows(store, &queries.export_clients, params).await?);
    }
    let params = vec![after.into(), mapping::at(store.now()), limit];
    let (query, record): (_, fn(&Row) -> Result<Keyed>) = match kind {
        RecordKind::Sessions => (&queries.export_sessions, session),
        RecordKind::Nonces => (&queries.export_nonces, nonce),
        RecordKind::RegistrationSessions => (&queries.export_registration_sessions, registration),
        RecordKind::LoginSessions => (&queries.export_login_sessions, login_session),
        RecordKind::Clients | RecordKind::JtsSessions => {
            let rows = rows(store, &queries.export_jts_sessions, params).await?;
            return jts_sessions(store, &rows).await;
        }
    };
    let rows = rows(store, query, params).await?;
    rows.iter().map(record).collect()
}

async fn rows(store: &MySqlStore, query: &Query, params: Params) -> Result<Vec<Row>> {
    Ok(store.run(EXPORT, query, params).await?.rows)
}

/// Each client's rows stand together, one for each deployment.
fn clients(rows: &[Row]) -> Result<Vec<Keyed>> {
    let of_a_client = rows.chunk_by(|a, b| a.as_ref(0) == b.as_ref(0));
    let clients = of_a_client.filter_map(|rows| clients::with_deployments(rows).transpose());
    clients.map(|client| client.map(keyed_client)).collect()
}

fn keyed_client(client: ClientWithDeployments) -> Keyed {
    (client.client.id.to_string(), Record::Client(client))
}

/// Columns: id, data, expiresAt.
fn session(row: &Row) -> Result<Keyed> {
    let id = mapping::uuid(row, 0, "sessions")?;
    let session = mapping::lti_session(row, 1, id)?;
    Ok((id.to_string(), Record::Session(Box::new(session))))
}

fn nonce(row: &Row) -> Result<Keyed> {
    let nonce = mapping::nonce(row)?;
    Ok((nonce.nonce.as_str().to_owned(), Record::Nonce(nonce)))
}

/// Columns: id, data.
fn registration(row: &Row) -> Result<Keyed> {
    let id = mapping::uuid(row, 0, "registrationSessions")?;
    let key = id.to_string();
    let session = mapping::payload(row, 1, "registrationSessions", &key)?;
    Ok((key, Record::RegistrationSession(id, session)))
}

/// Columns: as `login_sessions::stored` has them, and the id.
fn login_session(row: &Row) -> Result<Keyed> {
    let id = mapping::str(row, 5)?;
    let stored = login_sessions::stored(row, id)?;
    Ok((id.to_owned(), Record::LoginSession(stored.session)))
}

/// Sessions with the digests of their retired proofs, which a second statement reads: a rotation
/// between the two only adds to what is known of a session.
async fn jts_sessions(store: &MySqlStore, rows: &[Row]) -> Result<Vec<Keyed>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    let range = vec![
        mapping::str(first, 0)?.into(),
        mapping::str(last, 0)?.into(),
    ];
    let query = &store.queries().transfer.export_retired_proofs;
    let mut proofs: HashMap<String, Vec<[u8; 32]>> = HashMap::new();
    for row in self::rows(store, query, range).await? {
        let digest = mapping::digest(&row, 1)?;
        let of_session = proofs.entry(mapping::str(&row, 0)?.to_owned());
        of_session.or_default().push(digest);
    }
    let sessions = rows.iter().map(|row| {
        let session = mapping::jts_session(row)?;
        let key = session.aid.as_str().to_owned();
        let proofs = proofs.remove(&key).unwrap_or_default();
        let stored = StoredJtsSession::new(session, proofs);
        Ok((key, Record::JtsSession(Box::new(stored))))
    });
    sessions.collect()
}

/// Adds a record, or tells what is in its place. What is there can vanish while it is looked at, so
/// that this is tried a few times.
async fn place(store: &MySqlStore, record: &Record, payload: Option<String>) -> Result<Placement> {
    if let Record::Client(client) = record {
        return place_client(store, client).await;
    }
    let payload = Value::from(payload);
    for _ in 0..LOOKS {
        if add(store, record, &payload).await? {
            return Ok(Placement::Added);
        }
        if let Some(stored) = stored(store, record).await? {
            return Ok(Placement::beside(&stored, record));
        }
    }
    Err(restless())
}

async fn place_client(store: &MySqlStore, offered: &ClientWithDeployments) -> Result<Placement> {
    let lti = &store.queries().lti;
    let id = offered.client.id;
    let client = [(&lti.add_client, clients::row(&offered.client))];
    let all = offered.deployments.iter().collect::<Vec<_>>();
    let steps = |missing: Vec<_>| {
        let row = |deployment| (&lti.add_deployment, deployments::row(id, deployment));
        missing.into_iter().map(row).collect::<Vec<Step<'_>>>()
    };
    for _ in 0..LOOKS {
        let whole = [&client[..], &steps(all.clone())[..]].concat();
        if added(store.run_together(IMPORT, &whole).await)? {
            return Ok(Placement::Added);
        }
        let Some(stored) = beside(store, offered).await? else {
            continue;
        };
        let missing = match Placement::missing_deployments(&stored, offered) {
            Ok(missing) => missing,
            Err(placement) => return Ok(placement),
        };
        if added(store.run_together(IMPORT, &steps(missing)).await)? {
            return Ok(Placement::Added);
        }
    }
    // The id of a deployment is another client's.
    Ok(Placement::Differs)
}

/// Whether rows could be added, or were kept out by others or by the lack of their client.
fn added<T>(result: Result<T>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) if deployments::lacks_client(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The client in this one's place: with its issuer and client id, or else with its id.
async fn beside(
    store: &MySqlStore,
    offered: &ClientWithDeployments,
) -> Result<Option<ClientWithDeployments>> {
    let client = &offered.client;
    let names = vec![client.iss.as_str().into(), client.client_id.as_str().into()];
    let query = &store.queries().transfer.find_client;
    let found = store.run(IMPORT, query, names).await?;
    let id = match found.rows.first() {
        Some(row) => mapping::uuid(row, 0, "clients")?,
        None => client.id,
    };
    let query = &store.queries().lti.get_client;
    let answer = store.run(IMPORT, query, vec![mapping::id(id)]).await?;
    clients::with_deployments(&answer.rows)
}

/// Inserts a record that expires, or takes the place of an expired one, and tells whether it could.
async fn add(store: &MySqlStore, record: &Record, payload: &Value) -> Result<bool> {
    let (lti, transfer) = (&store.queries().lti, &store.queries().transfer);
    let now = mapping::at(store.now());
    let data = payload.clone();
    let (insert, replace) = match record {
        Record::Client(_) => return Ok(false),
        Record::JtsSession(stored) => return add_jts_session(store, stored, data).await,
        Record::Session(session) => {
            let (id, until) = (mapping::id(session.id), mapping::at(session.expires_at));
            let row = vec![id.clone(), data.clone(), until.clone()];
            let replacement = vec![data, until, id, now];
            (
                (&lti.add_lti_session, row),
                (&lti.replace_lti_session, replacement),
            )
        }
        Record::RegistrationSession(id, session) => {
            let (id, until) = (mapping::id(*id), mapping::at(session.expires_at));
            let row = vec![id.clone(), data.clone(), until.clone()];
            let replacement = vec![data, until, id, now];
            (
                (&lti.set_registration_session, row),
                (&lti.replace_registration_session, replacement),
            )
        }
        Record::Nonce(nonce) => {
            let (key, until) = (nonce.nonce.as_str(), mapping::at(nonce.expires_at));
            let used = if nonce.consumed {
                now.clone()
            } else {
                Value::NULL
            };
            let row = vec![key.into(), until.clone(), used.clone()];
            let replacement = vec![until, used, key.into(), now];
            (
                (&transfer.import_nonce, row),
                (&transfer.replace_nonce, replacement),
            )
        }
        Record::LoginSession(session) => {
            let (id, until) = (session.id.as_str(), mapping::at(session.expires_at));
            let version = Value::from(session.version);
            let row = vec![id.into(), data.clone(), until.clone(), version.clone()];
            let replacement = vec![data, until, version, id.into(), now];
            (
                (&transfer.import_login_session, row),
                (&transfer.replace_login_session, replacement),
            )
        }
    };
    store.insert(IMPORT, insert, replace).await
}

/// The session and its retired proofs in one transaction, after an expired session of its id.
async fn add_jts_session(
    store: &MySqlStore,
    stored: &StoredJtsSession,
    metadata: Value,
) -> Result<bool> {
    let queries = &store.queries().transfer;
    let session = &stored.session;
    let aid = || Value::from(session.aid.as_str());
    let row = vec![
        aid(),
        session.prn.as_str().into(),
        session.current_state_proof.as_str().into(),
        mapping::optional(session.previous_state_proof.as_ref()),
        session.state_proof_version.into(),
        session.rotation_timestamp.map_or(Value::NULL, mapping::at),
        mapping::optional(session.device_fingerprint.as_ref()),
        mapping::at(session.created_at),
        mapping::at(session.expires_at),
        mapping::at(session.last_active),
        mapping::optional(session.user_agent.as_ref()),
        mapping::optional(session.ip_address.as_ref()),
        metadata,
    ];
    let proofs = vec![
        aid(),
        (i64::from(session.state_proof_version) - 1).into(),
        digests(stored).into(),
    ];
    let expired = vec![aid(), mapping::at(store.now())];
    let steps = [
        (&queries.delete_expired_jts_session, expired),
        (&queries.import_jts_session, row),
        (&queries.import_retired_proofs, proofs),
    ];
    added(store.run_together(IMPORT, &steps).await)
}

/// The digests that are kept beside the session, without that of its previous proof, as a JSON array.
fn digests(stored: &StoredJtsSession) -> String {
    let previous = stored.session.previous_state_proof.as_ref();
    let previous = previous.map(|proof| proof_digest(proof.as_str()));
    let hex = |digest: &[u8; 32]| {
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    };
    let kept = stored.retired_proofs.iter();
    let kept = kept.filter(|digest| Some(**digest) != previous).map(hex);
    format!("[{}]", kept.collect::<Vec<_>>().join(","))
}

/// What lives in the place of a record that expires.
async fn stored(store: &MySqlStore, record: &Record) -> Result<Option<Record>> {
    let (lti, transfer) = (&store.queries().lti, &store.queries().transfer);
    let now = mapping::at(store.now());
    match record {
        Record::Client(_) => Ok(None),
        Record::Session(session) => {
            let params = vec![mapping::id(session.id), now];
            let answer = store.run(IMPORT, &lti.get_lti_session, params).await?;
            let row = answer.rows.first();
            let found = row.map(|row| mapping::lti_session(row, 0, session.id));
            Ok(found.transpose()?.map(Box::new).map(Record::Session))
        }
        Record::RegistrationSession(id, _) => {
            let params = vec![mapping::id(*id), now];
            let query = &lti.get_registration_session;
            let answer = store.run(IMPORT, query, params).await?;
            let row = answer.rows.first();
            let key = id.to_string();
            let found = row.map(|row| mapping::payload(row, 0, "registrationSessions", &key));
            let found = found.transpose()?;
            Ok(found.map(|session| Record::RegistrationSession(*id, session)))
        }
        Record::Nonce(nonce) => {
            let params = vec![nonce.nonce.as_str().into(), now];
            let answer = store.run(IMPORT, &transfer.get_nonce, params).await?;
            let found = answer.rows.first().map(mapping::nonce).transpose()?;
            Ok(found.map(Record::Nonce))
        }
        Record::JtsSession(stored) => {
            let found = stored_jts_session(store, &stored.session).await?;
            Ok(found.map(Box::new).map(Record::JtsSession))
        }
        Record::LoginSession(session) => {
            let found = store.stored(IMPORT, session.id.as_str()).await?;
            Ok(found.map(|stored| Record::LoginSession(stored.session)))
        }
    }
}

async fn stored_jts_session(
    store: &MySqlStore,
    offered: &JtsSession,
) -> Result<Option<StoredJtsSession>> {
    let aid = || Value::from(offered.aid.as_str());
    let params = vec![aid(), mapping::at(store.now())];
    let query = &store.queries().jts.get_jts_session;
    let answer = store.run(IMPORT, query, params).await?;
    let Some(row) = answer.rows.first() else {
        return Ok(None);
    };
    let session = mapping::jts_session(row)?;
    let query = &store.queries().transfer.export_retired_proofs;
    let proofs = store.run(IMPORT, query, vec![aid(), aid()]).await?;
    let digests = proofs.rows.iter().map(|row| mapping::digest(row, 1));
    let digests = digests.collect::<Result<Vec<_>>>()?;
    Ok(Some(StoredJtsSession::new(session, digests)))
}

fn restless() -> Error {
    let message = "what is in the record's place kept changing; try again";
    Error::new(ErrorKind::Conflict, message).retryable()
}
