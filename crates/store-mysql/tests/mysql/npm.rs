//! The npm originals themselves, from the registry, on one database with us.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use store_core::{
    ClientStore, JtsSessionStore, LaunchConfigStore, LtiSessionStore, NewJtsSession, NonceStore,
    RegistrationSessionStore, Renewal, SchemaStore, SessionPolicy, Settings,
};
use store_testkit::fixtures::Fixtures;
use tokio::process::Command;

use crate::support::Database;
use crate::{Outcome, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "npm::lti_tool_mysql_and_the_store_read_each_other",
        run: |server| Box::pin(lti_tool_mysql_and_the_store_read_each_other(server)),
    },
    Test {
        name: "npm::engjts_mysql_adapter_and_the_store_read_each_other",
        run: |server| Box::pin(engjts_mysql_adapter_and_the_store_read_each_other(server)),
    },
];

const PACKAGES: [&str; 3] = [
    "@lti-tool/mysql@2.0.3",
    "@engjts/mysql-adapter@1.0.0",
    "mysql2@3",
];

/// Lets Node find what @lti-tool/core imports without the end of its name or its type, as bundlers do.
const LENIENT: &str = r#"
import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(`
  export async function resolve(name, context, next) {
    try {
      return await next(name, context);
    } catch (error) {
      if (!name.startsWith('.')) throw error;
      return next(name + '.js', context).catch(() => next(name + '/index.js', context));
    }
  }
  export async function load(url, context, next) {
    const json = url.endsWith('.json') ? { importAttributes: { type: 'json' } } : {};
    return next(url, { ...context, ...json });
  }`));
"#;

/// What the JTS adapter takes from a package that is not published, as far as it uses it.
const UNPUBLISHED: &str = r#"
import { randomBytes } from 'node:crypto';
export const generateStateProof = () => `sp_${randomBytes(48).toString('base64url')}`;
export class BaseSessionStore {
  createSessionData(input) {
    const now = new Date();
    return { ...input, aid: `aid_${randomBytes(24).toString('base64url')}`, stateProofVersion: 1,
      currentStateProof: generateStateProof(), createdAt: now, lastActive: now,
      expiresAt: new Date(now.getTime() + 604800000) };
  }
}
"#;

const SCRIPT: &str = r#"
import { readFileSync } from 'node:fs';
const [what, url, argument] = process.argv.slice(2);
const given = argument ? JSON.parse(argument) : undefined;
const told = {};
if (what.startsWith('lti')) {
  const { MySqlStorage } = await import('@lti-tool/mysql');
  const theirs = new MySqlStorage({ connectionUrl: url });
  if (what === 'lti-migrate') {
    const mysql = (await import('mysql2/promise')).default;
    const connection = await mysql.createConnection(url);
    for (const file of ['0000_careless_vermin', '0001_issued_nonce_used_at']) {
      const sql = readFileSync(`node_modules/@lti-tool/mysql/drizzle/${file}.sql`, 'utf8');
      for (const statement of sql.split('--> statement-breakpoint')) await connection.query(statement);
    }
    await connection.end();
  }
  if (what === 'lti-write') {
    told.client = await theirs.addClient(given.client);
    await theirs.addDeployment(told.client, { deploymentId: 'theirs' });
    await theirs.addSession(given.session);
    await theirs.storeNonce('their nonce', new Date(Date.now() + 600000));
    await theirs.setRegistrationSession(given.registrationId, given.registration);
  }
  if (what === 'lti-read') {
    told.config = await theirs.getLaunchConfig(given.iss, given.clientId, given.deploymentId);
    told.session = await theirs.getSession(given.session);
    told.consumed = await theirs.validateNonce(given.nonce);
    told.again = await theirs.validateNonce(given.nonce);
    told.registration = await theirs.getRegistrationSession(given.registrationId);
    told.clients = (await theirs.listClients()).length;
    told.cleaned = await theirs.cleanup();
  }
  await theirs.close();
} else {
  const mysql = (await import('mysql2/promise')).default;
  const { MySQLSessionStore } = await import('@engjts/mysql-adapter');
  const pool = mysql.createPool({ uri: url, timezone: 'Z', connectionLimit: 1 });
  await pool.query("SET time_zone = '+00:00'");
  const theirs = new MySQLSessionStore({ pool });
  if (what === 'jts-write') {
    await theirs.initialize();
    const session = await theirs.createSession({ prn: 'Bob', metadata: { device: 'phone' } });
    told.aid = session.aid;
    told.proof = session.currentStateProof;
  }
  if (what === 'jts-read') {
    const session = await theirs.getSessionByAid(given.aid);
    told.prn = session.prn;
    told.expiresAt = session.expiresAt;
    const rotated = await theirs.rotateStateProof(given.aid);
    told.proof = rotated.currentStateProof;
    told.count = await theirs.countSessionsForPrincipal(session.prn);
  }
  await pool.end();
}
console.log(JSON.stringify(told));
"#;

/// The directory that the packages are installed in, or why they are not.
fn installed() -> Result<&'static Path, String> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = || {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm-originals");
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text);
        write("package.json", "{\"private\": true}")
            .and_then(|()| write("lenient.mjs", LENIENT))
            .and_then(|()| write("originals.mjs", SCRIPT))
            .map_err(|error| error.to_string())?;
        let there = directory.join("node_modules/@engjts/mysql-adapter/package.json");
        if !there.is_file() {
            let npm = std::process::Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--legacy-peer-deps"])
                .args(PACKAGES)
                .current_dir(&directory)
                .output()
                .map_err(|error| format!("npm can't be run: {error}"))?;
            if !npm.status.success() {
                return Err("npm could not install the originals".to_owned());
            }
        }
        let unpublished = directory.join("node_modules/@engjts/auth");
        std::fs::create_dir_all(&unpublished)
            .and_then(|()| {
                let exports = r#"{"type": "module", "exports": {"./adapter": "./adapter.js"}}"#;
                std::fs::write(unpublished.join("package.json"), exports)
            })
            .and_then(|()| std::fs::write(unpublished.join("adapter.js"), UNPUBLISHED))
            .map_err(|error| error.to_string())?;
        Ok(directory)
    };
    INSTALLED
        .get_or_init(install)
        .as_deref()
        .map_err(Clone::clone)
}

