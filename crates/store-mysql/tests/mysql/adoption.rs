//! Databases that the npm originals made: taken over with all rows, and usable by them afterwards.

use store_core::{
    CleanupKind, CleanupStore, ClientStore, ErrorKind, JtsSessionStore, LaunchConfigStore,
    LtiSessionStore, NonceStore, RegistrationSessionStore, Renewal, SchemaStore, Settings,
    StateProofStatus,
};
use store_mysql::MySqlStore;

use crate::support::Database;
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "adoption::an_lti_database_is_taken_over",
        run: |server| Box::pin(an_lti_database_is_taken_over(server)),
    },
    Test {
        name: "adoption::nonces_of_the_first_versions_count_as_used",
        run: |server| Box::pin(nonces_of_the_first_versions_count_as_used(server)),
    },
    Test {
        name: "adoption::a_jts_database_is_taken_over",
        run: |server| Box::pin(a_jts_database_is_taken_over(server)),
    },
    Test {
        name: "adoption::a_jts_table_of_another_name_is_taken_over",
        run: |server| Box::pin(a_jts_table_of_another_name_is_taken_over(server)),
    },
    Test {
        name: "adoption::text_of_other_character_sets_is_kept",
        run: |server| Box::pin(text_of_other_character_sets_is_kept(server)),
    },
    Test {
        name: "adoption::somebody_elses_table_is_left_alone",
        run: |server| Box::pin(somebody_elses_table_is_left_alone(server)),
    },
    Test {
        name: "adoption::rows_that_break_a_key_stop_it_before_it_begins",
        run: |server| Box::pin(rows_that_break_a_key_stop_it_before_it_begins(server)),
    },
];

/// What the first migration of @lti-tool/mysql creates.
pub(crate) const LTI: &str = "
CREATE TABLE `clients` (
    `id` varchar(36) NOT NULL, `name` varchar(255) NOT NULL, `iss` varchar(255) NOT NULL,
    `clientId` varchar(255) NOT NULL, `authUrl` text NOT NULL, `tokenUrl` text NOT NULL,
    `jwksUrl` text NOT NULL, CONSTRAINT `clients_id` PRIMARY KEY(`id`),
    CONSTRAINT `iss_client_id_unique` UNIQUE(`iss`,`clientId`)
);
CREATE TABLE `deployments` (
    `id` varchar(36) NOT NULL, `deploymentId` varchar(255) NOT NULL, `name` varchar(255),
    `description` text, `clientId` varchar(36) NOT NULL,
    CONSTRAINT `deployments_id` PRIMARY KEY(`id`),
    CONSTRAINT `client_deployment_unique` UNIQUE(`clientId`,`deploymentId`)
);
CREATE TABLE `nonces` (
    `nonce` varchar(255) NOT NULL, `expiresAt` datetime NOT NULL,
    CONSTRAINT `nonces_nonce` PRIMARY KEY(`nonce`)
);
CREATE TABLE `registrationSessions` (
    `id` varchar(36) NOT NULL, `data` json NOT NULL, `expiresAt` datetime NOT NULL,
    CONSTRAINT `registrationSessions_id` PRIMARY KEY(`id`)
);
CREATE TABLE `sessions` (
    `id` varchar(36) NOT NULL, `data` json NOT NULL, `expiresAt` datetime NOT NULL,
    CONSTRAINT `sessions_id` PRIMARY KEY(`id`)
);
ALTER TABLE `deployments` ADD CONSTRAINT `deployments_clientId_clients_id_fk` FOREIGN KEY (`clientId`)
    REFERENCES `clients`(`id`) ON DELETE no action ON UPDATE no action;
CREATE INDEX `issuer_client_idx` ON `clients` (`clientId`,`iss`);
CREATE INDEX `deployment_id_idx` ON `deployments` (`deploymentId`);
CREATE INDEX `expires_at_idx` ON `registrationSessions` (`expiresAt`);
CREATE INDEX `expires_at_idx` ON `sessions` (`expiresAt`);
";

pub(crate) const LTI_ROWS: &str = r#"
INSERT INTO clients VALUES ('11111111-1111-4111-8111-111111111111', 'LMS', 'https://lms.example',
    'tool', 'https://lms.example/auth', 'https://lms.example/token', 'https://lms.example/jwks');
