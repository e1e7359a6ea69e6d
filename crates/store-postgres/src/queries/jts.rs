//! Statements of JTS sessions.

use super::{AT, BYTES, Fill, INT8, JSONB, Query, TEXT};

#[derive(Debug)]
pub(crate) struct JtsQueries {
    pub(crate) create_jts_session: Query,
    pub(crate) lock_principal: Query,
    pub(crate) revoke_oldest: Query,
    pub(crate) get_jts_session: Query,
    pub(crate) find_by_current_proof: Query,
    pub(crate) find_by_proof: Query,
    pub(crate) rotate: Query,
    pub(crate) touch_jts_session: Query,
    pub(crate) delete_jts_session: Query,
    pub(crate) delete_jts_sessions: Query,
    pub(crate) list_jts_sessions: Query,
    pub(crate) count_jts_sessions: Query,
    pub(crate) delete_oldest_jts_session: Query,
}

impl JtsQueries {
    pub(crate) fn new(fill: &Fill<'_>) -> Self {
        Self {
            create_jts_session: fill.write("INSERT jts_sessions", &[TEXT, TEXT, TEXT, AT, AT, TEXT, TEXT, TEXT, JSONB], "INSERT INTO {jts_sessions} (aid, prn, current_state_proof, state_proof_version, created_at,
            last_active, expires_at, device_fingerprint, user_agent, ip_address, metadata)
     VALUES ($1, $2, $3, 1, $4, $4, $5, $6, $7, $8, $9)"),
            // Lets the logins of a principal under a policy pass one at a time, until the transaction ends.
            lock_principal: fill.write("SELECT", &[TEXT], "SELECT pg_advisory_xact_lock(hashtextextended($1, '{jts_sessions}'::regclass::oid::int8))"),
            // Keeps the `$3` newest. Runs after `LOCK_PRINCIPAL`, so that its snapshot sees all who went before.
            revoke_oldest: fill.write("DELETE jts_sessions", &[TEXT, AT, INT8], "WITH revoked AS (
       DELETE FROM {jts_sessions} WHERE aid IN (
         SELECT aid FROM {jts_sessions} WHERE prn = $1 AND expires_at > $2
         ORDER BY created_at DESC, aid COLLATE \"C\" DESC OFFSET $3
       )
       RETURNING aid, created_at
     )
     SELECT aid FROM revoked ORDER BY created_at, aid COLLATE \"C\""),
            get_jts_session: fill.lookup("SELECT jts_sessions", &[TEXT, AT], concat!(
        "SELECT ",
        jts_columns!(),
        " FROM {jts_sessions} s WHERE s.aid = $1 AND s.expires_at > $2"
    )),
            find_by_current_proof: fill.lookup("SELECT jts_sessions", &[TEXT, AT], concat!(
        "SELECT ",
        jts_columns!(),
        " FROM {jts_sessions} s WHERE s.current_state_proof = $1 AND s.expires_at > $2 LIMIT 1"
    )),
            // By the current proof, else by the previous one, else by a retired one: the branches run in this
            // order and only until one finds a row.
            find_by_proof: fill.lookup("SELECT jts_sessions", &[TEXT, AT, BYTES], concat!(
        "SELECT ",
        jts_columns!(),
        " FROM {jts_sessions} s WHERE s.current_state_proof = $1 AND s.expires_at > $2
         UNION ALL SELECT ",
        jts_columns!(),
        " FROM {jts_sessions} s WHERE s.previous_state_proof = $1 AND s.expires_at > $2
         UNION ALL SELECT ",
        jts_columns!(),
        " FROM {jts_retired_state_proofs} r JOIN {jts_sessions} s ON s.aid = r.aid
          WHERE r.digest = $3 AND s.expires_at > $2
         LIMIT 1"
    )),
            // The compare-and-swap of the proof: `$1` becomes `$2` and is kept as the previous proof, whose
            // predecessor retires. Of an anchor id, `$4`, or whichever session has the proof if that is null.
            rotate: fill.write("UPDATE jts_sessions", &[TEXT, TEXT, AT, TEXT], concat!(
        "WITH seen AS (
           SELECT aid, previous_state_proof, state_proof_version FROM {jts_sessions}
           WHERE current_state_proof = $1 AND expires_at > $3 AND aid = COALESCE($4, aid)
           FOR UPDATE
         ), retired AS (
           INSERT INTO {jts_retired_state_proofs} (aid, state_proof_version, digest)
           SELECT aid, state_proof_version - 1, sha256(convert_to(previous_state_proof, 'UTF8'))
           FROM seen WHERE previous_state_proof IS NOT NULL AND state_proof_version IS NOT NULL
           ON CONFLICT DO NOTHING
         )
         UPDATE {jts_sessions} s SET previous_state_proof = $1, current_state_proof = $2,
           state_proof_version = COALESCE(s.state_proof_version, 1) + 1, rotation_timestamp = $3,
           last_active = GREATEST(s.last_active, $3)
         FROM seen WHERE s.aid = seen.aid RETURNING ",
        jts_columns!()
    )),
            touch_jts_session: fill.write("UPDATE jts_sessions", &[TEXT, AT], "UPDATE {jts_sessions} SET last_active = GREATEST(last_active, $2)
     WHERE aid = $1 AND expires_at > $2"),
            delete_jts_session: fill.write("DELETE jts_sessions", &[TEXT, AT], "DELETE FROM {jts_sessions} WHERE aid = $1 AND expires_at > $2"),
            delete_jts_sessions: fill.write("DELETE jts_sessions", &[TEXT, AT], "DELETE FROM {jts_sessions} WHERE prn = $1 AND expires_at > $2"),
            list_jts_sessions: fill.read("SELECT jts_sessions", &[TEXT, AT], concat!(
        "SELECT ",
        jts_columns!(),
        " FROM {jts_sessions} s WHERE s.prn = $1 AND s.expires_at > $2
         ORDER BY s.last_active DESC, s.aid COLLATE \"C\""
    )),
            count_jts_sessions: fill.read("SELECT jts_sessions", &[TEXT, AT], "SELECT count(*) FROM {jts_sessions} WHERE prn = $1 AND expires_at > $2"),
            delete_oldest_jts_session: fill.write("DELETE jts_sessions", &[TEXT, AT], "DELETE FROM {jts_sessions} WHERE aid = (
       SELECT aid FROM {jts_sessions} WHERE prn = $1 AND expires_at > $2
       ORDER BY created_at, aid COLLATE \"C\" LIMIT 1 FOR UPDATE
     )"),
        }
    }
}
