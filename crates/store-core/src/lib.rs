#![doc = include_str!("../README.md")]
//!
//! # What every store promises
//!
//! - **Time** comes from the injected [`Clock`]. `expires_at <= now` means expired.
//! - **Expired is absent**: no operation sees an expired row, reaped or not.
//! - **Never resurrect**: create never overwrites, save never creates.
//! - **Atomic**: each operation is one step, from any number of tasks and processes.
//! - **Bytes compare as bytes**: case, accents and trailing spaces count.
//! - **Lookups take any string**: a malformed id is simply not found. What is stored is checked when
//!   its type is made ([`Text`]), and refused with [`ErrorKind::InvalidInput`].
//! - **Cancellation**: a future dropped at any await leaves nothing half done.
//! - Besides the errors that a method names, it can fail with those of the connection:
//!   [`Unavailable`](ErrorKind::Unavailable), [`Timeout`](ErrorKind::Timeout),
//!   [`PoolExhausted`](ErrorKind::PoolExhausted), [`Indeterminate`](ErrorKind::Indeterminate),
//!   [`PermissionDenied`](ErrorKind::PermissionDenied), [`SchemaMissing`](ErrorKind::SchemaMissing),
//!   [`Closed`](ErrorKind::Closed), [`Backend`](ErrorKind::Backend), and
//!   [`Corrupt`](ErrorKind::Corrupt) when reading.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backoff;
mod cleanup;
mod clients;
mod clock;
mod deployments;
mod error;
mod identifiers;
mod json;
mod jts_sessions;
mod launch_configs;
mod lifecycle;
mod login_sessions;
mod lti_sessions;
mod nonces;
mod registration_sessions;
mod schema;
mod serverless;
mod settings;
mod store;
mod text;
mod transfer;

#[cfg(feature = "cache")]
mod cache;

pub use backoff::Backoff;
#[cfg(feature = "cache")]
pub use cache::{CacheOptions, Cached};
pub use cleanup::{CleanupKind, CleanupOptions, CleanupReport, CleanupStore, CleanupStoreExt};
pub use clients::{Client, ClientStore, ClientUpdate, ClientWithDeployments, NewClient};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use deployments::{
    DEFAULT_DEPLOYMENT_ID, Deployment, DeploymentStore, DeploymentUpdate, NewDeployment,
};
pub use error::{Error, ErrorKind, Result};
pub use identifiers::*;
pub use json::{Json, MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES, encode};
pub use jts_sessions::{
    CreatedJtsSession, JtsErrorCode, JtsSession, JtsSessionStore, MAX_CLOCK_SKEW, NewJtsSession,
    ProofStanding, Renewal, SessionPolicy, StateProofStatus, judge_proof, judged_at, proof_digest,
};
pub use launch_configs::{LaunchConfig, LaunchConfigStore};
pub use lifecycle::{Capabilities, Health, Lifecycle};
pub use login_sessions::{
    LockDecision, LockOutcome, LockState, LoginData, LoginSession, LoginSessionStore,
    LoginSessionStoreExt, judge_lock,
};
pub use lti_sessions::{
    AgsService, DeepLinkingService, Expiring, LtiContext, LtiLaunch, LtiPlatform, LtiResourceLink,
    LtiServices, LtiSession, LtiSessionData, LtiSessionStore, LtiUser, NrpsService,
};
pub use nonces::NonceStore;
pub use registration_sessions::{RegistrationSession, RegistrationSessionStore};
pub use schema::{
    AppliedMigration, BootstrapReport, Migration, MigrationState, MigrationStatus, SchemaStatus,
    SchemaStore,
};
pub use serverless::{Serverless, default_max_connections};
pub use settings::{Settings, expiry};
pub use store::{LtiStore, Store};
pub use text::{PublicText, Text, TextKind};
pub use transfer::{
    Placement, Record, RecordKind, RecordPage, StoredJtsSession, StoredNonce, TransferStore,
};
