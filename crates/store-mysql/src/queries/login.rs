//! Statements of login sessions.

use super::{Fill, Query};

#[derive(Debug)]
pub(crate) struct LoginQueries {
    pub(crate) create_login_session: Query,
    pub(crate) replace_login_session: Query,
    pub(crate) load_login_session: Query,
    pub(crate) lock_row: Query,
    pub(crate) save_login_session: Query,
    pub(crate) write_data: Query,
    pub(crate) extend_login_session: Query,
    pub(crate) destroy_login_session: Query,
    pub(crate) lock_login_session: Query,
    pub(crate) unlock_login_session: Query,
}

impl LoginQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            create_login_session: fill.write(
                "INSERT login_sessions",
                "INSERT INTO {login_sessions} (id, data, expires_at, version) VALUES (?, ?, ?, 1)",
            ),
            replace_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET data = ?, expires_at = ?, version = 1,
                   lock_token = NULL, locked_until = NULL
                 WHERE id = ? AND expires_at <= ?",
            ),
            load_login_session: fill.read(
                "SELECT login_sessions",
                "SELECT data, expires_at, version, lock_token, locked_until FROM {login_sessions}
                 WHERE id = ? AND expires_at > ?",
            ),
            lock_row: fill.read(
                "SELECT login_sessions",
                "SELECT data, expires_at, version, lock_token, locked_until FROM {login_sessions}
                 WHERE id = ? AND expires_at > ? FOR UPDATE",
            ),
            save_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET data = ?, expires_at = COALESCE(?, expires_at),
                   version = version + 1
                 WHERE id = ? AND expires_at > ? AND (? IS NULL OR lock_token = ?) AND version = ?",
            ),
            // On a row that is locked.
            write_data: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET data = ?, version = version + 1 WHERE id = ?",
            ),
            extend_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET expires_at = ? WHERE id = ? AND expires_at > ?",
            ),
            destroy_login_session: fill.write(
                "DELETE login_sessions",
                "DELETE FROM {login_sessions} WHERE id = ? AND expires_at > ?",
            ),
            // On a row that is locked.
            lock_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET lock_token = ?, locked_until = ? WHERE id = ?",
            ),
            unlock_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET lock_token = NULL, locked_until = NULL
                 WHERE id = ? AND expires_at > ? AND lock_token = ?",
            ),
        }
    }
}
