-- Dynamic registrations under way, in the columns of @lti-tool/mysql.
CREATE TABLE IF NOT EXISTS {registration_sessions} (
    id varchar(36) NOT NULL,
    data json NOT NULL,
    expiresAt datetime(3) NOT NULL,
    PRIMARY KEY (id),
    KEY expires_at_idx (expiresAt)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
