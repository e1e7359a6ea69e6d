//! Moving everything from server to server.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};
use store::{
    Json, LoginSessionId, LtiSession, NewClient, NewDeployment, NewJtsSession, RecordKind,
    RegistrationSession, SessionPolicy, Settings, Store, Timestamp,
};
use uuid::Uuid;

use crate::on;
use crate::support::{Place, Run, Server};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for sql in [Server::MySql, Server::MariaDb] {
        for dynamo in [Server::Emulator, Server::DynamoDbLocal] {
            let name = format!(
                "import postgres, {}, {}, postgres",
                sql.name(),
                dynamo.name()
            );
            let needs = vec![Server::Postgres, sql, dynamo];
            trials.push(on(name, needs, move || round_trip(sql, dynamo)));
        }
    }
    for (from, to) in [
        (Server::Postgres, Server::MariaDb),
        (Server::MariaDb, Server::Postgres),
        (Server::MySql, Server::Postgres),
        (Server::Postgres, Server::Emulator),
    ] {
        let name = |what| format!("import {} to {} {what}", from.name(), to.name());
        let needs = || vec![from, to];
        trials.push(on(name("killed and resumed"), needs(), move || {
            killed(from, to)
        }));
        trials.push(on(name("interrupted and resumed"), needs(), move || {
            stopped(from, to)
        }));
        trials.push(on(name("differing and replaced"), needs(), move || {
            differing(from, to)
        }));
        trials.push(on(name("misconfigured"), needs(), move || {
            misconfigured(from, to)
        }));
    }
    trials
}

const HOUR: Duration = Duration::from_secs(3600);

/// What no output may hold, besides proofs.
const SECRETS: [&str; 3] = ["secret-nonce", "secret-login", "secret-data"];

/// A store with a few records of every kind.
async fn fill(store: &dyn Store) {
    for number in 0..3 {
        let url = || "https://lms.example/x".parse().unwrap();
        let client = NewClient {
            name: "Übung 🔑".parse().unwrap(),
            iss: "https://lms.example".parse().unwrap(),
            client_id: format!("client-{number}").parse().unwrap(),
            auth_url: url(),
            token_url: url(),
            jwks_url: url(),
        };
        let id = store.add_client(client).await.unwrap().id.to_string();
        for deployment in 0..number {
            let deployment = NewDeployment {
                deployment_id: format!("{deployment}").parse().unwrap(),
                name: Some("".parse().unwrap()),
                description: None,
            };
            store.add_deployment(&id, deployment).await.unwrap();
        }
        store.add_lti_session(&lti_session(), None).await.unwrap();
        let nonce = format!("secret-nonce-{number}");
        store
            .store_nonce(&nonce.parse().unwrap(), None)
            .await
            .unwrap();
        let session = RegistrationSession {
            open_id_configuration: Map::from_iter([("issuer".to_owned(), json!("x"))]),
            registration_token: Some("secret-data".to_owned()),
            expires_at: in_an_hour(),
            extra: Map::new(),
        };
        store
            .set_registration_session(Uuid::new_v4(), &session)
            .await
            .unwrap();
        let mut new = NewJtsSession::of("alice".parse().unwrap());
        new.metadata = Some(Json::new(&json!({ "a": "secret-data" })).unwrap());
        let created = store
            .create_jts_session(new, SessionPolicy::AllowAll)
            .await
            .unwrap();
        let mut proof = created.session.current_state_proof;
        for _ in 0..number {
            let aid = created.session.aid.as_str();
            let rotated = store.rotate_state_proof(aid, proof.as_str()).await.unwrap();
            proof = rotated.current_state_proof;
        }
        let id = LoginSessionId::new(format!("secret-login-{number}")).unwrap();
        let data = Map::from_iter([("token".to_owned(), json!("secret-data"))]);
        store.create_login_session(&id, data, HOUR).await.unwrap();
    }
    assert!(store.consume_nonce("secret-nonce-1").await.unwrap());
}

fn in_an_hour() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
        .checked_add(HOUR)
        .unwrap()
}

fn lti_session() -> LtiSession {
    let session = json!({
        "id": Uuid::new_v4(),
        "jwtPayload": { "sub": "secret-data", "n": [1, 1.5, -3, null, true] },
        "user": { "id": "u", "roles": ["learner"] },
        "context": { "id": "c", "label": "C", "title": "Course" },
        "platform": { "issuer": "i", "clientId": "c", "deploymentId": "d", "name": "p" },
        "launch": { "target": "https://tool.example" },
        "customParameters": { "a": "b" },
        "isAdmin": false,
        "isInstructor": false,
        "isStudent": true,
        "isAssignmentAndGradesAvailable": false,
        "isDeepLinkingAvailable": false,
        "isNameAndRolesAvailable": false,
        "somethingNew": { "kept": true },
    });
    serde_json::from_value(session).unwrap()
}

