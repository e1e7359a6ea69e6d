//! Statements that move records from and to other stores.
//!
//! A page begins after the key `$1`, or at the first key if that is null, in the order of the primary
//! key's index whatever its collation is.

use tokio_postgres::types::Type;

use super::{AT, Fill, INT8, JSONB, Query, TEXT, TEXTS, UUID};

const INT4: Type = Type::INT4;
const UUIDS: Type = Type::UUID_ARRAY;
const BYTES_ARRAY: Type = Type::BYTEA_ARRAY;

/// The columns of a client, of table `c`, and of a deployment, of table `d`.
macro_rules! client_columns {
    () => {
        "c.id, c.name, c.iss, c.client_id, c.auth_url, c.token_url, c.jwks_url,
         d.id, d.deployment_id, d.name, d.description"
    };
}

/// The digests of the retired proofs of the session in `s`, in the collation of their table's index.
macro_rules! digests {
    () => {
        "ARRAY(SELECT r.digest FROM {jts_retired_state_proofs} r WHERE r.aid = s.aid COLLATE \"default\")"
    };
}

#[derive(Debug)]
pub(crate) struct TransferQueries {
    pub(crate) export_clients: Query,
    pub(crate) export_sessions: Query,
    pub(crate) export_nonces: Query,
    pub(crate) export_registration_sessions: Query,
    pub(crate) export_jts_sessions: Query,
    pub(crate) export_login_sessions: Query,
    pub(crate) import_client: Query,
    pub(crate) import_deployments: Query,
    pub(crate) import_nonce: Query,
    pub(crate) make_room_for_jts_session: Query,
    pub(crate) import_jts_session: Query,
    pub(crate) import_login_session: Query,
    pub(crate) client_beside: Query,
    pub(crate) session_beside: Query,
    pub(crate) registration_session_beside: Query,
    pub(crate) login_session_beside: Query,
    pub(crate) nonce_beside: Query,
    pub(crate) jts_session_beside: Query,
}

