//! Databases that the npm originals made: taken over with all rows, and usable by them afterwards.

use store_core::{
    ClientStore, ErrorKind, JtsSessionStore, LaunchConfigStore, LtiSessionStore, NonceStore,
    RegistrationSessionStore, Renewal, SchemaStore, Settings, StateProofStatus,
};

use crate::support::{POSTGRES_URL, Schema, connect, variable};
use crate::{Test, on_server};

pub(crate) const TESTS: &[Test] = &[
    on_server("adoption::an_lti_database_is_taken_over", || {
        Box::pin(an_lti_database_is_taken_over())
    }),
    on_server(
        "adoption::nonces_of_the_first_versions_count_as_used",
        || Box::pin(nonces_of_the_first_versions_count_as_used()),
    ),
    on_server("adoption::a_jts_database_is_taken_over", || {
        Box::pin(a_jts_database_is_taken_over())
    }),
    on_server(
        "adoption::a_jts_table_of_another_name_is_taken_over",
        || Box::pin(a_jts_table_of_another_name_is_taken_over()),
    ),
    on_server("adoption::somebody_elses_table_is_left_alone", || {
        Box::pin(somebody_elses_table_is_left_alone())
    }),
    on_server(
        "adoption::tables_elsewhere_on_the_path_are_not_hidden",
        || Box::pin(tables_elsewhere_on_the_path_are_not_hidden()),
    ),
    on_server("adoption::tables_without_their_keys_are_refused", || {
        Box::pin(tables_without_their_keys_are_refused())
    }),
    on_server("adoption::a_foreign_key_of_any_name_cascades", || {
        Box::pin(a_foreign_key_of_any_name_cascades())
    }),
    on_server("adoption::rows_that_break_a_constraint_stop_it", || {
        Box::pin(rows_that_break_a_constraint_stop_it())
    }),
];

/// What @lti-tool/postgresql creates, as its documentation has it; drizzle's names for the keys.
const LTI: &str = r#"
CREATE TABLE clients (
    id uuid PRIMARY KEY NOT NULL, name varchar(255) NOT NULL, iss varchar(255) NOT NULL,
    client_id varchar(255) NOT NULL, auth_url text NOT NULL, token_url text NOT NULL,
    jwks_url text NOT NULL, CONSTRAINT iss_client_id_unique UNIQUE (iss, client_id)
);
CREATE TABLE deployments (
    id uuid PRIMARY KEY NOT NULL, deployment_id varchar(255) NOT NULL, name varchar(255),
    description text, client_id uuid NOT NULL,
    CONSTRAINT client_deployment_unique UNIQUE (client_id, deployment_id)
);
CREATE TABLE nonces (nonce varchar(255) PRIMARY KEY NOT NULL, expires_at timestamptz NOT NULL);
CREATE TABLE registration_sessions (
    id uuid PRIMARY KEY NOT NULL, data jsonb NOT NULL, expires_at timestamptz NOT NULL
);
CREATE TABLE sessions (
    id uuid PRIMARY KEY NOT NULL, data jsonb NOT NULL, expires_at timestamptz NOT NULL
);
ALTER TABLE deployments ADD CONSTRAINT deployments_client_id_clients_id_fk
    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE no action ON UPDATE no action;
CREATE INDEX issuer_client_idx ON clients (client_id, iss);
CREATE INDEX deployment_id_idx ON deployments (deployment_id);
CREATE INDEX reg_sessions_expires_at_idx ON registration_sessions (expires_at);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
"#;

const LTI_ROWS: &str = r#"
INSERT INTO clients VALUES ('11111111-1111-4111-8111-111111111111', 'LMS', 'https://lms.example',
    'tool', 'https://lms.example/auth', 'https://lms.example/token', 'https://lms.example/jwks');
INSERT INTO deployments VALUES ('22222222-2222-4222-8222-222222222222', 'default', NULL, NULL,
    '11111111-1111-4111-8111-111111111111');
INSERT INTO sessions VALUES ('33333333-3333-4333-8333-333333333333', '{
    "jwtPayload": {"sub": "u"}, "user": {"id": "u", "roles": ["instructor"]},
    "context": {"id": "", "label": "", "title": ""},
    "platform": {"issuer": "https://lms.example", "clientId": "tool", "deploymentId": "d", "name": "LMS"},
    "launch": {"target": "https://tool.example"}, "customParameters": {},
    "isAdmin": false, "isInstructor": true, "isStudent": false,
    "isAssignmentAndGradesAvailable": false, "isDeepLinkingAvailable": false,
    "isNameAndRolesAvailable": false}', now() + interval '1 hour');
INSERT INTO registration_sessions VALUES ('44444444-4444-4444-8444-444444444444', '{
    "openIdConfiguration": {"issuer": "https://lms.example"}, "registrationToken": "t",
    "expiresAt": 4102444800000}', now() + interval '1 hour');
