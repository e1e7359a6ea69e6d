//! Moving records from and to other stores.

use std::collections::HashMap;

use async_trait::async_trait;
use mysql_async::Row;
use store_core::{
    ClientWithDeployments, Error, ErrorKind, Placement, Record, RecordKind, RecordPage, Result,
    StoredJtsSession, TransferStore, parse_uuid, proof_digest,
};

use super::{LOOKS, MySqlStore, at};
use super::{clients, deployments, login_sessions};
use crate::execute::Batch;
use crate::mapping::{self, Param};
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
        let payload = record.encode_payload().map_err(said)?;
        if record.expires_at().is_some_and(|at| at <= self.now()) {
            return Ok(Placement::Expired);
        }
        place(self, record, payload).await.map_err(said)
    }
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
    let limit = (limit as u64).into();
    if kind == RecordKind::Clients {
        let params = [after.into(), limit];
        return clients(&mut rows(store, &queries.export_clients, &params).await?);
    }
    let params = [after.into(), store.now().into(), limit];
    let (query, record): (_, fn(&mut Row) -> Result<Keyed>) = match kind {
        RecordKind::Sessions => (&queries.export_sessions, session),
        RecordKind::Nonces => (&queries.export_nonces, nonce),
        RecordKind::RegistrationSessions => (&queries.export_registration_sessions, registration),
        RecordKind::LoginSessions => (&queries.export_login_sessions, login_session),
        RecordKind::Clients | RecordKind::JtsSessions => {
            let rows = rows(store, &queries.export_jts_sessions, &params).await?;
            return jts_sessions(store, rows).await;
        }
    };
    let mut rows = rows(store, query, &params).await?;
    rows.iter_mut().map(record).collect()
}

