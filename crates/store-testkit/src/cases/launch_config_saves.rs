//! Saving launch configs: it means a client and a deployment, once.

use store_core::{Client, ErrorKind, LaunchConfig};

use super::launch_configs::{find, registered, same, with_deployment};
use crate::cases::cases;
use crate::concurrency::{at_once, in_turn};
use crate::expect::refused;
use crate::world::World;

cases!(launch_config_saves:
    save_creates_client_and_deployment, save_gives_an_existing_client_its_endpoints,
    save_leaves_an_existing_deployment_alone, save_again_changes_nothing, save_of_default_is_the_fallback,
    save_adds_deployments_to_one_client, concurrent_saves_leave_one_client_and_deployment,
    concurrent_saves_of_different_deployments_share_a_client, save_beside_delete_leaves_all_or_nothing,
);

async fn save_creates_client_and_deployment(w: World) {
    let store = w.store().await;
    let config = w.make().launch_config(1);
    store.save_launch_config(&config).await.unwrap();
    same(find(&store, &config).await, &config);
    let [client] = &store.list_clients().await.unwrap()[..] else {
        panic!("not one client")
    };
    assert_eq!(
        client.name.as_str(),
        config.iss.as_str(),
        "it is named after its issuer"
    );
    let [deployment] = &store
        .list_deployments(&client.id.to_string())
        .await
        .unwrap()[..]
    else {
        panic!("not one deployment")
    };
    assert_eq!(deployment.deployment_id, config.deployment_id);
    assert_eq!(deployment.description, None);
}

async fn save_gives_an_existing_client_its_endpoints(w: World) {
    let store = w.store().await;
    let (client, _) = registered(&w, &store, 1).await;
    let bystander = store.add_client(w.make().client(2)).await.unwrap();
    let other = w.make().launch_config(3);
    let config = LaunchConfig {
        iss: client.iss.clone(),
        client_id: client.client_id.clone(),
        ..other.clone()
    };
    store.save_launch_config(&config).await.unwrap();
    let expected = Client {
        auth_url: other.auth_url,
        token_url: other.token_url,
        jwks_url: other.jwks_url,
        ..client
    };
    assert_eq!(store.list_clients().await.unwrap(), [expected, bystander]);
    same(find(&store, &config).await, &config);
    let first = with_deployment(&config, w.make().deployment(1).deployment_id.as_str());
    same(find(&store, &first).await, &first);
}

async fn save_leaves_an_existing_deployment_alone(w: World) {
    let store = w.store().await;
    let (client, deployment) = registered(&w, &store, 1).await;
    store
        .save_launch_config(&w.make().launch_config(1))
        .await
        .unwrap();
    let found = store
        .get_client(&client.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.client, found.deployments),
        (client, vec![deployment])
    );
}

async fn save_again_changes_nothing(w: World) {
    let store = w.store().await;
    let config = w.make().launch_config(1);
    store.save_launch_config(&config).await.unwrap();
    let before = store.list_clients().await.unwrap();
    for _ in 0..3 {
        store.save_launch_config(&config).await.unwrap();
    }
    assert_eq!(store.list_clients().await.unwrap(), before);
    let deployments = store
        .list_deployments(&before[0].id.to_string())
        .await
        .unwrap();
    assert_eq!(deployments.len(), 1);
}

async fn save_of_default_is_the_fallback(w: World) {
    let store = w.store().await;
    let config = with_deployment(&w.make().launch_config(1), "default");
    store.save_launch_config(&config).await.unwrap();
    same(
        find(&store, &with_deployment(&config, "any")).await,
        &config,
    );
}

async fn save_adds_deployments_to_one_client(w: World) {
    let store = w.store().await;
    let config = w.make().launch_config(1);
    for id in ["a", "b", "default"] {
        store
            .save_launch_config(&with_deployment(&config, id))
            .await
            .unwrap();
    }
    let clients = store.list_clients().await.unwrap();
    assert_eq!(clients.len(), 1);
    let mut ids: Vec<_> = store
        .list_deployments(&clients[0].id.to_string())
        .await
        .unwrap()
        .into_iter()
        .map(|deployment| deployment.deployment_id.as_str().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["a", "b", "default"]);
}

async fn concurrent_saves_leave_one_client_and_deployment(w: World) {
    let stores = w.stores(4).await;
    for round in 0..4 {
        let config = w.make().launch_config(round);
        let saves = in_turn(&stores, 20).map(|store| {
            let config = config.clone();
            async move { store.save_launch_config(&config).await }
        });
        for result in at_once(saves).await {
            result.unwrap();
        }
        let clients = stores[0].list_clients().await.unwrap();
        let mut clients = clients
            .into_iter()
            .filter(|client| client.iss == config.iss);
        let client = clients.next().unwrap();
        assert_eq!(clients.next(), None);
        let deployments = stores[0].list_deployments(&client.id.to_string()).await;
        assert_eq!(deployments.unwrap().len(), 1);
        same(find(&stores[0], &config).await, &config);
    }
}

async fn concurrent_saves_of_different_deployments_share_a_client(w: World) {
    let stores = w.stores(4).await;
    let config = w.make().launch_config(1);
    let saves = in_turn(&stores, 20).enumerate().map(|(n, store)| {
        let config = with_deployment(&config, &format!("d{n}"));
        async move { store.save_launch_config(&config).await }
    });
    for result in at_once(saves).await {
        result.unwrap();
    }
    let clients = stores[0].list_clients().await.unwrap();
    assert_eq!(clients.len(), 1);
    let deployments = stores[0].list_deployments(&clients[0].id.to_string()).await;
    assert_eq!(deployments.unwrap().len(), 20);
}

async fn save_beside_delete_leaves_all_or_nothing(w: World) {
    let stores = w.stores(4).await;
    for round in 0..8 {
        let config = w.make().launch_config(round);
        stores[0].save_launch_config(&config).await.unwrap();
        let clients = stores[0].list_clients().await.unwrap();
        let client = clients
            .iter()
            .find(|client| client.iss == config.iss)
            .unwrap();
        let id = client.id.to_string();
        let calls = in_turn(&stores, 6).enumerate().map(|(n, store)| {
            let (config, id) = (config.clone(), id.clone());
            async move {
                if n == 3 {
                    assert!(store.delete_client(&id).await.unwrap());
                } else {
                    store.save_launch_config(&config).await.unwrap();
                }
            }
        });
        at_once(calls).await;
        let clients = stores[0].list_clients().await.unwrap();
        let clients: Vec<_> = clients
            .iter()
            .filter(|client| client.iss == config.iss)
            .collect();
        match &clients[..] {
            // Looked up at a store that has not read it, in case it remembers.
            [] => assert_eq!(find(&stores[1], &config).await, None),
            [client] => {
                let deployments = stores[0].list_deployments(&client.id.to_string()).await;
                assert_eq!(
                    deployments.unwrap().len(),
                    1,
                    "a client without its deployment"
                );
            }
            _ => panic!("two clients with the same key"),
        }
        refused(stores[0].list_deployments(&id).await, ErrorKind::NotFound);
    }
}
