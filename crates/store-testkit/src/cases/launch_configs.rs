//! Launch configs: derived from clients and deployments, never stale.

use std::sync::Arc;

use store_core::{
    Client, ClientUpdate, Deployment, DeploymentUpdate, LaunchConfig, NewDeployment, Store,
};

use crate::cases::cases;
use crate::fixtures::{text, update_to};
use crate::world::World;

cases!(launch_configs:
    found_by_all_three, unknown_is_none, falls_back_to_default, exact_wins_over_default,
    default_can_be_asked_for, not_joined_ambiguously, no_fallback_to_the_default_of_another_client,
    follows_the_clients_endpoints, follows_the_clients_key, follows_the_deployments_id,
    follows_deleted_deployments, follows_a_deleted_client, follows_a_new_deployment,
    seen_by_other_stores;
    needing Uncached: changes_are_seen_by_other_stores_at_once,
);

pub(super) async fn find(store: &Arc<dyn Store>, like: &LaunchConfig) -> Option<Arc<LaunchConfig>> {
    let found = store
        .get_launch_config(
            like.iss.as_str(),
            like.client_id.as_str(),
            like.deployment_id.as_str(),
        )
        .await;
    found.unwrap()
}

#[track_caller]
pub(super) fn same(found: Option<Arc<LaunchConfig>>, expected: &LaunchConfig) {
    assert_eq!(found.as_deref(), Some(expected));
}

/// The client with this number and its deployment with the same number.
pub(super) async fn registered(w: &World, store: &Arc<dyn Store>, n: u64) -> (Client, Deployment) {
    let client = store.add_client(w.make().client(n)).await.unwrap();
    let deployment = w.make().deployment(n);
    let deployment = store
        .add_deployment(&client.id.to_string(), deployment)
        .await;
    (client, deployment.unwrap())
}

async fn add_default(w: &World, store: &Arc<dyn Store>, client: &Client) -> Deployment {
    let deployment = w.make().default_deployment();
    let added = store
        .add_deployment(&client.id.to_string(), deployment)
        .await;
    added.unwrap()
}

pub(super) fn with_deployment(config: &LaunchConfig, deployment_id: &str) -> LaunchConfig {
    LaunchConfig {
        deployment_id: text(deployment_id),
        ..config.clone()
    }
}

async fn found_by_all_three(w: World) {
    let store = w.store().await;
    for n in 0..3 {
        registered(&w, &store, n).await;
    }
    for n in 0..3 {
        let config = w.make().launch_config(n);
        same(find(&store, &config).await, &config);
    }
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    registered(&w, &store, 1).await;
    let config = w.make().launch_config(1);
    let other = w.make().launch_config(2);
    let unknown = [
        LaunchConfig {
            iss: other.iss,
            ..config.clone()
        },
        LaunchConfig {
            client_id: other.client_id,
            ..config.clone()
        },
        LaunchConfig {
            deployment_id: other.deployment_id,
            ..config
        },
    ];
    for config in unknown {
        assert_eq!(find(&store, &config).await, None);
    }
}

async fn falls_back_to_default(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    add_default(&w, &store, &client).await;
    let config = w.make().launch_config(1);
    let unknown = with_deployment(&config, "never heard of");
    same(
        find(&store, &unknown).await,
        &with_deployment(&config, "default"),
    );
    for odd in ["", "\0", &"x".repeat(300)] {
        let found = store
            .get_launch_config(config.iss.as_str(), config.client_id.as_str(), odd)
            .await;
        same(found.unwrap(), &with_deployment(&config, "default"));
    }
}

async fn exact_wins_over_default(w: World) {
    let store = w.store().await;
    // The default is added first for one client, and last for the other.
    let client = store.add_client(w.make().client(1)).await.unwrap();
    add_default(&w, &store, &client).await;
    let deployment = w.make().deployment(1);
    store
        .add_deployment(&client.id.to_string(), deployment)
        .await
        .unwrap();
    let (client, _) = registered(&w, &store, 2).await;
    add_default(&w, &store, &client).await;
    for n in [1, 2] {
        let config = w.make().launch_config(n);
        same(find(&store, &config).await, &config);
    }
}

async fn default_can_be_asked_for(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    let config = with_deployment(&w.make().launch_config(1), "default");
    assert_eq!(find(&store, &config).await, None);
    add_default(&w, &store, &client).await;
    same(find(&store, &config).await, &config);
}

async fn not_joined_ambiguously(w: World) {
    let store = w.store().await;
    let plain = w.make().launch_config(1);
    for separator in ["#", "|", ":", "/", " ", ",", "\u{1f}"] {
        let left = LaunchConfig {
            iss: text(format!("https://a{separator}b")),
            client_id: text("c"),
            deployment_id: text("d"),
            auth_url: text("https://left.example/auth"),
            ..plain.clone()
        };
        let right = LaunchConfig {
            iss: text("https://a"),
            client_id: text(format!("b{separator}c")),
            auth_url: text("https://right.example/auth"),
            ..left.clone()
        };
        let shifted = LaunchConfig {
            client_id: text("b"),
            deployment_id: text(format!("c{separator}d")),
            ..right.clone()
        };
        store.save_launch_config(&left).await.unwrap();
        store.save_launch_config(&right).await.unwrap();
        same(find(&store, &left).await, &left);
        same(find(&store, &right).await, &right);
        assert_eq!(find(&store, &shifted).await, None);
    }
}