INSERT INTO deployments VALUES ('22222222-2222-4222-8222-222222222222', 'default', NULL, NULL,
    '11111111-1111-4111-8111-111111111111');
INSERT INTO nonces (nonce, expiresAt) VALUES ('seen', UTC_TIMESTAMP() + INTERVAL 5 MINUTE);
INSERT INTO sessions VALUES ('33333333-3333-4333-8333-333333333333', '{
    "jwtPayload": {"sub": "u"}, "user": {"id": "u", "roles": ["instructor"]},
    "context": {"id": "", "label": "", "title": ""},
    "platform": {"issuer": "https://lms.example", "clientId": "tool", "deploymentId": "d", "name": "LMS"},
    "launch": {"target": "https://tool.example"}, "customParameters": {},
    "isAdmin": false, "isInstructor": true, "isStudent": false,
    "isAssignmentAndGradesAvailable": false, "isDeepLinkingAvailable": false,
    "isNameAndRolesAvailable": false}', UTC_TIMESTAMP() + INTERVAL 1 HOUR);
INSERT INTO registrationSessions VALUES ('44444444-4444-4444-8444-444444444444', '{
    "openIdConfiguration": {"issuer": "https://lms.example"}, "registrationToken": "t",
    "expiresAt": 4102444800000}', UTC_TIMESTAMP() + INTERVAL 1 HOUR);
"#;

/// What `initialize` of @engjts/mysql-adapter creates.
pub(crate) const JTS: &str = "
CREATE TABLE IF NOT EXISTS `jts_sessions` (
    aid VARCHAR(64) PRIMARY KEY, prn VARCHAR(256) NOT NULL, current_state_proof VARCHAR(256) NOT NULL,
    previous_state_proof VARCHAR(256), state_proof_version INT DEFAULT 1,
    rotation_timestamp DATETIME(3), device_fingerprint VARCHAR(128),
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), expires_at DATETIME(3) NOT NULL,
    last_active DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), user_agent TEXT,
    ip_address VARCHAR(45), metadata JSON,
    INDEX idx_prn (prn), INDEX idx_current_sp (current_state_proof),
    INDEX idx_previous_sp (previous_state_proof), INDEX idx_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO `jts_sessions` (aid, prn, current_state_proof, expires_at, metadata)
    VALUES ('aid_1', 'Bob', 'sp_1', UTC_TIMESTAMP() + INTERVAL 1 DAY, '{\"a\": 1}');
";

async fn database(server: &Server, sql: &str) -> Database {
    let database = server.database().await;
    database.execute(sql).await;
    database
}

async fn an_lti_database_is_taken_over(server: Server) -> Outcome {
    let sql = format!(
        "{LTI} {LTI_ROWS} ALTER TABLE nonces ADD usedAt datetime; UPDATE nonces SET usedAt = NOW();
         INSERT INTO nonces VALUES ('unused', UTC_TIMESTAMP() + INTERVAL 5 MINUTE, NULL)"
    );
    let database = database(&server, &sql).await;
    let store = database.open(Settings::default());
    let report = store.bootstrap().await.unwrap();
    let all = [
        "clients",
        "deployments",
        "nonces",
        "sessions",
        "registrationSessions",
    ];
    assert_eq!(report.adopted, all);
    assert_eq!(store.bootstrap().await.unwrap().adopted, [""; 0], "once");
    assert!(store.schema_status().await.unwrap().is_current());

    let config = store
        .get_launch_config("https://lms.example", "tool", "d")
        .await;
    let config = config.unwrap().unwrap();
    assert_eq!(config.jwks_url.as_str(), "https://lms.example/jwks");
    let other_case = store
        .get_launch_config("https://LMS.example", "tool", "d")
        .await;
    assert_eq!(other_case.unwrap(), None, "the collation is mended");
    let session = store
        .get_lti_session("33333333-3333-4333-8333-333333333333")
        .await;
    assert!(session.unwrap().unwrap().is_instructor);
    assert!(!store.consume_nonce("UNUSED").await.unwrap());
    assert!(store.consume_nonce("unused").await.unwrap());
    assert!(!store.consume_nonce("seen").await.unwrap());
    let registration = store
        .take_registration_session("44444444-4444-4444-8444-444444444444")
        .await
        .unwrap();
    assert_eq!(
        registration.unwrap().registration_token.as_deref(),
        Some("t")
    );

    // The original goes on: its statements, on our tables.
    database
        .execute(
            "INSERT INTO nonces (nonce, expiresAt, usedAt) VALUES ('theirs', '2100-01-01 00:00:00.123', NULL);
             DELETE FROM deployments WHERE clientId = '11111111-1111-4111-8111-111111111111';
             DELETE FROM clients WHERE id = '11111111-1111-4111-8111-111111111111'",
        )
        .await;
    assert!(store.consume_nonce("theirs").await.unwrap());
    assert_eq!(store.list_clients().await.unwrap(), []);
    // Everything else works on tables of their shape as on our own.
    store_testkit::exercise(&*store).await;
    database.drop().await;
    Ok(())
}

