//! The statements of `store-mysql`, as they are there.

/// The columns of a JTS session, of table `s`.
macro_rules! jts_columns {
    () => {
        "s.aid, s.prn, s.current_state_proof, s.previous_state_proof, s.state_proof_version,
         s.rotation_timestamp, s.device_fingerprint, s.created_at, s.expires_at, s.last_active,
         s.user_agent, s.ip_address, s.metadata"
    };
}

pub(super) const GET_LTI_SESSION: &str =
    "SELECT data, expiresAt FROM sessions WHERE id = ? AND expiresAt > ?";

pub(super) const ADD_LTI_SESSION: &str =
    "INSERT INTO sessions (id, data, expiresAt) VALUES (?, ?, ?)";

pub(super) const STORE_NONCE: &str = "INSERT INTO nonces (nonce, expiresAt) VALUES (?, ?)";

pub(super) const CONSUME_NONCE: &str =
    "UPDATE nonces SET usedAt = ? WHERE nonce = ? AND usedAt IS NULL AND expiresAt > ?";

pub(super) const GET_LAUNCH_CONFIG: &str =
    "SELECT c.iss, c.clientId, d.deploymentId, c.authUrl, c.tokenUrl, c.jwksUrl
     FROM clients c JOIN deployments d ON d.clientId = c.id
     WHERE c.iss = ? AND c.clientId = ? AND d.deploymentId IN (?, 'default')
     ORDER BY d.deploymentId = ? DESC LIMIT 1";

pub(super) const FIND_BY_CURRENT_PROOF: &str = concat!(
    "SELECT ",
    jts_columns!(),
    " FROM jts_sessions s WHERE s.current_state_proof = ? AND s.expires_at > ?"
);

pub(super) const NAME_SESSION: &str =
    "SET @store_aid = (SELECT s.aid FROM jts_sessions s WHERE s.aid = ?)";

pub(super) const NAME_SESSION_BY_PROOF: &str =
    "SET @store_aid = (SELECT s.aid FROM jts_sessions s WHERE s.current_state_proof = ? LIMIT 1)";

pub(super) const LOCK_SESSION: &str = concat!(
    "SELECT ",
    jts_columns!(),
    " FROM jts_sessions s
     WHERE s.aid = @store_aid AND s.current_state_proof = ? AND s.expires_at > ? FOR UPDATE"
);

pub(super) const RETIRE_PREVIOUS: &str =
    "INSERT INTO jts_retired_state_proofs (aid, state_proof_version, digest)
     SELECT s.aid, s.state_proof_version - 1, UNHEX(SHA2(s.previous_state_proof, 256))
     FROM jts_sessions s
     WHERE s.aid = @store_aid AND s.current_state_proof = ? AND s.expires_at > ?
       AND s.previous_state_proof IS NOT NULL AND s.state_proof_version IS NOT NULL
     ON DUPLICATE KEY UPDATE digest = digest";

pub(super) const ROTATE: &str =
    "UPDATE jts_sessions SET previous_state_proof = current_state_proof,
       current_state_proof = ?, state_proof_version = COALESCE(state_proof_version, 1) + 1,
       rotation_timestamp = ?, last_active = GREATEST(last_active, ?)
     WHERE aid = @store_aid AND current_state_proof = ? AND expires_at > ?";

pub(super) const TOUCH_JTS_SESSION: &str =
    "UPDATE jts_sessions SET last_active = GREATEST(last_active, ?)
     WHERE aid = ? AND expires_at > ?";

pub(super) const LOAD_LOGIN_SESSION: &str =
    "SELECT data, expires_at, version, lock_token, locked_until FROM login_sessions
     WHERE id = ? AND expires_at > ?";

pub(super) const LOCK_ROW: &str =
    "SELECT data, expires_at, version, lock_token, locked_until FROM login_sessions
     WHERE id = ? AND expires_at > ? FOR UPDATE";

pub(super) const SAVE_LOGIN_SESSION: &str =
    "UPDATE login_sessions SET data = ?, expires_at = COALESCE(?, expires_at),
       version = version + 1
     WHERE id = ? AND expires_at > ? AND (? IS NULL OR lock_token = ?) AND version = ?";

pub(super) const LOCK_LOGIN_SESSION: &str =
    "UPDATE login_sessions SET lock_token = ?, locked_until = ? WHERE id = ?";

pub(super) const UNLOCK_LOGIN_SESSION: &str =
    "UPDATE login_sessions SET lock_token = NULL, locked_until = NULL
     WHERE id = ? AND expires_at > ? AND lock_token = ?";

/// All at once, as the npm originals do it: the store's own goes in batches.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM sessions WHERE expiresAt <= ?";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sameness::assert_has;

    #[test]
    fn they_are_those_of_the_store() {
        let all = [
            GET_LTI_SESSION,
            ADD_LTI_SESSION,
            STORE_NONCE,
            CONSUME_NONCE,
            GET_LAUNCH_CONFIG,
            FIND_BY_CURRENT_PROOF,
            NAME_SESSION,
            NAME_SESSION_BY_PROOF,
            LOCK_SESSION,
            RETIRE_PREVIOUS,
            ROTATE,
            TOUCH_JTS_SESSION,
            LOAD_LOGIN_SESSION,
            LOCK_ROW,
            SAVE_LOGIN_SESSION,
            LOCK_LOGIN_SESSION,
            UNLOCK_LOGIN_SESSION,
        ];
        assert_has("store-mysql", &all);
    }
}
