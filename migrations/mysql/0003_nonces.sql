-- One-time values, in the columns of @lti-tool/mysql. The index on the expiry is ours.
CREATE TABLE IF NOT EXISTS {nonces} (
    nonce varchar(255) NOT NULL,
    expiresAt datetime(3) NOT NULL,
    usedAt datetime(3),
    PRIMARY KEY (nonce),
    KEY nonces_expires_at_idx (expiresAt)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