async fn nonces_of_the_first_versions_count_as_used(server: Server) -> Outcome {
    let database = database(&server, &format!("{LTI} {LTI_ROWS}")).await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    assert!(!store.consume_nonce("seen").await.unwrap());
    store
        .store_nonce(&"new".parse().unwrap(), None)
        .await
        .unwrap();
    assert!(store.consume_nonce("new").await.unwrap());
    database.drop().await;
    Ok(())
}

async fn a_jts_database_is_taken_over(server: Server) -> Outcome {
    let database = database(&server, JTS).await;
    let store = database.open(Settings::default());
    assert_eq!(store.bootstrap().await.unwrap().adopted, ["jts_sessions"]);
    let session = store.get_jts_session("aid_1").await.unwrap().unwrap();
    assert_eq!(session.prn.as_str(), "Bob");
    assert_eq!(
        session.metadata.unwrap().as_str().replace(' ', ""),
        r#"{"a":1}"#
    );
    assert_eq!(store.count_jts_sessions("bob").await.unwrap(), 0);
    assert_eq!(store.count_jts_sessions("Bob ").await.unwrap(), 0);

    // The original rotates, then we do: its first proof is older than the previous one now.
    database
        .execute(
            "UPDATE `jts_sessions` SET previous_state_proof = current_state_proof,
               current_state_proof = 'sp_2', state_proof_version = state_proof_version + 1,
               rotation_timestamp = NOW(3), last_active = NOW(3)
             WHERE aid = 'aid_1' AND expires_at > NOW()",
        )
        .await;
    let renewed = match store.renew_state_proof("sp_2").await.unwrap() {
        Renewal::Rotated(session) => session,
        other => panic!("{other:?}"),
    };
    assert_eq!(renewed.state_proof_version, 3);
    let replay = store.validate_state_proof("sp_1").await.unwrap();
    assert!(
        matches!(replay, StateProofStatus::Compromised { .. }),
        "{replay:?}"
    );

    // The original deletes what has retired proofs.
    database
        .execute("DELETE FROM `jts_sessions` WHERE aid = 'aid_1'")
        .await;
    let gone = store.validate_state_proof("sp_1").await.unwrap();
    assert_eq!(gone, StateProofStatus::Unknown);
    store_testkit::exercise(&*store).await;
    database.drop().await;
    Ok(())
}

async fn a_jts_table_of_another_name_is_taken_over(server: Server) -> Outcome {
    // Its own indexes serve and none is made twice, but for that on the expiry, which goes by its name.
    for (index, indexes) in [("idx_expires", 5), ("by_expiry", 6)] {
        let table = JTS.replace("jts_sessions", "my_sessions");
        let database = database(&server, &table.replace("idx_expires", index)).await;
        let mut config = database.config();
        config.tables.jts_sessions = "my_sessions".to_owned();
        let store = MySqlStore::open(config, Settings::default()).unwrap();
        assert_eq!(store.bootstrap().await.unwrap().adopted, ["my_sessions"]);
        assert_eq!(store.count_jts_sessions("Bob").await.unwrap(), 1);
        let sql = format!(
            "SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = 'my_sessions'",
            database.name
        );
        assert_eq!(database.query::<u64>(&sql).await, [indexes], "{index}");
        database
            .execute("UPDATE my_sessions SET expires_at = '2000-01-01'")
            .await;
        let kind = CleanupKind::JtsSessions;
        assert_eq!(store.delete_expired(kind, 10).await.unwrap(), 1);
        database.drop().await;
    }
    Ok(())
}

