-- Deployments of the tool on a platform, in the columns of @lti-tool/mysql. The foreign key cascades,
-- so that deleting a client is one atomic statement that a deployment added at the same moment can't
-- slip past.
CREATE TABLE IF NOT EXISTS {deployments} (
    id varchar(36) NOT NULL,
    deploymentId varchar(255) NOT NULL,
    name varchar(255),
    description text,
    clientId varchar(36) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY client_deployment_unique (clientId, deploymentId),
    CONSTRAINT {constraint:deployments_clientId_clients_id_fk} FOREIGN KEY (clientId)
        REFERENCES {clients} (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4
    COLLATE /*!80017 utf8mb4_0900_bin */ /*M!100600 utf8mb4_nopad_bin */
