//! The statements of `store-postgres`, as they are there.

use super::fill;

/// The columns of a JTS session, of table `s`.
macro_rules! jts_columns {
    () => {
        "s.aid, s.prn, s.current_state_proof, s.previous_state_proof, s.state_proof_version,
         s.rotation_timestamp, s.device_fingerprint, s.created_at, s.expires_at, s.last_active,
         s.user_agent, s.ip_address, s.metadata"
    };
}

pub(super) struct Statements {
    pub(super) get_lti_session: String,
    pub(super) add_lti_session: String,
    pub(super) store_nonce: String,
    pub(super) consume_nonce: String,
    pub(super) get_launch_config: String,
    pub(super) find_by_current_proof: String,
    pub(super) rotate: String,
    pub(super) touch_jts_session: String,
    pub(super) load_login_session: String,
    pub(super) save_login_session: String,
    pub(super) lock_login_session: String,
    pub(super) unlock_login_session: String,
    pub(super) delete_expired: String,
}

impl Statements {
    pub(super) fn new(schema: &str) -> Self {
        let fill = |sql: &str| fill(sql, schema);
        Self {
            get_lti_session: fill(
                "SELECT data, expires_at FROM {sessions} WHERE id = $1 AND expires_at > $2",
            ),
            add_lti_session: fill(
                "INSERT INTO {sessions} AS s (id, data, expires_at) VALUES ($1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at
                   WHERE s.expires_at <= $4",
            ),
            store_nonce: fill(
                "INSERT INTO {nonces} AS n (nonce, expires_at) VALUES ($1, $2)
                 ON CONFLICT (nonce) DO UPDATE SET expires_at = EXCLUDED.expires_at, used_at = NULL
                   WHERE n.expires_at <= $3",
            ),
            consume_nonce: fill(
                "UPDATE {nonces} SET used_at = $2
                 WHERE nonce = $1 AND used_at IS NULL AND expires_at > $2",
            ),
            get_launch_config: fill(
                "SELECT c.iss, c.client_id, d.deployment_id, c.auth_url, c.token_url, c.jwks_url
                 FROM {clients} c JOIN {deployments} d ON d.client_id = c.id
                 WHERE c.iss = $1 AND c.client_id = $2 AND d.deployment_id IN ($3, 'default')
                 ORDER BY d.deployment_id = $3 DESC LIMIT 1",
            ),
            find_by_current_proof: fill(concat!(
                "SELECT ",
                jts_columns!(),
                " FROM {jts_sessions} s WHERE s.current_state_proof = $1 AND s.expires_at > $2 LIMIT 1"
            )),
            rotate: fill(concat!(
                "WITH seen AS (
                   SELECT aid, previous_state_proof, state_proof_version FROM {jts_sessions}
                   WHERE current_state_proof = $1 AND expires_at > $3 AND aid = COALESCE($4, aid)
                   FOR UPDATE
                 ), retired AS (
                   INSERT INTO {jts_retired_state_proofs} (aid, state_proof_version, digest)
                   SELECT aid, state_proof_version - 1,
                          sha256(convert_to(previous_state_proof, 'UTF8'))
                   FROM seen WHERE previous_state_proof IS NOT NULL
                     AND state_proof_version IS NOT NULL
                   ON CONFLICT DO NOTHING
                 )
                 UPDATE {jts_sessions} s SET previous_state_proof = $1, current_state_proof = $2,
                   state_proof_version = COALESCE(s.state_proof_version, 1) + 1,
                   rotation_timestamp = $3, last_active = GREATEST(s.last_active, $3)
                 FROM seen WHERE s.aid = seen.aid RETURNING ",
                jts_columns!()
            )),
            touch_jts_session: fill(
                "UPDATE {jts_sessions} SET last_active = GREATEST(last_active, $2)
                 WHERE aid = $1 AND expires_at > $2",
            ),
            load_login_session: fill(
                "SELECT data, expires_at, version, lock_token, locked_until FROM {login_sessions}
                 WHERE id = $1 AND expires_at > $2",
            ),
            save_login_session: fill(
                "UPDATE {login_sessions} SET data = $5, expires_at = COALESCE($6, expires_at),
                   version = version + 1
                 WHERE id = $1 AND expires_at > $2 AND ($3::text IS NULL OR lock_token = $3)
                   AND version = $4
                 RETURNING version",
            ),
            lock_login_session: fill(
                "UPDATE {login_sessions} SET lock_token = $3, locked_until = $4
                 WHERE id = $1 AND expires_at > $2 AND (locked_until IS NULL OR locked_until <= $2)
                   AND data -> $5 = to_jsonb($6::text)
                 RETURNING data, expires_at, version",
            ),
            unlock_login_session: fill(
                "UPDATE {login_sessions} SET lock_token = NULL, locked_until = NULL
                 WHERE id = $1 AND expires_at > $2 AND lock_token = $3",
            ),
            // All at once, as the npm originals do it: the store's own goes in batches.
            delete_expired: fill("DELETE FROM {sessions} WHERE expires_at <= $1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sameness::assert_has;

    #[test]
    fn they_are_those_of_the_store() {
        let statements = Statements::new("PLACE");
        let all = [
            &statements.get_lti_session,
            &statements.add_lti_session,
            &statements.store_nonce,
            &statements.consume_nonce,
            &statements.get_launch_config,
            &statements.find_by_current_proof,
            &statements.rotate,
            &statements.touch_jts_session,
            &statements.load_login_session,
            &statements.save_login_session,
            &statements.lock_login_session,
            &statements.unlock_login_session,
        ];
        let all = all.map(|statement| statement.replace("PLACE.", ""));
        assert_has("store-postgres", &all.each_ref().map(String::as_str));
    }
}
