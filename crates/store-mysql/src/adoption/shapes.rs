//! What each table must have, as the migrations make it.

use Kind::{Big, Bytes, Instant, Integer, Json, Key, Long, Short};

/// What a column must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Text of this length, compared as bytes: a binary collation that does not pad.
    Key(i64),
    /// Text of this length, of any character.
    Short(i64),
    /// Text of any character.
    Long,
    Json,
    /// To the millisecond.
    Instant,
    Integer,
    Big,
    Bytes,
}

/// A column, and what it must hold.
pub(super) type Column = (&'static str, Kind);

/// What an index is called, whether it is unique, and its columns.
pub(super) type Index = (&'static str, bool, &'static [&'static str]);

/// What a table must have.
pub(super) struct Shape {
    pub(super) columns: &'static [Column],
    pub(super) indexes: &'static [Index],
    /// A foreign key that cascades: its name, its column, the other table and its column.
    pub(super) foreign_key: Option<(&'static str, &'static str, &'static str, &'static str)>,
}

const NO_SHAPE: Shape = Shape {
    columns: &[],
    indexes: &[],
    foreign_key: None,
};

pub(super) fn shape(table: &str) -> Shape {
    match table {
        "clients" => Shape {
            columns: &[
                ("id", Key(36)),
                ("name", Short(255)),
                ("iss", Key(255)),
                ("clientId", Key(255)),
                ("authUrl", Long),
                ("tokenUrl", Long),
                ("jwksUrl", Long),
            ],
            indexes: &[
                ("clients_id", true, &["id"]),
                ("iss_client_id_unique", true, &["iss", "clientId"]),
            ],
            ..NO_SHAPE
        },
        "deployments" => Shape {
            columns: &[
                ("id", Key(36)),
                ("deploymentId", Key(255)),
                ("name", Short(255)),
                ("description", Long),
                ("clientId", Key(36)),
            ],
            indexes: &[
                ("deployments_id", true, &["id"]),
                (
                    "client_deployment_unique",
                    true,
                    &["clientId", "deploymentId"],
                ),
            ],
            foreign_key: Some((
                "deployments_clientId_clients_id_fk",
                "clientId",
                "clients",
                "id",
            )),
        },
        "nonces" => Shape {
            columns: &[
                ("nonce", Key(255)),
                ("expiresAt", Instant),
                ("usedAt", Instant),
            ],
            indexes: &[
                ("nonces_nonce", true, &["nonce"]),
                ("nonces_expires_at_idx", false, &["expiresAt"]),
            ],
            ..NO_SHAPE
        },
        "sessions" => Shape {
            columns: &[("id", Key(36)), ("data", Json), ("expiresAt", Instant)],
            indexes: &[
                ("sessions_id", true, &["id"]),
                ("expires_at_idx", false, &["expiresAt"]),
            ],
            ..NO_SHAPE
        },
        "registration_sessions" => Shape {
            columns: &[("id", Key(36)), ("data", Json), ("expiresAt", Instant)],
            indexes: &[
                ("registrationSessions_id", true, &["id"]),
                ("expires_at_idx", false, &["expiresAt"]),
            ],
            ..NO_SHAPE
        },
        "jts_sessions" => Shape {
            columns: &[
                ("aid", Key(64)),
                ("prn", Key(256)),
                ("current_state_proof", Key(256)),
                ("previous_state_proof", Key(256)),
                ("state_proof_version", Integer),
                ("rotation_timestamp", Instant),
                ("device_fingerprint", Short(128)),
                ("created_at", Instant),
                ("expires_at", Instant),
                ("last_active", Instant),
                ("user_agent", Long),
                ("ip_address", Short(45)),
                ("metadata", Json),
            ],
            indexes: &[
                ("jts_sessions_aid", true, &["aid"]),
                ("idx_prn", false, &["prn"]),
                ("idx_current_sp", false, &["current_state_proof"]),
                ("idx_previous_sp", false, &["previous_state_proof"]),
                ("idx_expires", false, &["expires_at"]),
            ],
            ..NO_SHAPE
        },
        "jts_retired_state_proofs" => Shape {
            columns: &[
                ("aid", Key(64)),
                ("state_proof_version", Integer),
                ("digest", Bytes),
            ],
            indexes: &[
                (
                    "jts_retired_state_proofs_id",
                    true,
                    &["aid", "state_proof_version"],
                ),
                ("idx_digest", false, &["digest"]),
            ],
            foreign_key: Some((
                "jts_retired_state_proofs_aid_fk",
                "aid",
                "jts_sessions",
                "aid",
            )),
        },
        "jts_turns" => Shape {
            columns: &[("slot", Integer), ("turn", Big)],
            indexes: &[("jts_turns_slot", true, &["slot"])],
            ..NO_SHAPE
        },
        _ => Shape {
            columns: &[
                ("id", Key(255)),
                ("data", Json),
                ("expires_at", Instant),
                ("version", Big),
                ("lock_token", Key(64)),
                ("locked_until", Instant),
            ],
            indexes: &[
                ("login_sessions_id", true, &["id"]),
                ("login_sessions_expires_at_idx", false, &["expires_at"]),
            ],
            ..NO_SHAPE
        },
    }
}
