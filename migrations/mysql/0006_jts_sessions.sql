-- JTS sessions, in the columns and indexes of @engjts/mysql-adapter. Clustered by a running number like
-- LTI sessions. The other indexes are shorter for it, since each entry ends with the clustering key.
CREATE TABLE IF NOT EXISTS {jts_sessions} (
    seq bigint unsigned NOT NULL AUTO_INCREMENT,
    aid varchar(64) NOT NULL,
    prn varchar(256) NOT NULL,
    current_state_proof varchar(256) NOT NULL,
    previous_state_proof varchar(256),
    state_proof_version int DEFAULT 1,
    rotation_timestamp datetime(3),
    device_fingerprint varchar(128),
    created_at datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    expires_at datetime(3) NOT NULL,
    last_active datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    user_agent text,
    ip_address varchar(45),
    metadata json,
    PRIMARY KEY (seq),
    UNIQUE KEY jts_sessions_aid (aid),
    KEY idx_prn (prn),
    KEY idx_current_sp (current_state_proof),
    KEY idx_previous_sp (previous_state_proof),
    KEY idx_expires (expires_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