/// A database whose default character set was another one when the original made its tables.
async fn text_of_other_character_sets_is_kept(server: Server) -> Outcome {
    let database = server.database().await;
    let charset = format!("ALTER DATABASE {} CHARACTER SET latin1", database.name);
    database.execute(&charset).await;
    database.execute(&format!("{LTI} {LTI_ROWS}")).await;
    database
        .execute("UPDATE clients SET name = 'Zürich', iss = 'https://é.example'")
        .await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    let clients = store.list_clients().await.unwrap();
    assert_eq!(clients[0].name.as_str(), "Zürich");
    let found = store
        .get_launch_config("https://é.example", "tool", "x")
        .await;
    assert!(found.unwrap().is_some());
    let update = store_core::ClientUpdate {
        name: Some("🔑".parse().unwrap()),
        ..Default::default()
    };
    let id = clients[0].id.to_string();
    assert_eq!(
        store
            .update_client(&id, update)
            .await
            .unwrap()
            .name
            .as_str(),
        "🔑"
    );
    database.drop().await;
    Ok(())
}

async fn refused(database: &Database, said: &str) {
    let sql = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let before = database.query::<u64>(sql).await;
    let error = database.open(Settings::default()).bootstrap().await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert_eq!(database.query::<u64>(sql).await, before);
    database.drop().await;
}

async fn somebody_elses_table_is_left_alone(server: Server) -> Outcome {
    for (table, said) in [
        ("sessions (sid int PRIMARY KEY)", "no column `id`"),
        ("nonces (nonce int PRIMARY KEY, expiresAt datetime)", "`nonce` is int"),
        (
            "login_sessions (id varchar(255) PRIMARY KEY, data json, expires_at datetime(3),
             version bigint, lock_token varchar(64), locked_until datetime(3), tenant int NOT NULL)",
            "`tenant` must be given",
        ),
    ] {
        let database = database(&server, &format!("CREATE TABLE {table}")).await;
        refused(&database, said).await;
    }
    let view = "CREATE TABLE t (id int); CREATE VIEW clients AS SELECT * FROM t";
    refused(&database(&server, view).await, "no InnoDB table").await;
    Ok(())
}

async fn rows_that_break_a_key_stop_it_before_it_begins(server: Server) -> Outcome {
    // The original's foreign key is as blind to case as its collation.
    let sql = format!(
        "{LTI} {LTI_ROWS}
         UPDATE clients SET id = 'aaaaaaaa-1111-4111-8111-111111111111' WHERE 1 = 0;
         INSERT INTO clients VALUES ('abcdabcd-1111-4111-8111-111111111111', 'B', 'https://b', 'c', 'a', 't', 'j');
         INSERT INTO deployments VALUES ('55555555-2222-4222-8222-222222222222', 'd', NULL, NULL,
           'ABCDABCD-1111-4111-8111-111111111111')"
    );
    refused(&database(&server, &sql).await, "letter for letter").await;
    let sql = format!(
        "{LTI} ALTER TABLE clients DROP KEY iss_client_id_unique;
         INSERT INTO clients VALUES ('1', 'A', 'https://a', 'c', 'a', 't', 'j'),
           ('2', 'B', 'https://a', 'c', 'a', 't', 'j')"
    );
    refused(&database(&server, &sql).await, "(iss, clientId)").await;
    // Those that only a collation blind to case took for one are no obstacle.
    let sql = format!(
        "{LTI} ALTER TABLE clients DROP KEY iss_client_id_unique;
         INSERT INTO clients VALUES ('11111111-1111-4111-8111-111111111111', 'A', 'https://a', 'c', 'a', 't', 'j'),
           ('22222222-1111-4111-8111-111111111111', 'B', 'https://A', 'c', 'a', 't', 'j')"
    );
    let database = database(&server, &sql).await;
    let store = database.open(Settings::default());
    store.bootstrap().await.unwrap();
    database.drop().await;
    Ok(())
}
