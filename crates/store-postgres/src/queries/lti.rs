//! Statements of LTI 1.3 tool storage.

use super::{AT, BOOL, Fill, JSONB, Query, TEXT, UUID};

#[derive(Debug)]
pub(crate) struct LtiQueries {
    pub(crate) list_clients: Query,
    pub(crate) get_client: Query,
    pub(crate) add_client: Query,
    pub(crate) update_client: Query,
    pub(crate) delete_client: Query,
    pub(crate) list_deployments: Query,
    pub(crate) get_deployment: Query,
    pub(crate) add_deployment: Query,
    pub(crate) update_deployment: Query,
    pub(crate) delete_deployment: Query,
    pub(crate) get_launch_config: Query,
    pub(crate) save_launch_config: Query,
    pub(crate) store_nonce: Query,
    pub(crate) consume_nonce: Query,
    pub(crate) add_lti_session: Query,
    pub(crate) get_lti_session: Query,
    pub(crate) delete_lti_session: Query,
    pub(crate) set_registration_session: Query,
    pub(crate) get_registration_session: Query,
    pub(crate) take_registration_session: Query,
}

impl LtiQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            list_clients: fill.read("SELECT clients", &[], "SELECT id, name, iss, client_id, auth_url, token_url, jwks_url FROM {clients} ORDER BY id"),
            get_client: fill.read("SELECT clients", &[UUID], "SELECT c.id, c.name, c.iss, c.client_id, c.auth_url, c.token_url, c.jwks_url,
            d.id, d.deployment_id, d.name, d.description
     FROM {clients} c LEFT JOIN {deployments} d ON d.client_id = c.id
     WHERE c.id = $1 ORDER BY d.id"),
            add_client: fill.write("INSERT clients", &[UUID, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT], "INSERT INTO {clients} (id, name, iss, client_id, auth_url, token_url, jwks_url)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (iss, client_id) DO NOTHING"),
            update_client: fill.write("UPDATE clients", &[UUID, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT], "UPDATE {clients} SET name = COALESCE($2, name), iss = COALESCE($3, iss),
            client_id = COALESCE($4, client_id), auth_url = COALESCE($5, auth_url),
            token_url = COALESCE($6, token_url), jwks_url = COALESCE($7, jwks_url)
     WHERE id = $1
     RETURNING id, name, iss, client_id, auth_url, token_url, jwks_url"),
            // The foreign key of deployments cascades.
            delete_client: fill.write("DELETE clients", &[UUID], "DELETE FROM {clients} WHERE id = $1"),
            // One row with nulls for a client without deployments, none for an unknown client.
            list_deployments: fill.read("SELECT deployments", &[UUID], "SELECT d.id, d.deployment_id, d.name, d.description
     FROM {clients} c LEFT JOIN {deployments} d ON d.client_id = c.id
     WHERE c.id = $1 ORDER BY d.id"),
            get_deployment: fill.lookup("SELECT deployments", &[UUID, UUID], "SELECT id, deployment_id, name, description FROM {deployments} WHERE id = $1 AND client_id = $2"),
            // An unknown client violates the foreign key.
            add_deployment: fill.write("INSERT deployments", &[UUID, UUID, TEXT, TEXT, TEXT], "INSERT INTO {deployments} (id, client_id, deployment_id, name, description)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (client_id, deployment_id) DO NOTHING"),
            update_deployment: fill.write("UPDATE deployments", &[UUID, UUID, TEXT, BOOL, TEXT, BOOL, TEXT], "UPDATE {deployments} SET deployment_id = COALESCE($3, deployment_id),
            name = CASE WHEN $4 THEN $5 ELSE name END,
            description = CASE WHEN $6 THEN $7 ELSE description END
     WHERE id = $1 AND client_id = $2
     RETURNING id, deployment_id, name, description"),
            delete_deployment: fill.write("DELETE deployments", &[UUID, UUID], "DELETE FROM {deployments} WHERE id = $1 AND client_id = $2"),
            get_launch_config: fill.lookup("SELECT clients deployments", &[TEXT, TEXT, TEXT], "SELECT c.iss, c.client_id, d.deployment_id, c.auth_url, c.token_url, c.jwks_url
     FROM {clients} c JOIN {deployments} d ON d.client_id = c.id
     WHERE c.iss = $1 AND c.client_id = $2 AND d.deployment_id IN ($3, 'default')
     ORDER BY d.deployment_id = $3 DESC LIMIT 1"),
            save_launch_config: fill.write("INSERT clients deployments", &[UUID, TEXT, TEXT, TEXT, TEXT, TEXT, UUID, TEXT], "WITH client AS (
       INSERT INTO {clients} (id, name, iss, client_id, auth_url, token_url, jwks_url)
       VALUES ($1, $2, $2, $3, $4, $5, $6)
       ON CONFLICT (iss, client_id) DO UPDATE SET auth_url = EXCLUDED.auth_url,
         token_url = EXCLUDED.token_url, jwks_url = EXCLUDED.jwks_url
       RETURNING id
     )
     INSERT INTO {deployments} (id, client_id, deployment_id) SELECT $7, id, $8 FROM client
     ON CONFLICT (client_id, deployment_id) DO NOTHING"),
            // Takes the place of an expired nonce as if that had been reaped.
            store_nonce: fill.write("INSERT nonces", &[TEXT, AT, AT], "INSERT INTO {nonces} AS n (nonce, expires_at) VALUES ($1, $2)
     ON CONFLICT (nonce) DO UPDATE SET expires_at = EXCLUDED.expires_at, used_at = NULL
       WHERE n.expires_at <= $3"),
            consume_nonce: fill.write("UPDATE nonces", &[TEXT, AT], "UPDATE {nonces} SET used_at = $2 WHERE nonce = $1 AND used_at IS NULL AND expires_at > $2"),
            add_lti_session: fill.write("INSERT sessions", &[UUID, JSONB, AT, AT], "INSERT INTO {sessions} AS s (id, data, expires_at) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at
       WHERE s.expires_at <= $4"),
            get_lti_session: fill.lookup("SELECT sessions", &[UUID, AT], "SELECT data, expires_at FROM {sessions} WHERE id = $1 AND expires_at > $2"),
            delete_lti_session: fill.write("DELETE sessions", &[UUID, AT], "DELETE FROM {sessions} WHERE id = $1 AND expires_at > $2"),
            set_registration_session: fill.write("INSERT registration_sessions", &[UUID, JSONB, AT, AT], "INSERT INTO {registration_sessions} AS s (id, data, expires_at) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at
       WHERE s.expires_at <= $4"),
            get_registration_session: fill.lookup("SELECT registration_sessions", &[UUID, AT], "SELECT data FROM {registration_sessions} WHERE id = $1 AND expires_at > $2"),
            take_registration_session: fill.write("DELETE registration_sessions", &[UUID, AT], "DELETE FROM {registration_sessions} WHERE id = $1 AND expires_at > $2 RETURNING data"),
        }
    }
}
