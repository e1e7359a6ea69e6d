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
}

/// How expired rows of a kind are deleted.
#[derive(Debug)]
pub(crate) struct Expired {
    /// When the first row to expire does. Deleting from there on spares locking all that was
    /// deleted before, which stays in the index until the server purges it.
    pub(crate) first: Query,
    /// Oldest first, past rows that another call has in hand. Neither the index nor the order of the
    /// tables is left to the server: by statistics taken while rows came or went, a full table can
    /// seem to be empty, and it would go through all of it and lock each row.
    pub(crate) delete: Query,
}

impl Expired {
    fn new(
        fill: &Fill<'_>,
        summaries: [&'static str; 2],
        table: &str,
        key: &str,
        expiry: &str,
        index: &str,
    ) -> Self {
        let first = format!("SELECT MIN({expiry}) FROM {{{table}}}");
        let delete = format!(
            "DELETE t FROM (
               SELECT e.{key} FROM {{{table}}} e FORCE INDEX ({index})
               WHERE e.{expiry} >= ? AND e.{expiry} <= ?
               ORDER BY e.{expiry} LIMIT ? FOR UPDATE SKIP LOCKED
             ) expired STRAIGHT_JOIN {{{table}}} t ON t.{key} = expired.{key}"
        );
        Self {
            first: fill.read(summaries[0], &first),
            delete: fill.write(summaries[1], &delete),
        }
    }
}

/// All statements.
#[derive(Debug)]
pub(crate) struct Queries {
    pub(crate) lti: lti::LtiQueries,
    pub(crate) jts: jts::JtsQueries,
    pub(crate) login: login::LoginQueries,
    pub(crate) transfer: transfer::TransferQueries,
    pub(crate) expired_nonces: Expired,
    pub(crate) expired_sessions: Expired,
    pub(crate) expired_registration_sessions: Expired,
    pub(crate) expired_jts_sessions: Expired,
    pub(crate) expired_login_sessions: Expired,
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
            expired_nonces: Expired::new(
                fill,
                ["SELECT nonces", "DELETE nonces"],
                "nonces",
                "nonce",
                "expiresAt",
                "nonces_expires_at_idx",
            ),
            expired_sessions: Expired::new(
                fill,
                ["SELECT sessions", "DELETE sessions"],
                "sessions",
                "id",
                "expiresAt",
                "expires_at_idx",
            ),
            expired_registration_sessions: Expired::new(
                fill,
                [
                    "SELECT registration_sessions",
                    "DELETE registration_sessions",
                ],
                "registration_sessions",
                "id",
                "expiresAt",
                "expires_at_idx",
            ),
            expired_jts_sessions: Expired::new(
                fill,
                ["SELECT jts_sessions", "DELETE jts_sessions"],
                "jts_sessions",
                "aid",
                "expires_at",
                "idx_expires",
            ),
            expired_login_sessions: Expired::new(
                fill,
                ["SELECT login_sessions", "DELETE login_sessions"],
                "login_sessions",
                "id",
                "expires_at",
                "login_sessions_expires_at_idx",
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
