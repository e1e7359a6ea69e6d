//! Statements of LTI 1.3 tool storage.

use super::{Fill, Query};

#[derive(Debug)]
pub(crate) struct LtiQueries {
    pub(crate) list_clients: Query,
    pub(crate) get_client: Query,
    pub(crate) add_client: Query,
    pub(crate) update_client: Query,
    pub(crate) read_client: Query,
    pub(crate) delete_client: Query,
    pub(crate) list_deployments: Query,
    pub(crate) get_deployment: Query,
    pub(crate) add_deployment: Query,
    pub(crate) update_deployment: Query,
    pub(crate) delete_deployment: Query,
    pub(crate) get_launch_config: Query,
    pub(crate) save_client: Query,
    pub(crate) save_deployment: Query,
    pub(crate) store_nonce: Query,
    pub(crate) restore_nonce: Query,
    pub(crate) consume_nonce: Query,
    pub(crate) add_lti_session: Query,
    pub(crate) replace_lti_session: Query,
    pub(crate) get_lti_session: Query,
    pub(crate) delete_lti_session: Query,
    pub(crate) set_registration_session: Query,
    pub(crate) replace_registration_session: Query,
    pub(crate) get_registration_session: Query,
    pub(crate) lock_registration_session: Query,
    pub(crate) delete_registration_session: Query,
}

impl LtiQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            list_clients: fill.read(
                "SELECT clients",
                "SELECT id, name, iss, clientId, authUrl, tokenUrl, jwksUrl FROM {clients} ORDER BY id",
            ),
            get_client: fill.read(
                "SELECT clients",
                "SELECT c.id, c.name, c.iss, c.clientId, c.authUrl, c.tokenUrl, c.jwksUrl,
                        d.id, d.deploymentId, d.name, d.description
                 FROM {clients} c LEFT JOIN {deployments} d ON d.clientId = c.id
                 WHERE c.id = ? ORDER BY d.id",
            ),
            add_client: fill.write(
                "INSERT clients",
                "INSERT INTO {clients} (id, name, iss, clientId, authUrl, tokenUrl, jwksUrl)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            ),
            update_client: fill.write(
                "UPDATE clients",
                "UPDATE {clients} SET name = COALESCE(?, name), iss = COALESCE(?, iss),
                        clientId = COALESCE(?, clientId), authUrl = COALESCE(?, authUrl),
                        tokenUrl = COALESCE(?, tokenUrl), jwksUrl = COALESCE(?, jwksUrl)
                 WHERE id = ?",
            ),
            read_client: fill.read(
                "SELECT clients",
                "SELECT id, name, iss, clientId, authUrl, tokenUrl, jwksUrl FROM {clients} WHERE id = ?",
            ),
            // The foreign key of deployments cascades.
            delete_client: fill.write("DELETE clients", "DELETE FROM {clients} WHERE id = ?"),
            // One row with nulls for a client without deployments, none for an unknown client.
            list_deployments: fill.read(
                "SELECT deployments",
                "SELECT d.id, d.deploymentId, d.name, d.description
                 FROM {clients} c LEFT JOIN {deployments} d ON d.clientId = c.id
                 WHERE c.id = ? ORDER BY d.id",
            ),
            get_deployment: fill.read(
                "SELECT deployments",
                "SELECT id, deploymentId, name, description FROM {deployments}
                 WHERE id = ? AND clientId = ?",
            ),
            // An unknown client violates the foreign key.
            add_deployment: fill.write(
                "INSERT deployments",
                "INSERT INTO {deployments} (id, clientId, deploymentId, name, description)
                 VALUES (?, ?, ?, ?, ?)",
            ),
            update_deployment: fill.write(
                "UPDATE deployments",
                "UPDATE {deployments} SET deploymentId = COALESCE(?, deploymentId),
                        name = CASE WHEN ? THEN ? ELSE name END,
                        description = CASE WHEN ? THEN ? ELSE description END
                 WHERE id = ? AND clientId = ?",
            ),
            delete_deployment: fill.write(
                "DELETE deployments",
                "DELETE FROM {deployments} WHERE id = ? AND clientId = ?",
            ),
            get_launch_config: fill.read(
                "SELECT clients deployments",
                "SELECT c.iss, c.clientId, d.deploymentId, c.authUrl, c.tokenUrl, c.jwksUrl
                 FROM {clients} c JOIN {deployments} d ON d.clientId = c.id
                 WHERE c.iss = ? AND c.clientId = ? AND d.deploymentId IN (?, 'default')
                 ORDER BY d.deploymentId = ? DESC LIMIT 1",
            ),
            save_client: fill.write(
                "INSERT clients",
                "INSERT INTO {clients} (id, name, iss, clientId, authUrl, tokenUrl, jwksUrl)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON DUPLICATE KEY UPDATE authUrl = ?, tokenUrl = ?, jwksUrl = ?",
            ),
            save_deployment: fill.write(
                "INSERT deployments",
                "INSERT INTO {deployments} (id, clientId, deploymentId)
                 SELECT ?, c.id, ? FROM {clients} c WHERE c.iss = ? AND c.clientId = ?
                 ON DUPLICATE KEY UPDATE deploymentId = deploymentId",
            ),
            store_nonce: fill.write(
                "INSERT nonces",
                "INSERT INTO {nonces} (nonce, expiresAt) VALUES (?, ?)",
            ),
            // Takes the place of an expired nonce as if that had been reaped.
            restore_nonce: fill.write(
                "UPDATE nonces",
                "UPDATE {nonces} SET expiresAt = ?, usedAt = NULL WHERE nonce = ? AND expiresAt <= ?",
            ),
            consume_nonce: fill.write(
                "UPDATE nonces",
                "UPDATE {nonces} SET usedAt = ? WHERE nonce = ? AND usedAt IS NULL AND expiresAt > ?",
            ),
            add_lti_session: fill.write(
                "INSERT sessions",
                "INSERT INTO {sessions} (id, data, expiresAt) VALUES (?, ?, ?)",
            ),
            replace_lti_session: fill.write(
                "UPDATE sessions",
                "UPDATE {sessions} SET data = ?, expiresAt = ? WHERE id = ? AND expiresAt <= ?",
            ),
            get_lti_session: fill.read(
                "SELECT sessions",
                "SELECT data, expiresAt FROM {sessions} WHERE id = ? AND expiresAt > ?",
            ),
            delete_lti_session: fill.write(
                "DELETE sessions",
                "DELETE FROM {sessions} WHERE id = ? AND expiresAt > ?",
            ),
            set_registration_session: fill.write(
                "INSERT registration_sessions",
                "INSERT INTO {registration_sessions} (id, data, expiresAt) VALUES (?, ?, ?)",
            ),
            replace_registration_session: fill.write(
                "UPDATE registration_sessions",
                "UPDATE {registration_sessions} SET data = ?, expiresAt = ?
                 WHERE id = ? AND expiresAt <= ?",
            ),
            get_registration_session: fill.read(
                "SELECT registration_sessions",
                "SELECT data FROM {registration_sessions} WHERE id = ? AND expiresAt > ?",
            ),
            lock_registration_session: fill.read(
                "SELECT registration_sessions",
                "SELECT data FROM {registration_sessions} WHERE id = ? AND expiresAt > ? FOR UPDATE",
            ),
            delete_registration_session: fill.write(
                "DELETE registration_sessions",
                "DELETE FROM {registration_sessions} WHERE id = ? AND expiresAt > ?",
            ),
        }
    }
}
