//! Moving records from and to other stores.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    CleanupKind, ClientWithDeployments, Error, Nonce, Placement, Record, RecordKind, RecordPage,
    Result, StoredNonce, Timestamp, TransferStore, parse_uuid,
};
use uuid::Uuid;

use super::{BACKEND, MemoryStore, State, login_sessions};

impl State {
    /// The live records of a kind whose keys come after `after`, by key. It sorts all of them for
    /// each page, which memory can afford and no index is worth.
    fn records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<RecordPage> {
        let after_id = after.map(|after| {
            parse_uuid(after).ok_or_else(|| Error::invalid("after", "no page ended there"))
        });
        match kind {
            RecordKind::Clients => {
                let ids = self.clients.ids().collect();
                page(ids, after_id.transpose()?, limit, Uuid::to_string, |id| {
                    self.client(id).map(Record::Client)
                })
            }
            RecordKind::Sessions => {
                let ids = self.lti_sessions.live(now).copied().collect();
                page(ids, after_id.transpose()?, limit, Uuid::to_string, |id| {
                    let row = self.lti_sessions.get(id, now)?;
                    Some(Record::Session(Box::new((*row.value).clone())))
                })
            }
            RecordKind::RegistrationSessions => {
                let ids = self.registration_sessions.live(now).copied().collect();
                page(ids, after_id.transpose()?, limit, Uuid::to_string, |id| {
                    let row = self.registration_sessions.get(id, now)?;
                    Some(Record::RegistrationSession(*id, row.value.clone()))
                })
            }
            RecordKind::Nonces => {
                let keys = self.nonces.live(now).cloned().collect();
                page(keys, after.map(Arc::from), limit, named, |key| {
                    self.stored_nonce(key, now).map(Record::Nonce)
                })
            }
            RecordKind::JtsSessions => {
                let keys = self.jts_sessions.live(now).cloned().collect();
                page(keys, after.map(Arc::from), limit, named, |key| {
                    let stored = self.jts_sessions.stored(key, now)?;
                    Some(Record::JtsSession(Box::new(stored)))
                })
            }
            RecordKind::LoginSessions => {
                let keys = self.login_sessions.live(now).cloned().collect();
                page(keys, after.map(Arc::from), limit, named, |key| {
                    let row = self.login_sessions.get(key, now)?;
                    Some(Record::LoginSession(login_sessions::session(key, row)))
                })
            }
        }
    }

    fn client(&self, id: &Uuid) -> Option<ClientWithDeployments> {
        let row = self.clients.get(&id.to_string())?;
        Some(ClientWithDeployments {
            client: row.client.clone(),
            deployments: row.deployments.list(),
        })
    }

    fn stored_nonce(&self, key: &str, now: Timestamp) -> Option<StoredNonce> {
        let row = self.nonces.get(key, now)?;
        Some(StoredNonce {
            nonce: Nonce::from_stored(key),
            expires_at: row.expires_at,
            consumed: row.value,
        })
    }

    /// What lives in the place of this record.
    fn beside(&self, record: &Record, now: Timestamp) -> Option<Record> {
        match record {
            Record::Client(offered) => {
                let client = &offered.client;
                let found = self
                    .clients
                    .find(client.iss.as_str(), client.client_id.as_str());
                let id = found.map_or(client.id, |row| row.client.id);
                self.client(&id).map(Record::Client)
            }
            Record::Session(session) => {
                let row = self.lti_sessions.get(&session.id, now)?;
                Some(Record::Session(Box::new((*row.value).clone())))
            }
            Record::Nonce(nonce) => {
                let stored = self.stored_nonce(nonce.nonce.as_str(), now)?;
                Some(Record::Nonce(stored))
            }
            Record::RegistrationSession(id, _) => {
                let row = self.registration_sessions.get(id, now)?;
                Some(Record::RegistrationSession(*id, row.value.clone()))
            }
            Record::JtsSession(stored) => {
                let stored = self.jts_sessions.stored(stored.session.aid.as_str(), now)?;
                Some(Record::JtsSession(Box::new(stored)))
            }
            Record::LoginSession(session) => {
                let id = session.id.as_str();
                let row = self.login_sessions.get(id, now)?;
                Some(Record::LoginSession(login_sessions::session(id, row)))
            }
        }
    }

    /// Adds a record whose place is free.
    fn place(&mut self, record: &Record, now: Timestamp) {
        let placed = match record.clone() {
            Record::Client(offered) => self.clients.place(offered),
            Record::Session(session) => {
                let (id, expires_at) = (session.id, session.expires_at);
                let row = Arc::new(*session);
                self.lti_sessions.add(id, row, expires_at, now)
            }
            Record::Nonce(nonce) => {
                let key = nonce.nonce.as_str().into();
                self.nonces.add(key, nonce.consumed, nonce.expires_at, now)
            }
            Record::RegistrationSession(id, session) => {
                let expires_at = session.expires_at;
                self.registration_sessions.add(id, session, expires_at, now)
            }
            Record::JtsSession(stored) => {
                self.jts_sessions.place(*stored, now);
                true
            }
            Record::LoginSession(session) => {
                let (key, expires_at) = (session.id.as_str().into(), session.expires_at);
                let row = login_sessions::Row::unlocked(session.data, session.version);
                self.login_sessions.add(key, row, expires_at, now)
            }
        };
        debug_assert!(placed, "the place was free");
    }
}

/// The records of the first keys after `after`.
fn page<K: Ord>(
    mut keys: Vec<K>,
    after: Option<K>,
    limit: usize,
    name: impl Fn(&K) -> String,
    record: impl Fn(&K) -> Option<Record>,
) -> Result<RecordPage> {
    keys.retain(|key| after.as_ref().is_none_or(|after| key > after));
    keys.sort_unstable();
    let more = keys.len() > limit;
    keys.truncate(limit);
    Ok(RecordPage {
        records: keys.iter().filter_map(record).collect(),
        next: keys.last().filter(|_| more).map(name),
    })
}

fn named(key: &Arc<str>) -> String {
    key.to_string()
}

/// The kind whose expired rows make room for a record of this kind.
fn expiring(kind: RecordKind) -> Option<CleanupKind> {
    CleanupKind::ALL
        .into_iter()
        .find(|expiring| expiring.as_str() == kind.as_str())
}

#[async_trait]
impl TransferStore for MemoryStore {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        self.step("export_records", |state, now| {
            state.records(kind, after, limit.max(1) as usize, now)
        })
    }

    async fn import_record(&self, record: &Record) -> Result<Placement> {
        const OPERATION: &str = "import_record";
        record
            .encode_payload()
            .map_err(|error| error.at(BACKEND, OPERATION))?;
        self.step(OPERATION, |state, now| {
            if record.expires_at().is_some_and(|at| at <= now) {
                return Ok(Placement::Expired);
            }
            match (state.beside(record, now), record) {
                (Some(Record::Client(stored)), Record::Client(offered)) => {
                    match Placement::missing_deployments(&stored, offered) {
                        Ok(missing) => {
                            state.clients.place_deployments(&stored.client, missing);
                            Ok(Placement::Added)
                        }
                        Err(placement) => Ok(placement),
                    }
                }
                (Some(stored), _) => Ok(Placement::beside(&stored, record)),
                (None, _) => {
                    if let Some(kind) = expiring(record.kind()) {
                        state.reap(kind, now, super::REAPED_PER_ADDITION);
                    }
                    state.place(record, now);
                    Ok(Placement::Added)
                }
            }
        })
    }
}
