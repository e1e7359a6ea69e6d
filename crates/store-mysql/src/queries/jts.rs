//! Statements of JTS sessions.

use super::{Fill, Query};

#[derive(Debug)]
pub(crate) struct JtsQueries {
    pub(crate) create_jts_session: Query,
    pub(crate) take_turn: Query,
    pub(crate) lock_sessions: Query,
    pub(crate) revoke: Query,
    pub(crate) get_jts_session: Query,
    pub(crate) find_by_current_proof: Query,
    pub(crate) find_by_older_proof: Query,
    pub(crate) name_session: Query,
    pub(crate) name_session_by_proof: Query,
    pub(crate) lock_session: Query,
    pub(crate) retire_previous: Query,
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
            create_jts_session: fill.write(
                "INSERT jts_sessions",
                "INSERT INTO {jts_sessions} (aid, prn, current_state_proof, state_proof_version,
                   created_at, last_active, expires_at, device_fingerprint, user_agent, ip_address,
                   metadata)
                 VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
            ),
            // Lets the logins of a principal under a policy pass one at a time, until the transaction
            // ends. A write, so that on a Galera cluster one of two nodes' logins is told to try again.
            take_turn: fill.write(
                "INSERT jts_turns",
                "INSERT INTO {jts_turns} (slot, turn) VALUES (CRC32(?) % 1024, 1)
                 ON DUPLICATE KEY UPDATE turn = turn + 1",
            ),
            lock_sessions: fill.read(
                "SELECT jts_sessions",
                "SELECT s.aid FROM {jts_sessions} s WHERE s.prn = ? AND s.expires_at > ?
                 ORDER BY s.created_at, s.aid FOR UPDATE",
            ),
            revoke: fill.write(
                "DELETE jts_sessions",
                "DELETE FROM {jts_sessions} WHERE aid = ?",
            ),
            get_jts_session: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s WHERE s.aid = ? AND s.expires_at > ?"
                ),
            ),
            find_by_current_proof: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s WHERE s.current_state_proof = ? AND s.expires_at > ?"
                ),
            ),
            // A proof that is not current never becomes so again, so this may follow the other.
            find_by_older_proof: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s WHERE s.previous_state_proof = ? AND s.expires_at > ?
                     UNION ALL SELECT ",
                    jts_columns!(),
                    " FROM {jts_retired_state_proofs} r JOIN {jts_sessions} s ON s.aid = r.aid
                      WHERE r.digest = ? AND s.expires_at > ?
                     LIMIT 1"
                ),
            ),
            // Without a lock: rows are locked by their anchor id only, so that all lock in one order.
            name_session: fill.read(
                "SELECT jts_sessions",
                "SET @store_aid = (SELECT s.aid FROM {jts_sessions} s WHERE s.aid = ?)",
            ),
            name_session_by_proof: fill.read(
                "SELECT jts_sessions",
                "SET @store_aid = (SELECT s.aid FROM {jts_sessions} s
                                   WHERE s.current_state_proof = ? LIMIT 1)",
            ),
            lock_session: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s
                     WHERE s.aid = @store_aid AND s.current_state_proof = ? AND s.expires_at > ?
                     FOR UPDATE"
                ),
            ),
            retire_previous: fill.write(
                "INSERT jts_retired_state_proofs",
                "INSERT INTO {jts_retired_state_proofs} (aid, state_proof_version, digest)
                 SELECT s.aid, s.state_proof_version - 1, UNHEX(SHA2(s.previous_state_proof, 256))
                 FROM {jts_sessions} s
                 WHERE s.aid = @store_aid AND s.current_state_proof = ? AND s.expires_at > ?
                   AND s.previous_state_proof IS NOT NULL AND s.state_proof_version IS NOT NULL
                 ON DUPLICATE KEY UPDATE digest = digest",
            ),
            // Assigns from left to right: the current proof becomes the previous one before it changes.
            rotate: fill.write(
                "UPDATE jts_sessions",
                "UPDATE {jts_sessions} SET previous_state_proof = current_state_proof,
                   current_state_proof = ?, state_proof_version = COALESCE(state_proof_version, 1) + 1,
                   rotation_timestamp = ?, last_active = GREATEST(last_active, ?)
                 WHERE aid = @store_aid AND current_state_proof = ? AND expires_at > ?",
            ),
            touch_jts_session: fill.write(
                "UPDATE jts_sessions",
                "UPDATE {jts_sessions} SET last_active = GREATEST(last_active, ?)
                 WHERE aid = ? AND expires_at > ?",
            ),
            delete_jts_session: fill.write(
                "DELETE jts_sessions",
                "DELETE FROM {jts_sessions} WHERE aid = ? AND expires_at > ?",
            ),
            delete_jts_sessions: fill.write(
                "DELETE jts_sessions",
                "DELETE FROM {jts_sessions} WHERE prn = ? AND expires_at > ?",
            ),
            list_jts_sessions: fill.read(
                "SELECT jts_sessions",
                concat!(
                    "SELECT ",
                    jts_columns!(),
                    " FROM {jts_sessions} s WHERE s.prn = ? AND s.expires_at > ?
                     ORDER BY s.last_active DESC, s.aid"
                ),
            ),
            count_jts_sessions: fill.read(
                "SELECT jts_sessions",
                "SELECT COUNT(*) FROM {jts_sessions} WHERE prn = ? AND expires_at > ?",
            ),
            delete_oldest_jts_session: fill.write(
                "DELETE jts_sessions",
                "DELETE FROM {jts_sessions} WHERE prn = ? AND expires_at > ?
                 ORDER BY created_at, aid LIMIT 1",
            ),
        }
    }
}
