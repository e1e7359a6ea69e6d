-- A fixed number of rows that logins under a session policy take turns on, by a hash of the principal.
CREATE TABLE IF NOT EXISTS {jts_turns} (
    slot int NOT NULL,
    turn bigint unsigned NOT NULL,
    PRIMARY KEY (slot)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