fn import(from: &Place, to: &Place, arguments: &[&str]) -> Run {
    let mut command = to.command(&[&["import"], arguments].concat());
    let run = Run::of(command.env("STORE_FROM_URL", &from.url));
    run.keeps(&from.password);
    run.keeps(&to.password);
    for secret in SECRETS {
        run.keeps(secret);
    }
    run.keeps("sp_");
    run
}

fn with_store<T>(place: &Place, work: impl AsyncFnOnce(&dyn Store) -> T) -> T {
    let store: Arc<dyn Store> = place.store(Settings::default());
    place.runtime.block_on(async {
        let done = work(&*store).await;
        store.close().await;
        done
    })
}

/// All that a store holds, kind by kind, in an order that doesn't depend on the store.
async fn everything(store: &dyn Store) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for kind in RecordKind::ALL {
        let page = store.export_records(kind, None, 1_000).await.unwrap();
        let mut shown: Vec<String> = page
            .records
            .iter()
            .map(|record| match record {
                store::Record::JtsSession(stored) => format!(
                    "{} {:?}",
                    serde_json::to_value(&stored.session).unwrap(),
                    stored.retired_proofs
                ),
                store::Record::LoginSession(session) => {
                    serde_json::to_value(session).unwrap().to_string()
                }
                store::Record::Session(session) => {
                    format!(
                        "{} {}",
                        serde_json::to_value(&session.value).unwrap(),
                        session.expires_at
                    )
                }
                store::Record::RegistrationSession(id, session) => {
                    format!("{id} {}", serde_json::to_value(session).unwrap())
                }
                store::Record::Nonce(nonce) => {
                    format!(
                        "{} {} {}",
                        nonce.nonce.as_str(),
                        nonce.consumed,
                        nonce.expires_at
                    )
                }
                store::Record::Client(client) => serde_json::to_value(client).unwrap().to_string(),
            })
            .collect();
        shown.sort();
        all.push(shown);
    }
    all
}

fn round_trip(sql: Server, dynamo: Server) {
    let first = Place::bootstrapped(Server::Postgres);
    with_store(&first, async |store| fill(store).await);
    let before = with_store(&first, async |store| everything(store).await);
    let mut stops = vec![first];
    for server in [sql, dynamo, Server::Postgres] {
        let from = stops.last().unwrap();
        let to = Place::bootstrapped(server);
        let run = import(from, &to, &["--dry-run", "--json"]);
        run.said(0, &[]);
        assert_eq!(run.json()["kinds"]["jts_sessions"]["missing"], 3);
        let run = import(from, &to, &["--page", "2"]);
        run.said(
            0,
            &[
                "all that the source holds is in the target",
                "jts_sessions: 3 read",
            ],
        );
        let run = import(from, &to, &["--json"]);
        run.said(0, &[]);
        let report = run.json();
        assert_eq!(report["complete"], true);
        for kind in RecordKind::ALL {
            let counts = &report["kinds"][kind.as_str()];
            assert_eq!(counts["present"], 3, "{server:?} {kind}: {report}");
            assert_eq!(counts["verified"], 3, "{server:?} {kind}: {report}");
            assert_eq!(counts["added"], 0, "{server:?} {kind}: {report}");
        }
        stops.push(to);
    }
    let after = with_store(stops.last().unwrap(), async |store| everything(store).await);
    assert_eq!(before, after);
}

/// A source with so many nonces that importing them takes a while.
fn many(server: Server, number: u32) -> Place {
    let place = Place::bootstrapped(server);
    with_store(&place, async |store| {
        for nonce in 0..number {
            let nonce = format!("secret-nonce-{nonce}").parse().unwrap();
            store.store_nonce(&nonce, Some(HOUR)).await.unwrap();
        }
    });
    place
}

const MANY: u32 = 600;