"#;

/// A schema in which the originals' statements run as they are.
async fn schema(sql: &str) -> Schema {
    let schema = Schema::create(&variable(POSTGRES_URL).expect("checked before")).await;
    as_original(&schema, sql).await;
    schema
}

/// Runs what an original would, which knows nothing of schemas.
async fn as_original(schema: &Schema, sql: &str) {
    let client = connect(&schema.url).await;
    let path = format!("SET search_path TO {}", schema.name);
    client.batch_execute(&path).await.unwrap();
    client.batch_execute(sql).await.unwrap();
}

async fn an_lti_database_is_taken_over() {
    let schema = schema(&format!(
        "{LTI} {LTI_ROWS} ALTER TABLE nonces ADD COLUMN used_at timestamptz;"
    ))
    .await;
    as_original(
        &schema,
        "INSERT INTO nonces VALUES ('unused', now() + interval '5 min', NULL)",
    )
    .await;
    let store = schema.open(Settings::default());
    let report = store.bootstrap().await.unwrap();
    assert_eq!(
        report.adopted,
        [
            "clients",
            "deployments",
            "nonces",
            "sessions",
            "registration_sessions"
        ]
    );
    assert_eq!(store.bootstrap().await.unwrap().adopted, [""; 0], "once");

    let config = store
        .get_launch_config("https://lms.example", "tool", "d")
        .await
        .unwrap();
    assert_eq!(
        config.unwrap().jwks_url.as_str(),
        "https://lms.example/jwks"
    );
    let session = store
        .get_lti_session("33333333-3333-4333-8333-333333333333")
        .await
        .unwrap();
    assert!(session.unwrap().is_instructor);
    assert!(store.consume_nonce("unused").await.unwrap());
    let registration = store
        .take_registration_session("44444444-4444-4444-8444-444444444444")
        .await
        .unwrap();
    assert_eq!(
        registration.unwrap().registration_token.as_deref(),
        Some("t")
    );

    // The original goes on: its statements, on our tables.
    as_original(
        &schema,
        "INSERT INTO nonces (nonce, expires_at, used_at) VALUES ('theirs', now() + interval '5 min', NULL);
         DELETE FROM deployments WHERE client_id = '11111111-1111-4111-8111-111111111111';
         DELETE FROM clients WHERE id = '11111111-1111-4111-8111-111111111111';",
    )
    .await;
    assert!(store.consume_nonce("theirs").await.unwrap());
    assert_eq!(store.list_clients().await.unwrap(), []);
    schema.drop().await;
}

async fn nonces_of_the_first_versions_count_as_used() {
    let schema = schema(LTI).await;
    as_original(
        &schema,
        "INSERT INTO nonces VALUES ('seen', now() + interval '5 min')",
    )
    .await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    assert!(!store.consume_nonce("seen").await.unwrap());
    store
        .store_nonce(&"new".parse().unwrap(), None)
        .await
        .unwrap();
    assert!(store.consume_nonce("new").await.unwrap());
    schema.drop().await;
}

/// The columns of the npm family's JTS adapter on PostgreSQL.
const JTS: &str = "
CREATE TABLE jts_sessions (
    aid varchar(64) PRIMARY KEY, prn varchar(256) NOT NULL,
    current_state_proof varchar(256) NOT NULL, previous_state_proof varchar(256),
    state_proof_version integer DEFAULT 1, rotation_timestamp timestamptz,
    device_fingerprint varchar(128), created_at timestamptz NOT NULL DEFAULT NOW(),
    expires_at timestamptz NOT NULL, last_active timestamptz NOT NULL DEFAULT NOW(),
    user_agent text, ip_address varchar(45), metadata jsonb
);
CREATE INDEX idx_jts_sessions_prn ON jts_sessions (prn);
CREATE INDEX idx_jts_sessions_current_sp ON jts_sessions (current_state_proof);
CREATE INDEX idx_jts_sessions_previous_sp ON jts_sessions (previous_state_proof);
CREATE INDEX idx_jts_sessions_expires ON jts_sessions (expires_at);
INSERT INTO jts_sessions (aid, prn, current_state_proof, expires_at, metadata)
    VALUES ('aid_1', 'Bob', 'sp_1', now() + interval '1 day', '{\"a\": 1}');
";

const THEIR_ROTATION: &str = "
UPDATE jts_sessions SET previous_state_proof = current_state_proof, current_state_proof = 'sp_2',
    state_proof_version = state_proof_version + 1, rotation_timestamp = NOW(), last_active = NOW()
WHERE aid = 'aid_1' AND expires_at > NOW();
";

