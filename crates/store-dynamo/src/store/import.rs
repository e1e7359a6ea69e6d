//! Adding records of other stores, as they are.

use futures_util::future::join_all;
use store_core::{
    CleanupKind, ClientWithDeployments, Deployment, Expiring, LoginSession, LtiSession,
    LtiSessionData, MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES, Placement, Record, RegistrationSession,
    Result, StoredJtsSession, StoredNonce, Timestamp, encode,
};
use uuid::Uuid;

use super::jts_pointers::Pointer;
use super::jts_sessions::inserts;
use super::{DynamoStore, clients, deployments, transfer};
use crate::execute::{Operation, Transacted};
use crate::mapping::{self, Item, StoredClient, StoredDeployment, at, item, n, s};
use crate::queries::{self, Key};
use crate::write::Write;

/// How many writes are under way at once.
const ABREAST: usize = 16;
/// How many items a transaction that adds a client writes besides the deployments, of two items each.
const CREATING: usize = 5;

impl DynamoStore {
    pub(super) async fn import(&self, record: &Record) -> Result<Placement> {
        let mut operation = self.begin().await?;
        match record {
            Record::Client(offered) => self.import_client(&mut operation, offered).await,
            Record::JtsSession(offered) => self.import_jts(&mut operation, offered).await,
            Record::Session(session) => {
                self.import_alone(&mut operation, record, lti_session(session)?)
                    .await
            }
            Record::Nonce(stored) => {
                let alone = nonce(stored, self.now());
                self.import_alone(&mut operation, record, alone).await
            }
            Record::RegistrationSession(id, session) => {
                let alone = registration(*id, session)?;
                self.import_alone(&mut operation, record, alone).await
            }
            Record::LoginSession(session) => {
                let alone = self.login_session(session)?;
                self.import_alone(&mut operation, record, alone).await
            }
        }
    }

    /// Adds a record that is one item, unless something live is in its place.
    async fn import_alone(
        &self,
        operation: &mut Operation,
        record: &Record,
        (key, mut item, kind): (Key, Item, CleanupKind),
    ) -> Result<Placement> {
        let Some(expires_at) = record.expires_at() else {
            return Ok(Placement::Differs);
        };
        queries::expire(&mut item, kind, &key, expires_at);
        loop {
            let now = self.now();
            if expires_at <= now {
                return Ok(Placement::Expired);
            }
            let put = Write::put(key.clone(), item.clone());
            let put = put.when(queries::ABSENT_OR_EXPIRED).now(now);
            if operation.write(put).await?.happened() {
                return Ok(Placement::Added);
            }
            let found = operation.get(key.clone()).await?;
            if let Some(found) = mapping::live(found, now)? {
                let stored = transfer::record(record.kind(), found)?;
                return Ok(Placement::beside(&stored, record));
            }
            operation.look_again().await?;
        }
    }

    fn login_session(&self, session: &LoginSession) -> Result<(Key, Item, CleanupKind)> {
        let json = encode("data", &session.data, MAX_PAYLOAD_BYTES)?;
        let id = session.id.as_str();
        let item = item([
            ("id", s(id)),
            ("payload", s(json)),
            ("verify", self.verification(&session.data)),
            ("rev", n(session.version)),
        ]);
        Ok((queries::login_session(id), item, CleanupKind::LoginSessions))
    }

    /// Adds a JTS session. The pointers of its retired proofs come first, so that the session is never
    /// there without them; then the session with the pointers to it, in one step.
    async fn import_jts(
        &self,
        operation: &mut Operation,
        offered: &StoredJtsSession,
    ) -> Result<Placement> {
        let session = &offered.session;
        let metadata = session.metadata.as_ref();
        let metadata = metadata
            .map(|metadata| encode("metadata", metadata, MAX_METADATA_BYTES))
            .transpose()?;
        let partition = queries::principal_partition(session.prn.as_str());
        let aid = session.aid.as_str();
        let place = Pointer {
            partition: partition.clone(),
            aid: aid.to_owned(),
            expires_at: session.expires_at,
        };
        loop {
            let now = self.now();
            if session.expires_at <= now {
                return Ok(Placement::Expired);
            }
            let anchor = operation.get(queries::anchor(aid)).await?;
            let other = anchor.map(|mut anchor| mapping::take(&mut anchor, "home"));
            let other = other.transpose()?.filter(|other| *other != partition);
            for partition in other.iter().chain([&partition]) {
                let key = queries::jts_session(partition, aid);
                let found = mapping::live(operation.get(key).await?, now)?;
                let Some(stored) = found.map(|item| vec![item]) else {
                    continue;
                };
                let stored = transfer::jts_sessions(operation, stored).await?;
                let offered = Record::JtsSession(Box::new(offered.clone()));
                let placements = stored
                    .iter()
                    .map(|stored| Placement::beside(stored, &offered));
                return Ok(placements.min().unwrap_or(Placement::Differs));
            }
            let mut prior: Option<String> = None;
            let retired = offered.retired_proofs.iter().map(|digest| {
                let digest = queries::spell(digest);
                let write = place.write(&digest, prior.as_deref());
                prior = Some(digest);
                own(write, aid, now)
            });
            let retired: Vec<Write> = retired.collect();
            for some in retired.chunks(ABREAST) {
                let writes = some.iter().cloned().map(|write| operation.write(write));
                for answer in join_all(writes).await {
                    if !answer?.happened() {
                        return Ok(Placement::Differs);
                    }
                }
            }
            let writes = {
                let [put, anchor, pointer] =
                    inserts(session, metadata.clone(), &partition, prior.as_deref());
                let put = put.when(queries::ABSENT_OR_EXPIRED).now(now);
                let held = other.as_deref().unwrap_or(&partition);
                let anchor = anchor.when(queries::ABSENT_OR_IN).with(":seen", s(held));
                let elsewhere = other.iter().map(|other| {
                    let check = Write::check(queries::jts_session(other, aid));
                    check.when(queries::ABSENT_OR_EXPIRED).now(now)
                });
                let mut writes = vec![own(pointer, aid, now), put, anchor];
                writes.extend(elsewhere);
                writes
            };
            match operation.transact(writes).await? {
                Transacted::Done => return Ok(Placement::Added),
                // The current proof leads to another session.
                Transacted::Refused(refused) if refused == [0] => return Ok(Placement::Differs),
                Transacted::Refused(_) => operation.look_again().await?,
            }
        }
    }

