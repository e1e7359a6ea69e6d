-- LTI sessions, in the columns of @lti-tool/mysql. Rows of kilobytes under ids in random order are
-- clustered by a running number of their own, so that new ones go side by side to the table's end.
CREATE TABLE IF NOT EXISTS {sessions} (
    seq bigint unsigned NOT NULL AUTO_INCREMENT,
    id varchar(36) NOT NULL,
    data json NOT NULL,
    expiresAt datetime(3) NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE KEY sessions_id (id),
    KEY expires_at_idx (expiresAt)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