async fn a_jts_database_is_taken_over() {
    let schema = schema(JTS).await;
    let store = schema.open(Settings::default());
    let report = store.bootstrap().await.unwrap();
    assert_eq!(report.adopted, ["jts_sessions"]);
    let session = store.get_jts_session("aid_1").await.unwrap().unwrap();
    assert_eq!(session.prn.as_str(), "Bob");
    assert_eq!(store.count_jts_sessions("bob").await.unwrap(), 0);

    // The original rotates, then we do: its first proof is older than the previous one now.
    as_original(&schema, THEIR_ROTATION).await;
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
    as_original(&schema, "DELETE FROM jts_sessions WHERE aid = 'aid_1'").await;
    assert_eq!(
        store.validate_state_proof("sp_1").await.unwrap(),
        StateProofStatus::Unknown
    );
    schema.drop().await;
}

async fn a_jts_table_of_another_name_is_taken_over() {
    let schema = schema(&JTS.replace("jts_sessions", "my_sessions")).await;
    let mut config = schema.config();
    config.tables.jts_sessions = "my_sessions".to_owned();
    let store = store_postgres::PostgresStore::open(config, Settings::default()).unwrap();
    assert_eq!(store.bootstrap().await.unwrap().adopted, ["my_sessions"]);
    assert_eq!(store.count_jts_sessions("Bob").await.unwrap(), 1);
    let indexes = format!(
        "SELECT count(*) FROM pg_indexes WHERE schemaname = '{}' AND tablename = 'my_sessions'",
        schema.name
    );
    let row = connect(&schema.url)
        .await
        .query_one(&indexes, &[])
        .await
        .unwrap();
    assert_eq!(
        row.get::<_, i64>(0),
        5,
        "its own indexes serve, none was made twice"
    );
    schema.drop().await;
}

async fn somebody_elses_table_is_left_alone() {
    let schema = schema("CREATE TABLE sessions (id uuid PRIMARY KEY, payload text)").await;
    let store = schema.open(Settings::default());
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let said = error.to_string();
    assert!(
        said.contains("`sessions`") && said.contains("`data`") && said.contains("table_prefix"),
        "{said}"
    );
    let tables = format!(
        "SELECT count(*) FROM pg_tables WHERE schemaname = '{}'",
        schema.name
    );
    let row = connect(&schema.url)
        .await
        .query_one(&tables, &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 1, "nothing was created");

    let mut config = schema.config();
    config.tables.prefix = "auth_".to_owned();
    let store = store_postgres::PostgresStore::open(config, Settings::default()).unwrap();
    store.bootstrap().await.unwrap();
    assert!(!store.consume_nonce("n").await.unwrap());
    schema.drop().await;
}

async fn rows_that_break_a_constraint_stop_it() {
    let without_key = LTI.replace("ALTER TABLE deployments ADD CONSTRAINT", "-- ").replace(
        "    FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE no action ON UPDATE no action;",
        "",
    );
    let schema = schema(&without_key).await;
    as_original(
        &schema,
        "INSERT INTO deployments VALUES ('22222222-2222-4222-8222-222222222222', 'd', NULL, NULL,
             '11111111-1111-4111-8111-111111111111')",
    )
    .await;
    let error = schema
        .open(Settings::default())
        .bootstrap()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    schema.drop().await;
}

async fn tables_elsewhere_on_the_path_are_not_hidden() {
    let theirs = schema(LTI).await;
    let first = Schema::create(&theirs.url).await;
    let mut config = first.config();
    config.tables.schema = None;
    let path = format!("-c search_path={},{}", first.name, theirs.name);
    config.driver.options(&path);
    let store = store_postgres::PostgresStore::open(config, Settings::default()).unwrap();
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let said = error.to_string();
    assert!(
        said.contains(&theirs.name) && said.contains("schema option"),
        "{said}"
    );
    first.drop().await;
    theirs.drop().await;
}

async fn tables_without_their_keys_are_refused() {
    let schema = schema(&LTI.replace(
        "nonce varchar(255) PRIMARY KEY NOT NULL",
        "nonce varchar(255) NOT NULL",
    ))
    .await;
    let error = schema
        .open(Settings::default())
        .bootstrap()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let said = error.to_string();
    assert!(
        said.contains("`nonces` lacks a unique key on (nonce)"),
        "{said}"
    );
    schema.drop().await;
}

async fn a_foreign_key_of_any_name_cascades() {
    let schema = schema(&format!(
        "{} {LTI_ROWS}",
        LTI.replace("deployments_client_id_clients_id_fk", "fk_17")
    ))
    .await;
    let store = schema.open(Settings::default());
    store.bootstrap().await.unwrap();
    assert!(
        store
            .delete_client("11111111-1111-4111-8111-111111111111")
            .await
            .unwrap()
    );
    schema.drop().await;
}
