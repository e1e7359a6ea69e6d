-- What makes the replay of any older proof recognisable: SHA-256 of each proof retired before the
-- previous one. The rows live and die with their session.
CREATE TABLE IF NOT EXISTS {jts_retired_state_proofs} (
    aid varchar(64) NOT NULL,
    state_proof_version int NOT NULL,
    digest binary(32) NOT NULL,
    PRIMARY KEY (aid, state_proof_version),
    KEY idx_digest (digest),
    CONSTRAINT {constraint:jts_retired_state_proofs_aid_fk} FOREIGN KEY (aid)
        REFERENCES {jts_sessions} (aid) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
