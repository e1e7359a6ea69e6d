//! Every statement that operations run, in one place.
//!
//! `{clients}` and the like stand for the tables' names, which are filled in once when a store is made.
//! A question mark is always a parameter.

use std::cell::Cell;

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
    pub(crate) access: Access,
    /// What telemetry calls it, such as `SELECT sessions`.
    pub(crate) summary: &'static str,
    /// Counts the queries, from 0.
    pub(crate) number: usize,
}

/// Makes statements by filling in the tables' names.
pub(crate) struct Fill<'a> {
    names: &'a TableNames,
    count: Cell<usize>,
}

impl Fill<'_> {
    fn read(&self, summary: &'static str, sql: &str) -> Query {
        self.query(Access::Read, summary, sql)
    }

    fn write(&self, summary: &'static str, sql: &str) -> Query {
        self.query(Access::Write, summary, sql)
    }

    fn query(&self, access: Access, summary: &'static str, sql: &str) -> Query {
        Query {
            sql: self.names.fill(sql),
            access,
            summary,
            number: self.count.replace(self.count.get() + 1),
        }
    }

    /// Deletes off the index on the expiry, oldest first, past rows that another call has in hand.
    fn delete_expired(&self, summary: &'static str, table: &str, key: &str, expiry: &str) -> Query {
        let sql = format!(
            "DELETE t FROM {{{table}}} t JOIN (
               SELECT e.{key} FROM {{{table}}} e WHERE e.{expiry} <= ?
               ORDER BY e.{expiry} LIMIT ? FOR UPDATE SKIP LOCKED
             ) expired ON expired.{key} = t.{key}"
        );
        self.write(summary, &sql)
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
        Self::filled(&Fill {
            names,
            count: Cell::new(0),
        })
    }

    fn filled(fill: &Fill<'_>) -> Self {
        Self {
            lti: lti::LtiQueries::new(fill),
            jts: jts::JtsQueries::new(fill),
            login: login::LoginQueries::new(fill),
            transfer: transfer::TransferQueries::new(fill),
            delete_expired_nonces: fill.delete_expired(
                "DELETE nonces",
                "nonces",
                "nonce",
                "expiresAt",
            ),
            delete_expired_sessions: fill.delete_expired(
                "DELETE sessions",
                "sessions",
                "id",
                "expiresAt",
            ),
            delete_expired_registration_sessions: fill.delete_expired(
                "DELETE registration_sessions",
                "registration_sessions",
                "id",
                "expiresAt",
            ),
            delete_expired_jts_sessions: fill.delete_expired(
                "DELETE jts_sessions",
                "jts_sessions",
                "aid",
                "expires_at",
            ),
            delete_expired_login_sessions: fill.delete_expired(
                "DELETE login_sessions",
                "login_sessions",
                "id",
                "expires_at",
            ),
            health: fill.read("SELECT", "SELECT VERSION()"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_can_keep_all_of_them_prepared() {
        let fill = Fill {
            names: &TableNames::default(),
            count: Cell::new(0),
        };
        let queries = Queries::filled(&fill);
        assert_eq!(queries.health.number + 1, fill.count.get());
        assert!(fill.count.get() <= crate::pool::STATEMENTS);
    }
}