/// An import of [`many`] that is under way: some nonces have arrived.
fn under_way(from: &Place, to: &Place) -> Child {
    let arguments = ["import", "--page", "20", "--concurrency", "1", "--json"];
    let child = to
        .command(&arguments)
        .env("STORE_FROM_URL", &from.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    with_store(to, async |store| {
        loop {
            let page = store
                .export_records(RecordKind::Nonces, None, 10)
                .await
                .unwrap();
            if !page.records.is_empty() {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "nothing arrives");
        }
    });
    child
}

fn resumed(from: &Place, to: &Place) {
    let run = import(from, to, &["--json"]);
    run.said(0, &[]);
    let nonces = &run.json()["kinds"]["nonces"];
    let number = |name: &str| nonces[name].as_u64().unwrap();
    assert!(number("present") > 0 && number("added") > 0, "{nonces}");
    assert_eq!(number("present") + number("added"), u64::from(MANY));
    assert_eq!(number("verified"), u64::from(MANY));
}

fn killed(from: Server, to: Server) {
    let (from, to) = (many(from, MANY), Place::bootstrapped(to));
    let mut child = under_way(&from, &to);
    child.kill().unwrap();
    assert!(
        child.wait().unwrap().code().is_none(),
        "it was over already"
    );
    resumed(&from, &to);
}

fn stopped(from: Server, to: Server) {
    let (from, to) = (many(from, MANY), Place::bootstrapped(to));
    let child = under_way(&from, &to);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{run:?}");
    let report = run.json();
    assert_eq!(
        (&report["ended"], &report["complete"]),
        (&"interrupted".into(), &false.into())
    );
    assert!(report["kinds"]["nonces"]["added"].as_u64().unwrap() > 0);
    resumed(&from, &to);
}

fn differing(from: Server, to: Server) {
    let (from, to) = (Place::bootstrapped(from), Place::bootstrapped(to));
    with_store(&from, async |store| fill(store).await);
    import(&from, &to, &[]).said(0, &[]);
    with_store(&to, async |store| {
        let client = store.list_clients().await.unwrap().pop().unwrap();
        let update = store::ClientUpdate {
            name: Some("renamed".parse().unwrap()),
            ..store::ClientUpdate::default()
        };
        store
            .update_client(&client.id.to_string(), update)
            .await
            .unwrap();
        let session = store
            .list_jts_sessions("alice")
            .await
            .unwrap()
            .pop()
            .unwrap();
        let proof = session.current_state_proof.as_str();
        store
            .rotate_state_proof(session.aid.as_str(), proof)
            .await
            .unwrap();
        let changed = Map::from_iter([("a".to_owned(), json!(1))]);
        store
            .set_login_properties("secret-login-0", changed, None)
            .await
            .unwrap();
    });
    with_store(&from, async |store| {
        assert!(store.consume_nonce("secret-nonce-0").await.unwrap());
    });
    let differ = |report: &Value| {
        RecordKind::ALL.map(|kind| report["kinds"][kind.as_str()]["differs"].as_u64().unwrap())
    };
    let run = import(&from, &to, &["--json"]);
    assert_eq!(
        (run.code, differ(&run.json())),
        (3, [1, 0, 1, 0, 1, 1]),
        "{run:?}"
    );
    let run = import(&from, &to, &["--dry-run"]);
    run.said(3, &["clients: differs: https://lms.example client-2"]);
    import(&from, &to, &["--replace"]).said(2, &["--yes"]);
    let run = import(&from, &to, &["--replace", "--yes", "--json"]);
    assert_eq!((run.code, differ(&run.json())), (0, [0; 6]), "{run:?}");
    assert_eq!(run.json()["kinds"]["clients"]["replaced"], 1);
    let both = [&from, &to].map(|place| with_store(place, async |store| everything(store).await));
    assert_eq!(both[0], both[1]);
}

fn misconfigured(from: Server, to: Server) {
    let (from, to) = (Place::bootstrapped(from), Place::new(to));
    // The one that fails is named.
    let run = import(&from, &to, &[]);
    run.said(
        1,
        &[
            "schema missing",
            &format!("store: {}", shown(&to)),
            "storectl bootstrap",
        ],
    );
    let mut unreachable = to.command(&["import"]);
    unreachable.env("STORE_FROM_URL", "postgres://u:hunter2@127.0.0.1:1/db");
    let run = Run::of(&mut unreachable);
    run.said(
        1,
        &["store: postgres://u@127.0.0.1:1/db", "Connection refused"],
    );
    run.keeps("hunter2");
}

/// The part of a URL that may be shown in any case.
fn shown(place: &Place) -> String {
    place
        .url
        .split(&format!(":{}", place.password))
        .next()
        .unwrap()
        .to_owned()
}
