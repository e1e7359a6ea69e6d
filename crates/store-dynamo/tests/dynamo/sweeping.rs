//! Deletions of more than one transaction holds, interrupted and not.

use std::time::Duration;

use store_core::{
    CleanupKind, CleanupStore, ClientStore, DeploymentStore, ErrorKind, JtsSessionStore,
    LaunchConfigStore, NewClient, NewDeployment, NewJtsSession, SessionPolicy, Settings,
};
use store_dynamo::DynamoStore;

use crate::items::all_items;
use crate::support::{Place, Server};
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[
    everywhere("a_client_with_500_deployments_goes_whole", |server| {
        Box::pin(a_client_with_500_deployments_goes_whole(server))
    }),
    everywhere(
        "an_interrupted_deletion_of_a_client_is_finished",
        |server| Box::pin(an_interrupted_deletion_of_a_client_is_finished(server)),
    ),
    everywhere("a_renamed_client_keeps_its_deployments_apart", |server| {
        Box::pin(a_renamed_client_keeps_its_deployments_apart(server))
    }),
    everywhere("a_principal_with_1000_sessions_goes_whole", |server| {
        Box::pin(a_principal_with_1000_sessions_goes_whole(server))
    }),
    everywhere("a_policy_revokes_more_than_a_transaction_holds", |server| {
        Box::pin(a_policy_revokes_more_than_a_transaction_holds(server))
    }),
    everywhere(
        "an_interrupted_deletion_of_sessions_is_finished",
        |server| Box::pin(an_interrupted_deletion_of_sessions_is_finished(server)),
    ),
];

fn client(n: u32) -> NewClient {
    NewClient {
        name: "LMS".parse().unwrap(),
        iss: format!("https://lms{n}.example").parse().unwrap(),
        client_id: "tool".parse().unwrap(),
        auth_url: "https://lms.example/auth".parse().unwrap(),
        token_url: "https://lms.example/token".parse().unwrap(),
        jwks_url: "https://lms.example/jwks".parse().unwrap(),
    }
}

async fn client_with(store: &DynamoStore, deployments: u32) -> String {
    let id = store.add_client(client(1)).await.unwrap().id.to_string();
    let numbers: Vec<u32> = (0..deployments).collect();
    for some in numbers.chunks(20) {
        let adds = some.iter().map(|n| {
            let new = NewDeployment {
                deployment_id: format!("deployment-{n}").parse().unwrap(),
                name: None,
                description: None,
            };
            store.add_deployment(&id, new)
        });
        for added in futures_util::future::join_all(adds).await {
            added.unwrap();
        }
    }
    id
}

/// How many items there are besides the record of migrations.
async fn items(place: &Place) -> usize {
    let items = all_items(place).await;
    let others = items
        .iter()
        .filter(|item| item["pk"].as_s().unwrap() != "MIGRATIONS");
    others.count()
}

async fn a_client_with_500_deployments_goes_whole(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let id = client_with(&store, 500).await;
    let found = store.get_client(&id).await.unwrap().unwrap();
    assert_eq!(found.deployments.len(), 500);
    assert!(store.delete_client(&id).await.unwrap());
    assert!(!store.delete_client(&id).await.unwrap());
    assert_eq!(items(&place).await, 0, "nothing is left behind");
    place.remove().await;
}

async fn an_interrupted_deletion_of_a_client_is_finished(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let id = client_with(&store, 60).await;
    let deployment = store.list_deployments(&id).await.unwrap()[0].clone();
    // The process stops as soon as the client is gone.
    let deletion = store.delete_client(&id);
    tokio::pin!(deletion);
    while store.get_client(&id).await.unwrap().is_some() {
        let _ = tokio::time::timeout(Duration::from_millis(1), deletion.as_mut()).await;
    }
    assert!(items(&place).await > 60, "it was interrupted");
    // Nobody sees what is left.
    assert!(store.list_clients().await.unwrap().is_empty());
    let of_gone = store.list_deployments(&id).await.unwrap_err();
    assert_eq!(of_gone.kind(), ErrorKind::NotFound);
    let leftover = deployment.id.to_string();
    assert_eq!(store.get_deployment(&id, &leftover).await.unwrap(), None);
    assert!(!store.delete_deployment(&id, &leftover).await.unwrap());
    // Nor does who registers again meet it.
    let again = store.add_client(client(1)).await.unwrap().id.to_string();
    let (iss, deployment_id) = ("https://lms1.example", deployment.deployment_id.as_str());
    let launch = store.get_launch_config(iss, "tool", deployment_id).await;
    assert_eq!(launch.unwrap(), None);
    let new = NewDeployment {
        deployment_id: deployment.deployment_id.clone(),
        name: None,
        description: None,
    };
    store.add_deployment(&again, new).await.unwrap();
    // Cleanup finishes it, and leaves what is new.
    store
        .delete_expired(CleanupKind::Sessions, 10)
        .await
        .unwrap();
    let launch = store.get_launch_config(iss, "tool", deployment_id).await;
    assert!(launch.unwrap().is_some());
    assert_eq!(items(&place).await, 5, "a client and its deployment");
    place.remove().await;
}

