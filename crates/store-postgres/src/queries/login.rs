//! Statements of login sessions.

use super::{AT, Fill, INT8, JSONB, Query, TEXT, TEXTS};

#[derive(Debug)]
pub(crate) struct LoginQueries {
    pub(crate) create_login_session: Query,
    pub(crate) load_login_session: Query,
    pub(crate) save_login_session: Query,
    pub(crate) set_login_properties: Query,
    pub(crate) unset_login_properties: Query,
    pub(crate) extend_login_session: Query,
    pub(crate) destroy_login_session: Query,
    pub(crate) lock_login_session: Query,
    pub(crate) unlock_login_session: Query,
}

impl LoginQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            create_login_session: fill.write("INSERT login_sessions", &[TEXT, JSONB, AT, AT], "INSERT INTO {login_sessions} AS s (id, data, expires_at, version) VALUES ($1, $2, $3, 1)
     ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at,
       version = 1, lock_token = NULL, locked_until = NULL
       WHERE s.expires_at <= $4"),
            load_login_session: fill.lookup("SELECT login_sessions", &[TEXT, AT], "SELECT data, expires_at, version, lock_token, locked_until FROM {login_sessions}
     WHERE id = $1 AND expires_at > $2"),
            save_login_session: fill.write("UPDATE login_sessions", &[TEXT, AT, TEXT, INT8, JSONB, AT], "UPDATE {login_sessions} SET data = $5, expires_at = COALESCE($6, expires_at),
       version = version + 1
     WHERE id = $1 AND expires_at > $2 AND ($3 IS NULL OR lock_token = $3) AND version = $4
     RETURNING version"),
            set_login_properties: fill.write("UPDATE login_sessions", &[TEXT, AT, TEXT, JSONB, INT8], "UPDATE {login_sessions} SET data = data || $4, version = version + 1
     WHERE id = $1 AND expires_at > $2 AND ($3 IS NULL OR lock_token = $3)
       AND octet_length((data || $4)::text) <= $5
     RETURNING version"),
            unset_login_properties: fill.write("UPDATE login_sessions", &[TEXT, AT, TEXT, TEXTS], "UPDATE {login_sessions} SET data = data - $4, version = version + 1
     WHERE id = $1 AND expires_at > $2 AND ($3 IS NULL OR lock_token = $3)
     RETURNING version"),
            extend_login_session: fill.write("UPDATE login_sessions", &[TEXT, AT, AT], "UPDATE {login_sessions} SET expires_at = $3 WHERE id = $1 AND expires_at > $2"),
            destroy_login_session: fill.write("DELETE login_sessions", &[TEXT, AT], "DELETE FROM {login_sessions} WHERE id = $1 AND expires_at > $2"),
            lock_login_session: fill.write("UPDATE login_sessions", &[TEXT, AT, TEXT, AT, TEXT, TEXT], "UPDATE {login_sessions} SET lock_token = $3, locked_until = $4
     WHERE id = $1 AND expires_at > $2 AND (locked_until IS NULL OR locked_until <= $2)
       AND data -> $5 = to_jsonb($6)
     RETURNING data, expires_at, version"),
            unlock_login_session: fill.write("UPDATE login_sessions", &[TEXT, AT, TEXT], "UPDATE {login_sessions} SET lock_token = NULL, locked_until = NULL
     WHERE id = $1 AND expires_at > $2 AND lock_token = $3"),
        }
    }
}
