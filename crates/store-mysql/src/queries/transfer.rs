//! Statements that move records between stores.

use super::{Fill, Query};

#[derive(Debug)]
pub(crate) struct TransferQueries {
    pub(crate) export_clients: Query,
    pub(crate) export_sessions: Query,
    pub(crate) export_nonces: Query,
    pub(crate) export_registration_sessions: Query,
    pub(crate) export_jts_sessions: Query,
    pub(crate) export_retired_proofs: Query,
    pub(crate) export_login_sessions: Query,
    pub(crate) find_client: Query,
    pub(crate) get_nonce: Query,
    pub(crate) import_nonce: Query,
    pub(crate) replace_nonce: Query,
    pub(crate) delete_expired_jts_session: Query,
    pub(crate) import_jts_session: Query,
    pub(crate) import_retired_proofs: Query,
    pub(crate) import_login_session: Query,
    pub(crate) replace_login_session: Query,
}

impl TransferQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            export_clients: fill.read(
                "SELECT clients deployments",
                "SELECT c.id, c.name, c.iss, c.clientId, c.authUrl, c.tokenUrl, c.jwksUrl,
                        d.id, d.deploymentId, d.name, d.description
                 FROM (SELECT id, name, iss, clientId, authUrl, tokenUrl, jwksUrl
                       FROM {clients} WHERE id > ? ORDER BY id LIMIT ?) c
                 LEFT JOIN {deployments} d ON d.clientId = c.id
                 ORDER BY c.id, d.id",
            ),
            export_sessions: fill.read(
                "SELECT sessions",
                "SELECT id, data, expiresAt FROM {sessions}
                 WHERE id > ? AND expiresAt > ? ORDER BY id LIMIT ?",
            ),
            export_nonces: fill.read(
                "SELECT nonces",
                "SELECT nonce, expiresAt, usedAt IS NOT NULL FROM {nonces}
                 WHERE nonce > ? AND expiresAt > ? ORDER BY nonce LIMIT ?",
            ),
            export_registration_sessions: fill.read(
                "SELECT registration_sessions",
                "SELECT id, data FROM {registration_sessions}
                 WHERE id > ? AND expiresAt > ? ORDER BY id LIMIT ?",
            ),
            export_jts_sessions: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s
                     WHERE s.aid > ? AND s.expires_at > ? ORDER BY s.aid LIMIT ?"
                ),
            ),
            export_retired_proofs: fill.read(
                "SELECT jts_retired_state_proofs",
                "SELECT aid, digest FROM {jts_retired_state_proofs}
                 WHERE aid BETWEEN ? AND ? ORDER BY aid",
            ),
            export_login_sessions: fill.read(
                "SELECT login_sessions",
                "SELECT data, expires_at, version, lock_token, locked_until, id FROM {login_sessions}
                 WHERE id > ? AND expires_at > ? ORDER BY id LIMIT ?",
            ),
            find_client: fill.read(
                "SELECT clients",
                "SELECT id FROM {clients} WHERE iss = ? AND clientId = ?",
            ),
            get_nonce: fill.read(
                "SELECT nonces",
                "SELECT nonce, expiresAt, usedAt IS NOT NULL FROM {nonces}
                 WHERE nonce = ? AND expiresAt > ?",
            ),
            import_nonce: fill.write(
                "INSERT nonces",
                "INSERT INTO {nonces} (nonce, expiresAt, usedAt) VALUES (?, ?, ?)",
            ),
            replace_nonce: fill.write(
                "UPDATE nonces",
                "UPDATE {nonces} SET expiresAt = ?, usedAt = ? WHERE nonce = ? AND expiresAt <= ?",
            ),
            // With its retired proofs, by their foreign key.
            delete_expired_jts_session: fill.write(
                "DELETE jts_sessions",
                "DELETE FROM {jts_sessions} WHERE aid = ? AND expires_at <= ?",
            ),
            import_jts_session: fill.write(
                "INSERT jts_sessions",
                "INSERT INTO {jts_sessions} (aid, prn, current_state_proof, previous_state_proof,
                   state_proof_version, rotation_timestamp, device_fingerprint, created_at,
                   expires_at, last_active, user_agent, ip_address, metadata)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ),
            // Under versions from before the previous proof's downwards, which no rotation writes.
            import_retired_proofs: fill.write(
                "INSERT jts_retired_state_proofs",
                "INSERT INTO {jts_retired_state_proofs} (aid, state_proof_version, digest)
                 SELECT ?, ? - proofs.number, UNHEX(proofs.digest)
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (
                   number FOR ORDINALITY, digest char(64) PATH '$'
                 )) proofs",
            ),
            import_login_session: fill.write(
                "INSERT login_sessions",
                "INSERT INTO {login_sessions} (id, data, expires_at, version) VALUES (?, ?, ?, ?)",
            ),
            replace_login_session: fill.write(
                "UPDATE login_sessions",
                "UPDATE {login_sessions} SET data = ?, expires_at = ?, version = ?,
                   lock_token = NULL, locked_until = NULL
                 WHERE id = ? AND expires_at <= ?",
            ),
        }
    }
}