async fn a_renamed_client_keeps_its_deployments_apart(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let first = client_with(&store, 1).await;
    let update = store_core::ClientUpdate {
        client_id: Some("renamed".parse().unwrap()),
        ..Default::default()
    };
    store.update_client(&first, update).await.unwrap();
    let second = client_with(&store, 1).await;
    let iss = "https://lms1.example";
    for client_id in ["renamed", "tool"] {
        let launch = store
            .get_launch_config(iss, client_id, "deployment-0")
            .await;
        assert_eq!(launch.unwrap().unwrap().client_id.as_str(), client_id);
    }
    assert!(store.delete_client(&first).await.unwrap());
    let launch = store
        .get_launch_config(iss, "renamed", "deployment-0")
        .await;
    assert_eq!(launch.unwrap(), None);
    let launch = store.get_launch_config(iss, "tool", "deployment-0").await;
    assert!(launch.unwrap().is_some());
    assert!(store.delete_client(&second).await.unwrap());
    assert_eq!(items(&place).await, 0, "nothing is left behind");
    place.remove().await;
}

async fn sessions(store: &DynamoStore, prn: &str, count: usize) {
    for _ in 0..count.div_ceil(10) {
        let creations = (0..10).map(|_| {
            let new = NewJtsSession::of(prn.parse().unwrap());
            store.create_jts_session(new, SessionPolicy::AllowAll)
        });
        for created in futures_util::future::join_all(creations).await {
            created.unwrap();
        }
    }
}

async fn a_principal_with_1000_sessions_goes_whole(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    sessions(&store, "alice", 1_000).await;
    sessions(&store, "bob", 10).await;
    assert_eq!(store.count_jts_sessions("alice").await.unwrap(), 1_000);
    assert_eq!(store.delete_jts_sessions("alice").await.unwrap(), 1_000);
    assert_eq!(store.count_jts_sessions("alice").await.unwrap(), 0);
    assert_eq!(store.count_jts_sessions("bob").await.unwrap(), 10);
    place.remove().await;
}

async fn a_policy_revokes_more_than_a_transaction_holds(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    sessions(&store, "alice", 250).await;
    let before = store.list_jts_sessions("alice").await.unwrap();
    let new = NewJtsSession::of("alice".parse().unwrap());
    let created = store.create_jts_session(new, SessionPolicy::Single).await;
    let created = created.unwrap();
    let mut expected: Vec<_> = before.iter().map(|s| (s.created_at, &s.aid)).collect();
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, aid)| aid.clone()).collect();
    assert_eq!(created.revoked, expected);
    let left = store.list_jts_sessions("alice").await.unwrap();
    assert_eq!(left, [created.session]);
    place.remove().await;
}

/// The process stops between two transactions: what it left word of is gone after a cleanup, and what was
/// created since stays.
async fn an_interrupted_deletion_of_sessions_is_finished(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    sessions(&store, "alice", 300).await;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let other = place.open(Settings::default()).await;
    runtime.spawn(async move { other.delete_jts_sessions("alice").await });
    while store.count_jts_sessions("alice").await.unwrap() == 300 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    runtime.shutdown_background();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = store.count_jts_sessions("alice").await.unwrap();
    let limit = server.transaction_limit() as u64;
    assert!(left < 300 && (300 - left).is_multiple_of(limit), "{left}");
    sessions(&store, "alice", 10).await;
    store
        .delete_expired(CleanupKind::JtsSessions, 10)
        .await
        .unwrap();
    assert_eq!(store.count_jts_sessions("alice").await.unwrap(), 10);
    place.remove().await;
}