async fn no_fallback_to_the_default_of_another_client(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    add_default(&w, &store, &client).await;
    store.add_client(w.make().client(2)).await.unwrap();
    assert_eq!(find(&store, &w.make().launch_config(2)).await, None);
}

async fn follows_the_clients_endpoints(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    let mut config = w.make().launch_config(1);
    same(find(&store, &config).await, &config);
    let other = w.make().client(2);
    let update = ClientUpdate {
        auth_url: Some(other.auth_url.clone()),
        token_url: Some(other.token_url.clone()),
        jwks_url: Some(other.jwks_url.clone()),
        ..ClientUpdate::default()
    };
    store
        .update_client(&client.id.to_string(), update)
        .await
        .unwrap();
    config.auth_url = other.auth_url;
    config.token_url = other.token_url;
    config.jwks_url = other.jwks_url;
    same(find(&store, &config).await, &config);
}

async fn follows_the_clients_key(w: World) {
    let store = w.store().await;
    let (client, deployment) = registered(&w, &store, 1).await;
    let old = w.make().launch_config(1);
    same(find(&store, &old).await, &old);
    let update = update_to(&w.make().client(2));
    store
        .update_client(&client.id.to_string(), update)
        .await
        .unwrap();
    assert_eq!(find(&store, &old).await, None);
    let new = with_deployment(
        &w.make().launch_config(2),
        deployment.deployment_id.as_str(),
    );
    same(find(&store, &new).await, &new);
}

async fn follows_the_deployments_id(w: World) {
    let store = w.store().await;
    let (client, deployment) = registered(&w, &store, 1).await;
    let old = w.make().launch_config(1);
    same(find(&store, &old).await, &old);
    let update = DeploymentUpdate {
        deployment_id: Some(text("moved")),
        ..DeploymentUpdate::default()
    };
    let (client, id) = (client.id.to_string(), deployment.id.to_string());
    store.update_deployment(&client, &id, update).await.unwrap();
    assert_eq!(find(&store, &old).await, None);
    let new = with_deployment(&old, "moved");
    same(find(&store, &new).await, &new);
}

async fn follows_deleted_deployments(w: World) {
    let store = w.store().await;
    let (client, deployment) = registered(&w, &store, 1).await;
    let default = add_default(&w, &store, &client).await;
    let config = w.make().launch_config(1);
    same(find(&store, &config).await, &config);
    let client = client.id.to_string();
    assert!(
        store
            .delete_deployment(&client, &deployment.id.to_string())
            .await
            .unwrap()
    );
    same(
        find(&store, &config).await,
        &with_deployment(&config, "default"),
    );
    assert!(
        store
            .delete_deployment(&client, &default.id.to_string())
            .await
            .unwrap()
    );
    assert_eq!(find(&store, &config).await, None);
}

async fn follows_a_deleted_client(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    add_default(&w, &store, &client).await;
    let config = w.make().launch_config(1);
    same(find(&store, &config).await, &config);
    assert!(store.delete_client(&client.id.to_string()).await.unwrap());
    assert_eq!(find(&store, &config).await, None);
    store.add_client(w.make().client(1)).await.unwrap();
    assert_eq!(find(&store, &config).await, None);
}

async fn follows_a_new_deployment(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let config = w.make().launch_config(1);
    assert_eq!(find(&store, &config).await, None);
    add_default(&w, &store, &client).await;
    same(
        find(&store, &config).await,
        &with_deployment(&config, "default"),
    );
    let deployment = w.make().deployment(1);
    store
        .add_deployment(&client.id.to_string(), deployment)
        .await
        .unwrap();
    same(find(&store, &config).await, &config);
}

async fn seen_by_other_stores(w: World) {
    let stores = w.stores(2).await;
    let config = w.make().launch_config(1);
    stores[0].save_launch_config(&config).await.unwrap();
    same(find(&stores[1], &config).await, &config);
}

async fn changes_are_seen_by_other_stores_at_once(w: World) {
    let stores = w.stores(2).await;
    let (client, deployment) = registered(&w, &stores[0], 1).await;
    let mut config = w.make().launch_config(1);
    same(find(&stores[1], &config).await, &config);
    let update = ClientUpdate {
        jwks_url: Some(text("https://elsewhere.example/jwks")),
        ..ClientUpdate::default()
    };
    let id = client.id.to_string();
    config.jwks_url = stores[0].update_client(&id, update).await.unwrap().jwks_url;
    same(find(&stores[1], &config).await, &config);
    let update = NewDeployment {
        deployment_id: text("default"),
        ..w.make().deployment(2)
    };
    stores[0].add_deployment(&id, update).await.unwrap();
    let gone = deployment.id.to_string();
    assert!(stores[0].delete_deployment(&id, &gone).await.unwrap());
    same(
        find(&stores[1], &config).await,
        &with_deployment(&config, "default"),
    );
}