async fn rows(store: &MySqlStore, query: &Query, params: &[Param<'_>]) -> Result<Vec<Row>> {
    Ok(store.run(EXPORT, query, params).await?.rows)
}

/// Each client's rows stand together, one for each deployment.
fn clients(rows: &mut [Row]) -> Result<Vec<Keyed>> {
    let of_a_client = rows.chunk_by_mut(|a, b| a.as_ref(0) == b.as_ref(0));
    let clients = of_a_client.filter_map(|rows| clients::with_deployments(rows).transpose());
    clients.map(|client| client.map(keyed_client)).collect()
}

fn keyed_client(client: ClientWithDeployments) -> Keyed {
    (client.client.id.to_string(), Record::Client(client))
}

/// Columns: id, data, expiresAt.
fn session(row: &mut Row) -> Result<Keyed> {
    let id = mapping::uuid(row, 0, "sessions")?;
    let session = mapping::lti_session(row, 1, id)?;
    Ok((id.to_string(), Record::Session(Box::new(session))))
}

fn nonce(row: &mut Row) -> Result<Keyed> {
    let nonce = mapping::nonce(row)?;
    Ok((nonce.nonce.as_str().to_owned(), Record::Nonce(nonce)))
}

/// Columns: id, data.
fn registration(row: &mut Row) -> Result<Keyed> {
    let id = mapping::uuid(row, 0, "registrationSessions")?;
    let key = id.to_string();
    let session = mapping::payload(row, 1, "registrationSessions", &key)?;
    Ok((key, Record::RegistrationSession(id, session)))
}

/// Columns: as `login_sessions::stored` has them, and the id.
fn login_session(row: &mut Row) -> Result<Keyed> {
    let id = mapping::str(row, 5)?.to_owned();
    let stored = login_sessions::stored(row, &id)?;
    Ok((id, Record::LoginSession(stored.session)))
}

/// Sessions with the digests of their retired proofs, which a second statement reads: a rotation
/// between the two only adds to what is known of a session.
async fn jts_sessions(store: &MySqlStore, mut rows: Vec<Row>) -> Result<Vec<Keyed>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(Vec::new());
    };
    let range = [
        mapping::str(first, 0)?.into(),
        mapping::str(last, 0)?.into(),
    ];
    let query = &store.queries().transfer.export_retired_proofs;
    let mut proofs: HashMap<String, Vec<[u8; 32]>> = HashMap::new();
    for row in self::rows(store, query, &range).await? {
        let digest = mapping::digest(&row, 1)?;
        let of_session = proofs.entry(mapping::str(&row, 0)?.to_owned());
        of_session.or_default().push(digest);
    }
    let sessions = rows.iter_mut().map(|row| {
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
    let payload = payload.as_ref().into();
    for _ in 0..LOOKS {
        if add(store, record, payload).await? {
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
    let row = |deployment| deployments::row(id, deployment);
    for _ in 0..LOOKS {
        let client = Batch::new(&lti.add_client, &clients::row(&offered.client));
        let whole = offered
            .deployments
            .iter()
            .fold(client, |batch, deployment| {
                batch.with(&lti.add_deployment, &row(deployment))
            });
        if added(store.run_together(IMPORT, whole).await)? {
            return Ok(Placement::Added);
        }
        let Some(stored) = beside(store, offered).await? else {
            continue;
        };
        let missing = match Placement::missing_deployments(&stored, offered) {
            Ok(missing) => missing,
            Err(placement) => return Ok(placement),
        };
        let mut missing = missing.into_iter().map(row);
        let Some(first) = missing.next() else {
            return Ok(Placement::Present);
        };
        let first = Batch::new(&lti.add_deployment, &first);
        let batch = missing.fold(first, |batch, row| batch.with(&lti.add_deployment, &row));
        if added(store.run_together(IMPORT, batch).await)? {
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
    let names = [(&client.iss).into(), (&client.client_id).into()];
    let query = &store.queries().transfer.find_client;
    let found = store.run(IMPORT, query, &names).await?;
    let id = match found.rows.first() {
        Some(row) => mapping::uuid(row, 0, "clients")?,
        None => client.id,
    };
    let query = &store.queries().lti.get_client;
    let mut answer = store.run(IMPORT, query, &[id.into()]).await?;
    clients::with_deployments(&mut answer.rows)
}

/// Inserts a record that expires, or takes the place of an expired one, and tells whether it could.
async fn add(store: &MySqlStore, record: &Record, data: Param<'_>) -> Result<bool> {
    let (lti, transfer) = (&store.queries().lti, &store.queries().transfer);
    let now = store.now().into();
    let insert = async |insert, row: &[Param<'_>], replace, replacement: &[Param<'_>]| {
        let inserted = store.insert(IMPORT, (insert, row), (replace, replacement));
        inserted.await
    };
    match record {
        Record::Client(_) => Ok(false),
        Record::JtsSession(stored) => add_jts_session(store, stored, data).await,
        Record::Session(session) => {
            let (id, until) = (session.id.into(), session.expires_at.into());
            let (row, replacement) = ([id, data, until], [data, until, id, now]);
            let (add, replace) = (&lti.add_lti_session, &lti.replace_lti_session);
            insert(add, &row, replace, &replacement).await
        }
        Record::RegistrationSession(id, session) => {
            let (id, until) = ((*id).into(), session.expires_at.into());
            let (row, replacement) = ([id, data, until], [data, until, id, now]);
            let add = &lti.set_registration_session;
            let replace = &lti.replace_registration_session;
            insert(add, &row, replace, &replacement).await
        }
        Record::Nonce(nonce) => {
            let (key, until) = ((&nonce.nonce).into(), nonce.expires_at.into());
            let used = if nonce.consumed { now } else { Param::Null };
            let (row, replacement) = ([key, until, used], [until, used, key, now]);
            let (add, replace) = (&transfer.import_nonce, &transfer.replace_nonce);
            insert(add, &row, replace, &replacement).await
        }
        Record::LoginSession(session) => {
            let (id, until) = ((&session.id).into(), session.expires_at.into());
            let version = session.version.into();
            let row = [id, data, until, version];
            let replacement = [data, until, version, id, now];
            let add = &transfer.import_login_session;
            let replace = &transfer.replace_login_session;
            insert(add, &row, replace, &replacement).await
        }
    }
}

/// The session and its retired proofs in one transaction, after an expired session of its id.
async fn add_jts_session(
    store: &MySqlStore,
    stored: &StoredJtsSession,
    metadata: Param<'_>,
) -> Result<bool> {
    let queries = &store.queries().transfer;
    let session = &stored.session;
    let aid = (&session.aid).into();
    let row = [
        aid,
        (&session.prn).into(),
        (&session.current_state_proof).into(),
        session.previous_state_proof.as_ref().into(),
        session.state_proof_version.into(),
        session.rotation_timestamp.into(),
        session.device_fingerprint.as_ref().into(),
        session.created_at.into(),
        session.expires_at.into(),
        session.last_active.into(),
        session.user_agent.as_ref().into(),
        session.ip_address.as_ref().into(),
        metadata,
    ];
    let digests = digests(stored);
    let before = i64::from(session.state_proof_version) - 1;
    let expired = [aid, store.now().into()];
    let batch = Batch::new(&queries.delete_expired_jts_session, &expired)
        .with(&queries.import_jts_session, &row)
        .with(
            &queries.import_retired_proofs,
            &[aid, before.into(), (&digests).into()],
        );
    added(store.run_together(IMPORT, batch).await)
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
    let now = store.now().into();
    let found = async |query, key| {
        let answer = store.run(IMPORT, query, &[key, now]).await?;
        Ok(answer.first())
    };
    Ok(match record {
        Record::Client(_) => None,
        Record::Session(session) => {
            let row = found(&lti.get_lti_session, session.id.into()).await?;
            let stored = row.map(|row| mapping::lti_session(&row, 0, session.id));
            stored.transpose()?.map(Box::new).map(Record::Session)
        }
        Record::RegistrationSession(id, _) => {
            let row = found(&lti.get_registration_session, (*id).into()).await?;
            let key = id.to_string();
            let stored = row.map(|row| mapping::payload(&row, 0, "registrationSessions", &key));
            let stored = stored.transpose()?;
            stored.map(|session| Record::RegistrationSession(*id, session))
        }
        Record::Nonce(nonce) => {
            let row = found(&transfer.get_nonce, (&nonce.nonce).into()).await?;
            let stored = row.map(|mut row| mapping::nonce(&mut row));
            stored.transpose()?.map(Record::Nonce)
        }
        Record::JtsSession(offered) => {
            let aid = (&offered.session.aid).into();
            let Some(mut row) = found(&store.queries().jts.get_jts_session, aid).await? else {
                return Ok(None);
            };
            let session = mapping::jts_session(&mut row)?;
            let proofs = rows(store, &transfer.export_retired_proofs, &[aid, aid]).await?;
            let digests = proofs.iter().map(|row| mapping::digest(row, 1));
            let digests = digests.collect::<Result<Vec<_>>>()?;
            let stored = StoredJtsSession::new(session, digests);
            Some(Record::JtsSession(Box::new(stored)))
        }
        Record::LoginSession(session) => {
            let stored = store.stored(IMPORT, session.id.as_str()).await?;
            stored.map(|stored| Record::LoginSession(stored.session))
        }
    })
}

fn restless() -> Error {
    let message = "what is in the record's place kept changing; try again";
    Error::new(ErrorKind::Conflict, message).retryable()
}
