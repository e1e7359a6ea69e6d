//! Moving records from one store to another, as they are.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::clients::ClientWithDeployments;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::identifiers::Nonce;
use crate::json::{MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES, encode};
use crate::jts_sessions::{JtsSession, proof_digest};
use crate::login_sessions::LoginSession;
use crate::lti_sessions::{Expiring, LtiSession, LtiSessionData};
use crate::registration_sessions::RegistrationSession;

/// What a store keeps, under the names of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Clients with their deployments.
    Clients,
    /// LTI sessions.
    Sessions,
    /// Nonces, consumed or not.
    Nonces,
    /// Dynamic registrations under way.
    RegistrationSessions,
    /// JTS sessions with the digests of their retired proofs.
    JtsSessions,
    /// Login sessions, without their locks.
    LoginSessions,
}

impl RecordKind {
    /// All kinds, in the order in which a store is moved.
    pub const ALL: [Self; 6] = [
        Self::Clients,
        Self::Sessions,
        Self::Nonces,
        Self::RegistrationSessions,
        Self::JtsSessions,
        Self::LoginSessions,
    ];

    /// The name of the kind, such as `registration_sessions`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Sessions => "sessions",
            Self::Nonces => "nonces",
            Self::RegistrationSessions => "registration_sessions",
            Self::JtsSessions => "jts_sessions",
            Self::LoginSessions => "login_sessions",
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A nonce as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNonce {
    /// The nonce.
    pub nonce: Nonce,
    /// When it can be stored again.
    pub expires_at: Timestamp,
    /// Whether it was consumed.
    pub consumed: bool,
}

/// A JTS session as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJtsSession {
    /// The session.
    pub session: JtsSession,
    /// The digests ([`proof_digest`]) of all proofs that it had before the current one, as far as
    /// the store knows them, the previous one's included; in ascending order.
    pub retired_proofs: Vec<[u8; 32]>,
}

impl StoredJtsSession {
    /// A session whose store remembers these digests of proofs, in any order. For backends.
    #[must_use]
    pub fn new(session: JtsSession, proofs: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let current = proof_digest(session.current_state_proof.as_str());
        let previous = session.previous_state_proof.as_ref();
        let mut retired_proofs: Vec<_> = proofs
            .into_iter()
            .chain(previous.map(|proof| proof_digest(proof.as_str())))
            .filter(|digest| *digest != current)
            .collect();
        retired_proofs.sort_unstable();
        retired_proofs.dedup();
        Self {
            session,
            retired_proofs,
        }
    }
}

/// A live record of a store. `Debug` shows what that of its parts does.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A client, with its deployments by id.
    Client(ClientWithDeployments),
    /// An LTI session.
    Session(Box<Expiring<LtiSession>>),
    /// A nonce.
    Nonce(StoredNonce),
    /// A dynamic registration under way.
    RegistrationSession(Uuid, RegistrationSession),
    /// A JTS session.
    JtsSession(Box<StoredJtsSession>),
    /// A login session.
    LoginSession(LoginSession),
}

impl Record {
    /// The kind of the record.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Client(_) => RecordKind::Clients,
            Self::Session(_) => RecordKind::Sessions,
            Self::Nonce(_) => RecordKind::Nonces,
            Self::RegistrationSession(..) => RecordKind::RegistrationSessions,
            Self::JtsSession(_) => RecordKind::JtsSessions,
            Self::LoginSession(_) => RecordKind::LoginSessions,
        }
    }

    /// The JSON that a backend stores the record's payload as, held to the limit that it was created
    /// under; `None` for a record without one. For backends.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a payload that no store takes.
    pub fn encode_payload(&self) -> Result<Option<String>> {
        let encoded = match self {
            Self::Client(_) | Self::Nonce(_) => return Ok(None),
            Self::Session(session) => {
                encode("session", &LtiSessionData(session), MAX_PAYLOAD_BYTES)
            }
            Self::RegistrationSession(_, session) => encode("session", session, MAX_PAYLOAD_BYTES),
            Self::JtsSession(stored) => match &stored.session.metadata {
                Some(metadata) => encode("metadata", metadata, MAX_METADATA_BYTES),
                None => return Ok(None),
            },
            Self::LoginSession(session) => encode("data", &session.data, MAX_PAYLOAD_BYTES),
        };
        encoded.map(Some)
    }

    /// When the record expires; `None` for a client, which never does.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Client(_) => None,
            Self::Session(session) => Some(session.expires_at),
            Self::Nonce(nonce) => Some(nonce.expires_at),
            Self::RegistrationSession(_, session) => Some(session.expires_at),
            Self::JtsSession(stored) => Some(stored.session.expires_at),
            Self::LoginSession(session) => Some(session.expires_at),
        }
    }
}

/// Some records of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordPage {
    /// The records, in an order of the store's own that stays the same from page to page.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` at the end. It may name a record, so treat it as a secret.
    pub next: Option<String>,
}

/// What came of a record that was offered to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// It was added, or deployments were added to a client that was there.
    Added,
    /// The store has it already, just as it is.
    Present,
    /// The store has something else in its place, and keeps that.
    Differs,
    /// It has expired, so it was left out.
    Expired,
}

impl Placement {
    /// What is to be said of an offer of which the store has `stored` in its place. For backends.
    #[must_use]
    pub fn beside(stored: &Record, offered: &Record) -> Self {
        if stored == offered {
            Self::Present
        } else {
            Self::Differs
        }
    }

    /// Which deployments of an offered client are to be added to the one in its place, or what is to
    /// be said if there are none to add. For backends.
    ///
    /// # Errors
    /// The placement, if nothing is to be added.
    pub fn missing_deployments<'a>(
        stored: &ClientWithDeployments,
        offered: &'a ClientWithDeployments,
    ) -> std::result::Result<Vec<&'a crate::Deployment>, Self> {
        if stored.client != offered.client {
            return Err(Self::Differs);
        }
        let mut missing = Vec::new();
        for deployment in &offered.deployments {
            let same = stored.deployments.iter().find(|stored| {
                stored.id == deployment.id || stored.deployment_id == deployment.deployment_id
            });
            match same {
                None => missing.push(deployment),
                Some(stored) if stored == deployment => {}
                Some(_) => return Err(Self::Differs),
            }
        }
        if missing.is_empty() {
            return Err(Self::Present);
        }
        Ok(missing)
    }
}

/// Reads everything that a store keeps, and writes records of another store as they are: ids,
/// versions, proofs and times included. For moving, not for an application's daily work.
#[async_trait]
pub trait TransferStore: Send + Sync {
    /// Up to `limit` live records of a kind, and at least one if there is any, from the place where
    /// the page before ended. A record that is there from the first page to the last is seen once;
    /// one that comes, goes or changes meanwhile may be seen or missed.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if what is stored does not decode,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an `after` that no page of this kind gave.
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage>;

    /// Adds a record as it is, unless something live has its place: an id, a nonce, or a client's
    /// issuer and client id. Nothing is ever overwritten, so that an import may be cut off anywhere
    /// and made again. To a client that is there with the same id and endpoints, deployments that it
    /// lacks are added. A JTS session is added whatever the principal's other sessions are.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a payload over the limit.
    async fn import_record(&self, record: &Record) -> Result<Placement>;
}
