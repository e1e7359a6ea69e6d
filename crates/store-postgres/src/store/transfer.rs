//! Moving records from and to other stores.

use async_trait::async_trait;
use store_core::{
    ClientWithDeployments, Deployment, Error, ErrorKind, Expiring, LtiSession, Placement, Record,
    RecordKind, RecordPage, Result, StoredJtsSession, StoredNonce, Timestamp, TransferStore,
    parse_uuid, proof_digest,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{PostgresStore, at, login_sessions, lti_sessions};
use crate::mapping::{self, At, JsonText};

const EXPORT: &str = "export_records";
const IMPORT: &str = "import_record";

/// How often a step is looked at again because somebody else changed the place in between.
const LOOKS: u32 = 8;

#[async_trait]
impl TransferStore for PostgresStore {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        let queries = &self.queries().transfer;
        let limit = limit.max(1);
        // One more tells whether there is a next page.
        let fetched = i64::from(limit) + 1;
        let id = after_id(kind, after).map_err(|error| at(EXPORT, error))?;
        let now = At(self.now());
        let by_id: [&(dyn ToSql + Sync); 3] = [&id, &now, &fetched];
        let by_text: [&(dyn ToSql + Sync); 3] = [&after, &now, &fetched];
        let (query, params) = match kind {
            RecordKind::Clients => (&queries.export_clients, &[by_id[0], by_id[2]][..]),
            RecordKind::Sessions => (&queries.export_sessions, &by_id[..]),
            RecordKind::RegistrationSessions => (&queries.export_registration_sessions, &by_id[..]),
            RecordKind::Nonces => (&queries.export_nonces, &by_text[..]),
            RecordKind::JtsSessions => (&queries.export_jts_sessions, &by_text[..]),
            RecordKind::LoginSessions => (&queries.export_login_sessions, &by_text[..]),
        };
        let answer = self.run(EXPORT, query, params).await?;
        let records = match kind {
            RecordKind::Clients => clients(&answer.rows),
            _ => answer.rows.iter().map(|row| record(kind, row)).collect(),
        };
        let mut records: Vec<Record> = records.map_err(|error| at(EXPORT, error))?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| more).map(key);
        Ok(RecordPage { records, next })
    }

    async fn import_record(&self, record: &Record) -> Result<Placement> {
        let payload = record.encode_payload().map_err(|error| at(IMPORT, error))?;
        let mut refused = false;
        for _ in 0..LOOKS {
            let now = self.now();
            if record.expires_at().is_some_and(|at| at <= now) {
                return Ok(Placement::Expired);
            }
            match self.place(record, payload.as_deref(), now).await {
                Ok(true) => return Ok(Placement::Added),
                Ok(false) => {}
                Err(error) if is_taken(&error) => return Ok(Placement::Differs),
                Err(error) => return Err(error),
            }
            match (self.beside(record).await?, record) {
                (Some(Record::Client(stored)), Record::Client(offered)) => {
                    let missing = match Placement::missing_deployments(&stored, offered) {
                        Ok(missing) => missing,
                        Err(placement) => return Ok(placement),
                    };
                    match self.add_deployments(offered.client.id, &missing).await {
                        Ok(()) => return Ok(Placement::Added),
                        // Another client's deployment has the id of one of them.
                        Err(error) if is_taken(&error) && refused => {
                            return Ok(Placement::Differs);
                        }
                        // Somebody else added them or removed the client meanwhile: once more.
                        Err(error) if is_taken(&error) => refused = true,
                        Err(error) if is_orphan(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                (Some(stored), _) => return Ok(Placement::beside(&stored, record)),
                // What had the place has just gone: once more.
                (None, _) => {}
            }
        }
        let message = "what has the place of the record kept changing; try again";
        let error = Error::new(ErrorKind::Conflict, message).retryable();
        Err(at(IMPORT, error))
    }
}

impl PostgresStore {
    /// Adds a record whose place is free or expired, and tells whether it was.
    async fn place(&self, record: &Record, payload: Option<&str>, now: Timestamp) -> Result<bool> {
        let lti = &self.queries().lti;
        let transfer = &self.queries().transfer;
        let now = At(now);
        let payload = payload.map(JsonText);
        let answer = match record {
            Record::Client(offered) => {
                let client = &offered.client;
                let (ids, deployment_ids, names, descriptions) = columns(&offered.deployments);
                let params: [&(dyn ToSql + Sync); 11] = [
                    &client.id,
                    &client.name.as_str(),
                    &client.iss.as_str(),
                    &client.client_id.as_str(),
                    &client.auth_url.as_str(),
                    &client.token_url.as_str(),
                    &client.jwks_url.as_str(),
                    &ids,
                    &deployment_ids,
                    &names,
                    &descriptions,
                ];
                let query = &transfer.import_client;
                return Ok(!self.run(IMPORT, query, &params).await?.rows.is_empty());
            }
            Record::JtsSession(stored) => return self.place_jts(stored, payload, now).await,
            Record::Session(session) => {
                let until = At(session.expires_at);
                let params: [&(dyn ToSql + Sync); 4] = [&session.id, &payload, &until, &now];
                self.run(IMPORT, &lti.add_lti_session, &params).await?
            }
            Record::RegistrationSession(id, session) => {
                let until = At(session.expires_at);
                let params: [&(dyn ToSql + Sync); 4] = [id, &payload, &until, &now];
                let query = &lti.set_registration_session;
                self.run(IMPORT, query, &params).await?
            }
            Record::Nonce(nonce) => {
                let until = At(nonce.expires_at);
                let used_at = nonce.consumed.then_some(now);
                let params: [&(dyn ToSql + Sync); 4] =
                    [&nonce.nonce.as_str(), &until, &now, &used_at];
                self.run(IMPORT, &transfer.import_nonce, &params).await?
            }
            Record::LoginSession(session) => {
                let until = At(session.expires_at);
                let version = i64::try_from(session.version).map_err(|_| too_great("version"))?;
                let params: [&(dyn ToSql + Sync); 5] =
                    [&session.id.as_str(), &payload, &until, &now, &version];
                let query = &transfer.import_login_session;
                self.run(IMPORT, query, &params).await?
            }
        };
        Ok(answer.changed > 0)
    }

    async fn place_jts(
        &self,
        stored: &StoredJtsSession,
        metadata: Option<JsonText<'_>>,
        now: At,
    ) -> Result<bool> {
        let session = &stored.session;
        let aid = session.aid.as_str();
        let previous = session.previous_state_proof.as_ref();
        let previous = previous.map(|proof| proof.as_str());
        let previous_digest = previous.map(proof_digest);
        let digests = stored.retired_proofs.iter();
        // The previous proof is kept as it is.
        let digests = digests.filter(|digest| Some(**digest) != previous_digest);
        let digests: Vec<&[u8]> = digests.map(|digest| &digest[..]).collect();
        let version = i32::try_from(session.state_proof_version);
        let version = version.map_err(|_| too_great("state_proof_version"))?;
        let row: [&(dyn ToSql + Sync); 14] = [
            &aid,
            &session.prn.as_str(),
            &session.current_state_proof.as_str(),
            &previous,
            &version,
            &session.rotation_timestamp.map(At),
            &session
                .device_fingerprint
                .as_ref()
                .map(|text| text.as_str()),
            &At(session.created_at),
            &At(session.expires_at),
            &At(session.last_active),
            &session.user_agent.as_ref().map(|text| text.as_str()),
            &session.ip_address.as_ref().map(|text| text.as_str()),
            &metadata,
            &digests,
        ];
        let queries = &self.queries().transfer;
        let make_room: [&(dyn ToSql + Sync); 2] = [&aid, &now];
        let answers = self
            .inner
            .executor
            .run_together(&[
                (&queries.make_room_for_jts_session, &make_room),
                (&queries.import_jts_session, &row),
            ])
            .await
            .map_err(|error| at(IMPORT, error))?;
        Ok(answers.last().is_some_and(|answer| !answer.rows.is_empty()))
    }

    async fn add_deployments(&self, client: Uuid, missing: &[&Deployment]) -> Result<()> {
        let (ids, deployment_ids, names, descriptions) = columns(missing.iter().copied());
        let params: [&(dyn ToSql + Sync); 5] =
            [&client, &ids, &deployment_ids, &names, &descriptions];
        let query = &self.queries().transfer.import_deployments;
        self.run(IMPORT, query, &params).await.map(drop)
    }

    /// What lives in the place of this record.
    async fn beside(&self, record: &Record) -> Result<Option<Record>> {
        let queries = self.queries();
        let now = At(self.now());
        let kind = record.kind();
        let answer = match record {
            Record::Client(offered) => {
                let client = &offered.client;
                let params: [&(dyn ToSql + Sync); 3] =
                    [&client.id, &client.iss.as_str(), &client.client_id.as_str()];
                let query = &queries.transfer.client_beside;
                let answer = self.run(IMPORT, query, &params).await?;
                let found = clients(&answer.rows).map_err(|error| at(IMPORT, error))?;
                return Ok(found.into_iter().next());
            }
            Record::Session(session) => {
                let query = &queries.transfer.session_beside;
                self.run(IMPORT, query, &[&session.id, &now]).await?
            }
            Record::RegistrationSession(id, _) => {
                let query = &queries.transfer.registration_session_beside;
                self.run(IMPORT, query, &[id, &now]).await?
            }
            Record::Nonce(nonce) => {
                let query = &queries.transfer.nonce_beside;
                let params: [&(dyn ToSql + Sync); 2] = [&nonce.nonce.as_str(), &now];
                self.run(IMPORT, query, &params).await?
            }
            Record::JtsSession(stored) => {
                let query = &queries.transfer.jts_session_beside;
                let params: [&(dyn ToSql + Sync); 2] = [&stored.session.aid.as_str(), &now];
                self.run(IMPORT, query, &params).await?
            }
            Record::LoginSession(session) => {
                let query = &queries.transfer.login_session_beside;
                let params: [&(dyn ToSql + Sync); 2] = [&session.id.as_str(), &now];
                self.run(IMPORT, query, &params).await?
            }
        };
        let found = answer.rows.first().map(|row| self::record(kind, row));
        found.transpose().map_err(|error| at(IMPORT, error))
    }
}

/// The id that the page before ended with, for kinds whose keys are such.
fn after_id(kind: RecordKind, after: Option<&str>) -> Result<Option<Uuid>> {
    let Some(after) = after else {
        return Ok(None);
    };
    let refused = || Error::invalid("after", "no page ended there");
    match kind {
        RecordKind::Clients | RecordKind::Sessions | RecordKind::RegistrationSessions => {
            parse_uuid(after).map(Some).ok_or_else(refused)
        }
        RecordKind::Nonces | RecordKind::JtsSessions | RecordKind::LoginSessions => {
            if after.contains('\0') {
                return Err(refused());
            }
            Ok(None)
        }
    }
}

/// A record from a row of its kind's statement.
fn record(kind: RecordKind, row: &Row) -> Result<Record> {
    Ok(match kind {
        RecordKind::Clients => Record::Client(ClientWithDeployments {
            client: mapping::client(row)?,
            deployments: mapping::deployment(row, 7)?.into_iter().collect(),
        }),
        RecordKind::Sessions => {
            let session: Expiring<LtiSession> =
                lti_sessions::session(row, mapping::column(row, 2)?)?;
            Record::Session(Box::new(session))
        }
        RecordKind::Nonces => Record::Nonce(StoredNonce {
            nonce: mapping::text(row, 0)?,
            expires_at: mapping::timestamp(row, 1)?,
            consumed: mapping::column(row, 2)?,
        }),
        RecordKind::RegistrationSessions => {
            let id: Uuid = mapping::column(row, 1)?;
            let table = "registration_sessions";
            let session = mapping::payload(row, 0, table, &id.to_string())?;
            Record::RegistrationSession(id, session)
        }
        RecordKind::JtsSessions => {
            let session = mapping::jts_session(row)?;
            let digests = mapping::column::<Vec<&[u8]>>(row, 13)?.into_iter();
            let digests = digests
                .map(<[u8; 32]>::try_from)
                .collect::<Result<Vec<_>, _>>();
            let digests =
                digests.map_err(|_| mapping::corrupt("jts_retired_state_proofs", &session.aid))?;
            Record::JtsSession(Box::new(StoredJtsSession::new(session, digests)))
        }
        RecordKind::LoginSessions => {
            Record::LoginSession(login_sessions::session(row, mapping::column(row, 3)?)?)
        }
    })
}

/// Clients from rows that hold one deployment each, or none.
fn clients(rows: &[Row]) -> Result<Vec<Record>> {
    let mut clients: Vec<Record> = Vec::new();
    for row in rows {
        let id: Uuid = mapping::column(row, 0)?;
        match clients.last_mut() {
            Some(Record::Client(last)) if last.client.id == id => {
                last.deployments.extend(mapping::deployment(row, 7)?);
            }
            _ => clients.push(record(RecordKind::Clients, row)?),
        }
    }
    Ok(clients)
}

/// The key that a page which ends with this record ended with.
fn key(record: &Record) -> String {
    match record {
        Record::Client(client) => client.client.id.to_string(),
        Record::Session(session) => session.id.to_string(),
        Record::RegistrationSession(id, _) => id.to_string(),
        Record::Nonce(nonce) => nonce.nonce.as_str().to_owned(),
        Record::JtsSession(stored) => stored.session.aid.as_str().to_owned(),
        Record::LoginSession(session) => session.id.as_str().to_owned(),
    }
}

type Columns<'a> = (
    Vec<Uuid>,
    Vec<&'a str>,
    Vec<Option<&'a str>>,
    Vec<Option<&'a str>>,
);

/// The columns of deployments: id, deployment_id, name, description.
fn columns<'a>(deployments: impl IntoIterator<Item = &'a Deployment>) -> Columns<'a> {
    let mut columns = Columns::default();
    for deployment in deployments {
        columns.0.push(deployment.id);
        columns.1.push(deployment.deployment_id.as_str());
        let name = deployment.name.as_ref();
        columns.2.push(name.map(|name| name.as_str()));
        let description = deployment.description.as_ref();
        columns.3.push(description.map(|text| text.as_str()));
    }
    columns
}

/// A key is another record's.
fn is_taken(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

/// The client of a deployment is gone.
fn is_orphan(error: &Error) -> bool {
    use tokio_postgres::error::SqlState;
    error.code() == Some(SqlState::FOREIGN_KEY_VIOLATION.code())
}

fn too_great(field: &'static str) -> Error {
    let error = Error::invalid(field, format!("{field} is greater than a column holds"));
    at(IMPORT, error)
}
