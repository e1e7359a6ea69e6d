//! Every statement that operations run, in one place.
//!
//! `{clients}` and the like stand for the tables' names, which are filled in once when a store is made.
//! The types of the parameters are given, so that no round trip is spent on asking for them.

use tokio_postgres::types::Type;

use crate::names::TableNames;

/// The columns of a JTS session, of table `s`, in the order that `mapping::jts_session` reads them.
macro_rules! jts_columns {
    () => {
        "s.aid, s.prn, s.current_state_proof, s.previous_state_proof, s.state_proof_version,
         s.rotation_timestamp, s.device_fingerprint, s.created_at, s.expires_at, s.last_active,
         s.user_agent, s.ip_address, s.metadata"
    };
}

mod jts;
mod login;
mod lti;
mod transfer;

const TEXT: Type = Type::TEXT;
const UUID: Type = Type::UUID;
const AT: Type = Type::TIMESTAMPTZ;
const JSONB: Type = Type::JSONB;
const INT8: Type = Type::INT8;
const BOOL: Type = Type::BOOL;
const BYTES: Type = Type::BYTEA;
const TEXTS: Type = Type::TEXT_ARRAY;

/// Whether a statement changes anything, and so whether it may be sent again unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) types: &'static [Type],
    pub(crate) access: Access,
    /// Whether it finds at most one row, by a key, so that others don't wait long behind it.
    pub(crate) is_lookup: bool,
    /// What telemetry calls it, such as `SELECT sessions`.
    pub(crate) summary: &'static str,
}

/// Makes statements by filling in the tables' names.
pub(crate) struct Fill<'a>(&'a TableNames);

impl Fill<'_> {
    /// A read of at most one row by a key.
    fn lookup(&self, summary: &'static str, types: &'static [Type], sql: &str) -> Query {
        Query {
            is_lookup: true,
            ..self.read(summary, types, sql)
        }
    }

    fn read(&self, summary: &'static str, types: &'static [Type], sql: &str) -> Query {
        self.query(Access::Read, summary, types, sql)
    }

    fn write(&self, summary: &'static str, types: &'static [Type], sql: &str) -> Query {
        self.query(Access::Write, summary, types, sql)
    }

    fn query(
        &self,
        access: Access,
        summary: &'static str,
        types: &'static [Type],
        sql: &str,
    ) -> Query {
        Query {
            sql: self.0.fill(sql),
            types,
            access,
            is_lookup: false,
            summary,
        }
    }

    /// Deletes off the index on `expires_at`, oldest first, past rows that another call has in hand.
    fn delete_expired(&self, summary: &'static str, table: &str) -> Query {
        let sql = "DELETE FROM {table} WHERE ctid = ANY(ARRAY(
               SELECT ctid FROM {table} WHERE expires_at <= $1
               ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
             ))";
        let sql = sql.replace("table", table);
        self.write(summary, &[AT, INT8], &sql)
    }
}

/// All statements.
#[derive(Debug)]
pub(crate) struct Queries {
    pub(crate) lti: lti::LtiQueries,
    pub(crate) jts: jts::JtsQueries,
    pub(crate) login: login::LoginQueries,
    pub(crate) transfer: transfer::TransferQueries,
    pub(crate) delete_expired_nonces: Query,
    pub(crate) delete_expired_sessions: Query,
    pub(crate) delete_expired_registration_sessions: Query,
    pub(crate) delete_expired_jts_sessions: Query,
    pub(crate) delete_expired_login_sessions: Query,
    pub(crate) health: Query,
}

impl Queries {
    pub(crate) fn new(names: &TableNames) -> Self {
        let fill = Fill(names);
        Self {
            lti: lti::LtiQueries::new(&fill),
            jts: jts::JtsQueries::new(&fill),
            login: login::LoginQueries::new(&fill),
            transfer: transfer::TransferQueries::new(&fill),
            delete_expired_nonces: fill.delete_expired("DELETE nonces", "nonces"),
            delete_expired_sessions: fill.delete_expired("DELETE sessions", "sessions"),
            delete_expired_registration_sessions: fill
                .delete_expired("DELETE registration_sessions", "registration_sessions"),
            delete_expired_jts_sessions: fill.delete_expired("DELETE jts_sessions", "jts_sessions"),
            delete_expired_login_sessions: fill
                .delete_expired("DELETE login_sessions", "login_sessions"),
            health: fill.read("SHOW server_version", &[], "SHOW server_version"),
        }
    }
}
