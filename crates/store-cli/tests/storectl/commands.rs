//! Every command on every server.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use store::{ManualClock, NewJtsSession, SessionPolicy, Settings, SystemClock, Timestamp};

use crate::on_each;
use crate::support::{Place, Server};

pub(crate) fn trials() -> Vec<Trial> {
    let each = |name, run| on_each(&Server::ALL, name, run);
    [
        each("bootstrap, status and health", bootstrapping),
        each("clients and deployments", clients),
        each("sessions", sessions),
        each("cleanup", cleanup),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bootstrapping(server: Server) {
    let place = Place::new(server);
    place
        .run(&["status"])
        .said(3, &["pending", "run `storectl bootstrap`"]);
    let run = place.run(&["status", "--json"]);
    assert_eq!(
        (run.code, &run.json()["current"]),
        (3, &false.into()),
        "{run:?}"
    );
    place
        .run(&["bootstrap", "--dry-run"])
        .said(0, &["would apply 0001_", "missing"]);
    let pending = place.json(&["bootstrap", "--dry-run"]);
    place.run(&["status"]).said(3, &[]);

    let report = place.json(&["bootstrap"]);
    assert_eq!(report["applied"], pending["would_apply"]);
    place.run(&["bootstrap"]).said(0, &["nothing was missing"]);
    place
        .run(&["bootstrap", "--dry-run"])
        .said(0, &["nothing is missing"]);
    place.run(&["status"]).said(0, &["applied", "current"]);
    let status = place.json(&["status"]);
    assert_eq!(status["current"], true);
    assert!(status["migrations"][0]["applied_at"].is_string());

    place.run(&["health"]).said(0, &["answers in"]);
    let health = place.json(&["health"]);
    assert!(health["server"].is_string() && health["latency_ms"].as_f64().unwrap() > 0.0);
    assert!(!place.run(&["bootstrap", "--print"]).out.is_empty());
}

const CANVAS: [&str; 14] = [
    "clients",
    "add",
    "--name=Canvas",
    "--iss=https://canvas.example",
    "--client-id=10000000000001",
    "--auth-url=https://canvas.example/auth",
    "--token-url=https://canvas.example/token",
    "--jwks-url=https://canvas.example/jwks",
    "--deployment",
    "1:abc",
    "--deployment",
    "default",
    "--timeout",
    "1m",
];

fn clients(server: Server) {
    let place = Place::bootstrapped(server);
    place
        .run(&["clients", "list"])
        .said(0, &["`storectl clients add`"]);
    let added = place.json(&CANVAS);
    let id = added["client"]["id"].as_str().unwrap();
    assert_eq!(added["client"]["deployments"].as_array().unwrap().len(), 2);
    place
        .run(&CANVAS)
        .said(1, &["already exists", "clients update"]);
    place
        .run(&["clients", "list"])
        .said(0, &[id, "Canvas", "10000000000001"]);
    assert_eq!(place.json(&["clients", "list"])["clients"][0]["id"], id);
    let update = ["clients", "update", id, "--name", "Canvas 2"];
    place
        .run(&update)
        .said(0, &["Canvas 2", "https://canvas.example/jwks", "1:abc"]);
    place.run(&["clients", "update", id]).said(2, &["--name"]);
    let bad = ["clients", "update", id, "--jwks-url", "ftp://x"];
    place
        .run(&bad)
        .said(2, &["must be an absolute http or https URL"]);

    place
        .run(&["deployments", "add", id, "2", "--name", "Two"])
        .said(0, &["Two"]);
    place
        .run(&["deployments", "add", id, "2"])
        .said(1, &["already exists", "deployments list"]);
    place
        .run(&["deployments", "list", id])
        .said(0, &["1:abc", "default", "Two"]);
    let listed = place.json(&["deployments", "list", id]);
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 3);
    place
        .run(&["deployments", "remove", id, "2"])
        .said(2, &["--yes"]);
    place
        .run(&["deployments", "remove", id, "2", "--yes"])
        .said(0, &["removed"]);
    place
        .run(&["deployments", "remove", id, "2", "-y"])
        .said(1, &["has no deployment 2"]);
    place
        .run(&["clients", "show", id])
        .said(0, &["auth url", "1:abc"]);

    place
        .run(&["clients", "remove", id])
        .said(2, &["with 2 deployments", "--yes"]);
    assert_eq!(
        place.json(&["clients", "remove", id, "--yes"])["removed"],
        id
    );
    for command in [
        &["clients", "show", id][..],
        &["clients", "remove", id, "--yes"],
        &["clients", "update", id, "--name", "x"],
        &["deployments", "list", id],
        &["deployments", "add", id, "3"],
    ] {
        place
            .run(command)
            .said(1, &["there is no client", "clients list"]);
    }
    let run = place.run(&["clients", "show", "nonsense", "--json"]);
    assert_eq!(run.json()["error"]["kind"], "not_found");
}

fn sessions(server: Server) {
    let place = Place::bootstrapped(server);
    let store = place.store(Settings::default());
    let mut proofs = Vec::new();
    place.runtime.block_on(async {
        for agent in ["Firefox", "curl\u{1b}[31m", "Safari"] {
            let mut new = NewJtsSession::of("alice".parse().unwrap());
            new.user_agent = Some(agent.parse().unwrap());
            let created = store
                .create_jts_session(new, SessionPolicy::AllowAll)
                .await
                .unwrap();
            proofs.push(created.session.current_state_proof.as_str().to_owned());
        }
    });
    let list = ["sessions", "list", "--principal", "alice"];
    let run = place.run(&list);
    run.said(0, &["Firefox", "curl\\u{1b}[31m", "aid_"]);
    let listed = place.json(&list);
    for proof in &proofs {
        run.keeps(proof);
        assert!(!listed.to_string().contains(proof));
    }
    let aid = listed["sessions"][0]["aid"].as_str().unwrap();
    place
        .run(&["sessions", "revoke", "--aid", aid])
        .said(2, &["of alice?", "--yes"]);
    assert_eq!(
        place.json(&["sessions", "revoke", "--aid", aid, "--yes"])["revoked"],
        1
    );
    place
        .run(&["sessions", "revoke", "--aid", aid, "-y"])
        .said(1, &["no live session"]);
    let all = ["sessions", "revoke", "--principal", "alice"];
    place
        .run(&all)
        .said(2, &["Revoke 2 sessions of alice?", "--yes"]);
    assert_eq!(place.json(&[&all[..], &["--yes"]].concat())["revoked"], 2);
    place.run(&list).said(0, &["no live session"]);
    place.runtime.block_on(store.close());
}

fn cleanup(server: Server) {
    let place = Place::bootstrapped(server);
    let now = Timestamp::from(std::time::SystemTime::now());
    let earlier = ManualClock::at(Timestamp::from_unix_millis(now.unix_millis() - 86_400_000));
    let store = place.store(Settings {
        clock: Arc::new(earlier),
        ..Settings::default()
    });
    place.runtime.block_on(async {
        let minute = Some(Duration::from_secs(60));
        for number in 0..7 {
            let nonce = format!("nonce-{number}").parse().unwrap();
            store.store_nonce(&nonce, minute).await.unwrap();
        }
    });
    let live = place.store(Settings {
        clock: Arc::new(SystemClock),
        ..Settings::default()
    });
    place.runtime.block_on(async {
        live.store_nonce(&"alive".parse().unwrap(), None)
            .await
            .unwrap();
    });
    let run = place.run(&["cleanup", "--budget", "0s"]);
    run.said(3, &["the budget ran out: run it again"]);
    let run = place.run(&[
        "cleanup", "--kind", "nonces", "--batch", "2", "--pause", "5ms",
    ]);
    // Adding a row may have reaped a few that had expired.
    run.said(0, &["nothing expired is left"]);
    run.keeps("nonce-");
    assert!(place.run(&["cleanup", "--quiet"]).err.is_empty());
    let report = place.json(&["cleanup"]);
    assert_eq!(
        (&report["ended"], &report["total"]),
        (&"finished".into(), &0.into())
    );
    assert!(place.runtime.block_on(live.consume_nonce("alive")).unwrap());
}