/// What the originals answer.
async fn theirs(database: &Database, what: &str, given: &Value) -> Result<Value, String> {
    let config = database.config();
    let driver = &config.driver;
    let url = format!(
        "mysql://{}:{}@{}:{}/{}",
        driver.user().unwrap_or_default(),
        driver.pass().unwrap_or_default(),
        driver.ip_or_hostname(),
        driver.tcp_port(),
        database.name
    );
    let output = Command::new("node")
        .args([
            "--import",
            "./lenient.mjs",
            "originals.mjs",
            what,
            &url,
            &given.to_string(),
        ])
        .current_dir(installed()?)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("node can't be run: {error}"))?;
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {failed}");
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

async fn lti_tool_mysql_and_the_store_read_each_other(server: Server) -> Outcome {
    installed()?;
    for made_by_them in [true, false] {
        let database = server.database().await;
        let store = database.open(Settings::default());
        if made_by_them {
            theirs(&database, "lti-migrate", &Value::Null).await?;
            assert_eq!(store.bootstrap().await.unwrap().adopted.len(), 5);
        } else {
            store.bootstrap().await.unwrap();
        }
        let make = Fixtures::new("npm");
        let session = make.lti_session(1);
        let registration = make.registration(
            1,
            "4102444800000"
                .parse::<i64>()
                .map(store_core::Timestamp::from_unix_millis)
                .unwrap(),
        );
        let registration_id = uuid::Uuid::from_u128(7);
        let given = json!({
            "client": make.client(1), "session": session, "registrationId": registration_id,
            "registration": registration,
        });
        let told = theirs(&database, "lti-write", &given).await?;
        let client = store
            .get_client(told["client"].as_str().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(client.client.iss, make.client(1).iss);
        assert_eq!(client.deployments[0].deployment_id.as_str(), "theirs");
        let read = store
            .get_lti_session(&session.id.to_string())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.value, session);
        assert!(store.consume_nonce("their nonce").await.unwrap());
        let taken = store
            .take_registration_session(&registration_id.to_string())
            .await;
        assert_eq!(taken.unwrap().unwrap(), registration);

        let ours = make.lti_session(2);
        let config = make.launch_config(3);
        store.save_launch_config(&config).await.unwrap();
        store.add_lti_session(&ours, None).await.unwrap();
        store
            .store_nonce(&"our nonce".parse().unwrap(), None)
            .await
            .unwrap();
        store
            .set_registration_session(registration_id, &registration)
            .await
            .unwrap();
        let given = json!({
            "iss": config.iss, "clientId": config.client_id, "deploymentId": config.deployment_id,
            "session": ours.id, "nonce": "our nonce", "registrationId": registration_id,
        });
        let told = theirs(&database, "lti-read", &given).await?;
        assert_eq!(told["config"], serde_json::to_value(&config).unwrap());
        assert_eq!(told["consumed"], json!(true));
        assert_eq!(told["again"], json!(false));
        assert_eq!(told["clients"], json!(2));
        assert_eq!(told["cleaned"]["sessionsDeleted"], json!(0));
        // On MariaDB, whose JSON is text, the original hands out text.
        if server.product.name == "mysql" {
            assert_eq!(told["session"], serde_json::to_value(&ours).unwrap());
            assert_eq!(
                told["registration"],
                serde_json::to_value(&registration).unwrap()
            );
        }
        database.drop().await;
    }
    Ok(())
}

async fn engjts_mysql_adapter_and_the_store_read_each_other(server: Server) -> Outcome {
    installed()?;
    for made_by_them in [true, false] {
        let database = server.database().await;
        let store = database.open(Settings::default());
        if !made_by_them {
            store.bootstrap().await.unwrap();
        }
        let told = theirs(&database, "jts-write", &Value::Null).await?;
        if made_by_them {
            assert_eq!(store.bootstrap().await.unwrap().adopted, ["jts_sessions"]);
        }
        let aid = told["aid"].as_str().unwrap();
        let session = store.get_jts_session(aid).await.unwrap().unwrap();
        assert_eq!(session.prn.as_str(), "Bob");
        let metadata: Value = session.metadata.unwrap().to().unwrap();
        assert_eq!(metadata, json!({"device": "phone"}));
        let proof = told["proof"].as_str().unwrap();
        let renewed = store.renew_state_proof(proof).await.unwrap();
        assert!(matches!(renewed, Renewal::Rotated(_)), "{renewed:?}");

        let new = NewJtsSession::of("alice".parse().unwrap());
        let ours = store
            .create_jts_session(new, SessionPolicy::Single)
            .await
            .unwrap()
            .session;
        let given = json!({ "aid": ours.aid });
        let told = theirs(&database, "jts-read", &given).await?;
        assert_eq!(told["prn"], json!("alice"));
        assert_eq!(
            told["expiresAt"],
            serde_json::to_value(ours.expires_at).unwrap()
        );
        assert_eq!(told["count"], json!(1));
        let renewed = store
            .renew_state_proof(told["proof"].as_str().unwrap())
            .await
            .unwrap();
        assert!(matches!(renewed, Renewal::Rotated(_)), "{renewed:?}");
        database.drop().await;
    }
    Ok(())
}