    /// Adds a client with its deployments, or those that it lacks. What does not fit the transaction that
    /// adds the client follows in others.
    async fn import_client(
        &self,
        operation: &mut Operation,
        offered: &ClientWithDeployments,
    ) -> Result<Placement> {
        let client = &offered.client;
        let id = client.id.to_string();
        let natural = queries::natural_base(client.iss.as_str(), client.client_id.as_str());
        let mut base = natural;
        let mut added = false;
        loop {
            let (iss, client_id) = (client.iss.as_str(), client.client_id.as_str());
            let registered = queries::registered_client(iss, client_id);
            let registered = operation.get(registered).await?.map(mapping::client);
            let found = match registered.transpose()? {
                Some(found) => Some(found.client.id.to_string()),
                None => clients::stored(operation, &id).await?.map(|_| id.clone()),
            };
            let Some(found) = found else {
                let owner = StoredClient {
                    client: client.clone(),
                    base: base.clone(),
                    rev: 1,
                };
                match self
                    .add_whole(operation, &owner, &offered.deployments)
                    .await?
                {
                    Whole::Added => added = true,
                    Whole::BaseClaimed => base = id.clone(),
                    Whole::Refused => operation.look_again().await?,
                }
                continue;
            };
            // Both as they are now, the deployments together with their client.
            let stored = clients::read(operation, &found).await?;
            let owner = clients::stored(operation, &found).await?;
            let (Some(stored), Some(owner)) = (stored, owner) else {
                operation.look_again().await?;
                continue;
            };
            let missing = match Placement::missing_deployments(&stored, offered) {
                Ok(missing) => missing,
                Err(Placement::Present) if added => return Ok(Placement::Added),
                Err(placement) => return Ok(placement),
            };
            let room = (self.inner.config.transaction_limit - 1) / 2;
            for some in missing.chunks(room) {
                let mut writes = vec![clients::is_as(&owner)];
                writes.extend(some.iter().flat_map(|missing| insert(&owner, missing)));
                match operation.transact(writes).await? {
                    Transacted::Done => added = true,
                    Transacted::Refused(_) => {
                        operation.look_again().await?;
                        break;
                    }
                }
            }
        }
    }

    /// Adds a client and as many of its deployments as fit.
    async fn add_whole(
        &self,
        operation: &mut Operation,
        owner: &StoredClient,
        deployments: &[Deployment],
    ) -> Result<Whole> {
        let id = owner.client.id.to_string();
        // A client with this id was deleted, and is not swept yet.
        if let Some(mut word) = operation.get(queries::leftover(&id)).await? {
            let base = mapping::take(&mut word, "base")?;
            self.sweep_client(operation, &id, &base).await?;
        }
        let room = (self.inner.config.transaction_limit - CREATING) / 2;
        let mut writes = clients::insert(owner);
        writes.push(Write::check(queries::leftover(&id)).when(queries::ABSENT));
        let first = deployments.iter().take(room);
        writes.extend(first.flat_map(|deployment| insert(owner, deployment)));
        Ok(match operation.transact(writes).await? {
            Transacted::Done => Whole::Added,
            Transacted::Refused(refused) if refused == [clients::BASE] => Whole::BaseClaimed,
            Transacted::Refused(_) => Whole::Refused,
        })
    }
}

/// What came of adding a client.
enum Whole {
    Added,
    /// Its markers can't be where they naturally were.
    BaseClaimed,
    Refused,
}

fn insert(owner: &StoredClient, deployment: &Deployment) -> Vec<Write> {
    let stored = StoredDeployment {
        deployment: deployment.clone(),
        rev: 1,
    };
    deployments::insert(owner, &stored)
}

/// A write of a pointer that does not lead to another session.
fn own(write: Write, aid: &str, now: Timestamp) -> Write {
    let write = write.when(queries::OWN_POINTER);
    write.with(":aid", s(aid)).now(now)
}

fn lti_session(session: &Expiring<LtiSession>) -> Result<(Key, Item, CleanupKind)> {
    let data = encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)?;
    let key = queries::lti_session(&session.id.to_string());
    Ok((key, item([("payload", s(data))]), CleanupKind::Sessions))
}

fn nonce(stored: &StoredNonce, now: Timestamp) -> (Key, Item, CleanupKind) {
    let nonce = stored.nonce.as_str();
    let mut item = item([("nonce", s(nonce))]);
    if stored.consumed {
        item.insert("used_at".to_owned(), at(now));
    }
    (queries::nonce(nonce), item, CleanupKind::Nonces)
}

fn registration(id: Uuid, session: &RegistrationSession) -> Result<(Key, Item, CleanupKind)> {
    let data = encode("session", session, MAX_PAYLOAD_BYTES)?;
    let key = queries::registration(&id.to_string());
    let kind = CleanupKind::RegistrationSessions;
    Ok((key, item([("payload", s(data))]), kind))
}