impl TransferQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            // The lateral query keeps the planner from reading all deployments.
            export_clients: fill.read("SELECT clients", &[UUID, INT8], concat!(
        "SELECT ",
        client_columns!(),
        " FROM (
           SELECT * FROM {clients}
           WHERE id >= COALESCE($1, '00000000-0000-0000-0000-000000000000') AND id IS DISTINCT FROM $1
           ORDER BY id LIMIT $2
         ) c LEFT JOIN LATERAL (
           SELECT * FROM {deployments} WHERE client_id = c.id ORDER BY id
         ) d ON true
         ORDER BY c.id, d.id"
    )),
            export_sessions: fill.read("SELECT sessions", &[UUID, AT, INT8], "SELECT data, expires_at, id FROM {sessions}
     WHERE id >= COALESCE($1, '00000000-0000-0000-0000-000000000000') AND id IS DISTINCT FROM $1
       AND expires_at > $2
     ORDER BY id LIMIT $3"),
            export_nonces: fill.read("SELECT nonces", &[TEXT, AT, INT8], "SELECT nonce, expires_at, used_at IS NOT NULL FROM {nonces}
     WHERE nonce >= COALESCE($1, '') AND nonce IS DISTINCT FROM $1 AND expires_at > $2
     ORDER BY nonce LIMIT $3"),
            export_registration_sessions: fill.read("SELECT registration_sessions", &[UUID, AT, INT8], "SELECT data, id FROM {registration_sessions}
     WHERE id >= COALESCE($1, '00000000-0000-0000-0000-000000000000') AND id IS DISTINCT FROM $1
       AND expires_at > $2
     ORDER BY id LIMIT $3"),
            export_jts_sessions: fill.read("SELECT jts_sessions", &[TEXT, AT, INT8], concat!(
        "SELECT ",
        jts_columns!(),
        ", ",
        digests!(),
        " FROM {jts_sessions} s
         WHERE s.aid >= COALESCE($1, '') AND s.aid IS DISTINCT FROM $1 AND s.expires_at > $2
         ORDER BY s.aid LIMIT $3"
    )),
            export_login_sessions: fill.read("SELECT login_sessions", &[TEXT, AT, INT8], "SELECT data, expires_at, version, id FROM {login_sessions}
     WHERE id >= COALESCE($1, '') AND id IS DISTINCT FROM $1 AND expires_at > $2
     ORDER BY id LIMIT $3"),
            // A row for the client if it was added.
            import_client: fill.write("INSERT clients deployments", &[UUID, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, UUIDS, TEXTS, TEXTS, TEXTS], "WITH client AS (
       INSERT INTO {clients} (id, name, iss, client_id, auth_url, token_url, jwks_url)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT DO NOTHING RETURNING id
     ), added AS (
       INSERT INTO {deployments} (id, client_id, deployment_id, name, description)
       SELECT d.id, client.id, d.deployment_id, d.name, d.description
       FROM client, unnest($8, $9, $10, $11) AS d (id, deployment_id, name, description)
     )
     SELECT id FROM client"),
            import_deployments: fill.write("INSERT deployments", &[UUID, UUIDS, TEXTS, TEXTS, TEXTS], "INSERT INTO {deployments} (id, client_id, deployment_id, name, description)
     SELECT d.id, $1, d.deployment_id, d.name, d.description
     FROM unnest($2, $3, $4, $5) AS d (id, deployment_id, name, description)"),
            import_nonce: fill.write("INSERT nonces", &[TEXT, AT, AT, AT], "INSERT INTO {nonces} AS n (nonce, expires_at, used_at) VALUES ($1, $2, $4)
     ON CONFLICT (nonce) DO UPDATE SET expires_at = EXCLUDED.expires_at, used_at = EXCLUDED.used_at
       WHERE n.expires_at <= $3"),
            // Goes before `import_jts_session`: the retired proofs of the expired session go with it.
            make_room_for_jts_session: fill.write("DELETE jts_sessions", &[TEXT, AT], "DELETE FROM {jts_sessions} WHERE aid = $1 AND expires_at <= $2"),
            // A row if it was added. The digests get numbers that no rotation to come will use.
            import_jts_session: fill.write(
                "INSERT jts_sessions",
                &[TEXT, TEXT, TEXT, TEXT, INT4, AT, TEXT, AT, AT, AT, TEXT, TEXT, JSONB, BYTES_ARRAY],
                "WITH placed AS (
       INSERT INTO {jts_sessions} (aid, prn, current_state_proof, previous_state_proof,
         state_proof_version, rotation_timestamp, device_fingerprint, created_at, expires_at,
         last_active, user_agent, ip_address, metadata)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
       ON CONFLICT DO NOTHING RETURNING aid, state_proof_version
     ), remembered AS (
       INSERT INTO {jts_retired_state_proofs} (aid, state_proof_version, digest)
       SELECT p.aid, p.state_proof_version - 1 - r.n::integer, r.digest
       FROM placed p, unnest($14) WITH ORDINALITY AS r (digest, n)
     )
     SELECT aid FROM placed",
            ),
            import_login_session: fill.write("INSERT login_sessions", &[TEXT, JSONB, AT, AT, INT8], "INSERT INTO {login_sessions} AS s (id, data, expires_at, version) VALUES ($1, $2, $3, $5)
     ON CONFLICT (id) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at,
       version = EXCLUDED.version, lock_token = NULL, locked_until = NULL
       WHERE s.expires_at <= $4"),
            client_beside: fill.read("SELECT clients", &[UUID, TEXT, TEXT], concat!(
        "SELECT ",
        client_columns!(),
        " FROM {clients} c LEFT JOIN {deployments} d ON d.client_id = c.id
         WHERE c.id = $1 OR (c.iss = $2 AND c.client_id = $3)
         ORDER BY c.id, d.id"
    )),
            session_beside: fill.read("SELECT sessions", &[UUID, AT], "SELECT data, expires_at, id FROM {sessions} WHERE id = $1 AND expires_at > $2"),
            registration_session_beside: fill.read("SELECT registration_sessions", &[UUID, AT], "SELECT data, id FROM {registration_sessions} WHERE id = $1 AND expires_at > $2"),
            login_session_beside: fill.read("SELECT login_sessions", &[TEXT, AT], "SELECT data, expires_at, version, id FROM {login_sessions} WHERE id = $1 AND expires_at > $2"),
            nonce_beside: fill.read("SELECT nonces", &[TEXT, AT], "SELECT nonce, expires_at, used_at IS NOT NULL FROM {nonces} WHERE nonce = $1 AND expires_at > $2"),
            jts_session_beside: fill.read("SELECT jts_sessions", &[TEXT, AT], concat!(
        "SELECT ",
        jts_columns!(),
        ", ",
        digests!(),
        " FROM {jts_sessions} s WHERE s.aid = $1 AND s.expires_at > $2"
    )),
        }
    }
}
