-- Login sessions with row locks, clustered by a running number like LTI sessions.
CREATE TABLE IF NOT EXISTS {login_sessions} (
    seq bigint unsigned NOT NULL AUTO_INCREMENT,
    id varchar(255) NOT NULL,
    data json NOT NULL,
    expires_at datetime(3) NOT NULL,
    version bigint NOT NULL,
    lock_token varchar(64),
    locked_until datetime(3),
    PRIMARY KEY (seq),
    UNIQUE KEY login_sessions_id (id),
    KEY login_sessions_expires_at_idx (expires_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
