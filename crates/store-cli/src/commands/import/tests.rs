use store::memory::MemoryStore;
use store::{
    ClientStore, ClientUpdate, DeploymentStore, JtsSessionStore, LoginData, LoginSessionId,
    LoginSessionStore, NewClient, NewDeployment, NewJtsSession, NonceStore, SessionPolicy,
    Settings,
};

use super::*;

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

fn args() -> Args {
    Args {
        from: None,
        from_file: None,
        kind: Vec::new(),
        concurrency: 4,
        page: 2,
        dry_run: false,
        no_verify: false,
        replace: false,
        yes: false,
    }
}

fn memory() -> MemoryStore {
    MemoryStore::new(Settings::default())
}

async fn filled() -> MemoryStore {
    let store = memory();
    for number in 0..3 {
        let url = || "https://lms.example/x".parse().unwrap();
        let client = NewClient {
            name: "LMS".parse().unwrap(),
            iss: "https://lms.example".parse().unwrap(),
            client_id: format!("client-{number}").parse().unwrap(),
            auth_url: url(),
            token_url: url(),
            jwks_url: url(),
        };
        let id = store.add_client(client).await.unwrap().id.to_string();
        let deployment = NewDeployment {
            deployment_id: "default".parse().unwrap(),
            name: None,
            description: None,
        };
        store.add_deployment(&id, deployment).await.unwrap();
        let nonce = format!("nonce-{number}").parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();
        let new = NewJtsSession::of("alice".parse().unwrap());
        let created = store
            .create_jts_session(new, SessionPolicy::AllowAll)
            .await
            .unwrap();
        let proof = created.session.current_state_proof;
        store.renew_state_proof(proof.as_str()).await.unwrap();
        let id = LoginSessionId::new(format!("login-{number}")).unwrap();
        store
            .create_login_session(&id, LoginData::new(), HOUR)
            .await
            .unwrap();
    }
    store
}

async fn moved(source: &MemoryStore, target: &MemoryStore, args: &Args) -> Answer {
    let import = import(source, target, args, true, &Interrupt::never())
        .await
        .unwrap();
    let place = |name: &str| Place::new(&format!("postgres://{name}/db")).unwrap();
    import.answer(&place("a"), &place("b"), args.dry_run)
}

#[tokio::test]
async fn everything_is_moved_and_a_second_run_finds_it_there() {
    let (source, target) = (filled().await, memory());
    let dry = Args {
        dry_run: true,
        ..args()
    };
    let answer = moved(&source, &target, &dry).await;
    assert_eq!(answer.exit, Exit::Done);
    assert_eq!(answer.document()["kinds"]["clients"]["missing"], 3);
    assert!(target.list_clients().await.unwrap().is_empty());

    let answer = moved(&source, &target, &args()).await;
    assert_eq!(answer.exit, Exit::Done, "{}", answer.text());
    for kind in ["clients", "nonces", "jts_sessions", "login_sessions"] {
        let counts = &answer.document()["kinds"][kind];
        assert_eq!(
            (&counts["added"], &counts["verified"]),
            (&3.into(), &3.into()),
            "{kind}"
        );
    }
    let answer = moved(&source, &target, &args()).await;
    assert_eq!(answer.document()["kinds"]["jts_sessions"]["present"], 3);
    assert_eq!(answer.document()["complete"], true);
    for secret in ["nonce-", "login-", "sp_"] {
        assert!(!format!("{}{}", answer.text(), answer.document()).contains(secret));
    }
}

/// Changes one record of each kind in the target.
async fn disturb(target: &MemoryStore) {
    let client = target.list_clients().await.unwrap()[0].id.to_string();
    let update = ClientUpdate {
        name: Some("renamed".parse().unwrap()),
        ..ClientUpdate::default()
    };
    target.update_client(&client, update).await.unwrap();
    let session = &target.list_jts_sessions("alice").await.unwrap()[0];
    let proof = session.current_state_proof.as_str();
    target
        .rotate_state_proof(session.aid.as_str(), proof)
        .await
        .unwrap();
    assert!(target.consume_nonce("nonce-1").await.unwrap());
    let properties = LoginData::from_iter([("a".to_owned(), 1.into())]);
    target
        .set_login_properties("login-2", properties, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_differs_is_told_and_replaced_only_when_asked() {
    let (source, target) = (filled().await, memory());
    moved(&source, &target, &args()).await;
    disturb(&target).await;

    let answer = moved(&source, &target, &args()).await;
    assert_eq!(answer.exit, Exit::Incomplete);
    for kind in ["clients", "nonces", "jts_sessions", "login_sessions"] {
        assert_eq!(answer.document()["kinds"][kind]["differs"], 1, "{kind}");
    }
    assert!(
        answer
            .text()
            .contains("clients: differs: https://lms.example client-0")
    );

    let replacing = Args {
        replace: true,
        ..args()
    };
    let answer = moved(&source, &target, &replacing).await;
    let kinds = &answer.document()["kinds"];
    for kind in ["clients", "jts_sessions", "login_sessions"] {
        assert_eq!(kinds[kind]["replaced"], 1, "{kind}");
        assert_eq!(kinds[kind]["differs"], 0, "{kind}");
    }
    assert_eq!(
        kinds["nonces"]["differs"], 1,
        "a consumed nonce stays consumed"
    );
    assert_eq!(answer.exit, Exit::Incomplete);
}

#[tokio::test]
async fn a_nonce_that_was_consumed_since_is_made_good() {
    let (source, target) = (filled().await, memory());
    moved(&source, &target, &args()).await;
    assert!(source.consume_nonce("nonce-1").await.unwrap());
    let replacing = Args {
        replace: true,
        ..args()
    };
    let answer = moved(&source, &target, &replacing).await;
    assert_eq!(answer.exit, Exit::Done);
    assert_eq!(answer.document()["kinds"]["nonces"]["replaced"], 1);
    assert!(!target.consume_nonce("nonce-1").await.unwrap());
}

#[tokio::test]
async fn a_target_that_has_more_is_fine_and_one_that_lost_some_is_not() {
    let (source, target) = (filled().await, filled().await);
    let clients = Args {
        kind: vec![Kind::JtsSessions],
        ..args()
    };
    assert_eq!(moved(&source, &target, &clients).await.exit, Exit::Done);
    let compared = verify::compare(
        &source,
        &memory(),
        RecordKind::JtsSessions,
        2,
        &mut Progress::new("test", true),
        &Interrupt::never(),
    )
    .await;
    let compared = compared.unwrap().unwrap();
    assert_eq!((compared.same, compared.missing), (0, 3));
}

#[tokio::test]
async fn an_interrupt_stops_between_pages() {
    let (source, target) = (filled().await, memory());
    let import = import(&source, &target, &args(), true, &Interrupt::already()).await;
    let import = import.unwrap();
    assert_eq!(import.signal, Some(2));
    assert_eq!(target.list_clients().await.unwrap().len(), 2, "one page");
}
