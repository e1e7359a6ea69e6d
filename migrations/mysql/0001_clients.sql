-- Platforms that the tool is registered with, in the columns of @lti-tool/mysql. Each server reads its
-- own binary collation without padding out of the comments.
CREATE TABLE IF NOT EXISTS {clients} (
    id varchar(36) NOT NULL,
    name varchar(255) NOT NULL,
    iss varchar(255) NOT NULL,
    clientId varchar(255) NOT NULL,
    authUrl text NOT NULL,
    tokenUrl text NOT NULL,
    jwksUrl text NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY iss_client_id_unique (iss, clientId)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
