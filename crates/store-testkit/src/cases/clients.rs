//! Clients, and that deleting one takes its deployments along.

use std::sync::Arc;

use store_core::{Client, ClientUpdate, ErrorKind, Store};

use crate::cases::cases;
use crate::concurrency::at_once;
use crate::expect::{refused, successes, trues};
use crate::fixtures::{text, update_to, without_id};
use crate::world::{World, secs};

cases!(clients:
    added_as_given, listed_in_order_of_adding, none_listed_at_first, unknown_is_none,
    found_with_its_deployments_in_order, seen_by_other_stores,
    issuer_and_client_id_are_unique_together, issuer_and_client_id_are_not_joined_ambiguously,
    update_changes_only_what_is_given, update_with_nothing_changes_nothing,
    update_to_the_key_of_another_changes_nothing, update_to_its_own_key_succeeds,
    update_frees_the_old_key, update_of_unknown_is_not_found, update_never_brings_back_a_deleted_one,
    delete_tells_whether_it_existed, delete_takes_its_deployments, delete_frees_the_key,
    never_expire, one_of_concurrent_adds_wins, one_of_concurrent_updates_to_a_key_wins,
    concurrent_updates_of_different_fields_lose_none, one_of_concurrent_deletes_tells_true,
    no_deployment_outlives_its_client,
);

async fn found(store: &Arc<dyn Store>, client: &Client) -> Option<Client> {
    let found = store.get_client(&client.id.to_string()).await.unwrap();
    found.map(|found| found.client)
}

async fn added_as_given(w: World) {
    let store = w.store().await;
    let new = w.make().client(1);
    let client = store.add_client(new.clone()).await.unwrap();
    assert_eq!(without_id(&client), new);
    let found = store
        .get_client(&client.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.client, client);
    assert_eq!(found.deployments, []);
    assert_eq!(store.list_clients().await.unwrap(), [client]);
}

async fn listed_in_order_of_adding(w: World) {
    let store = w.store().await;
    let mut added = Vec::new();
    // Names and issuers descend while the ids ascend.
    for n in (0..20).rev() {
        added.push(store.add_client(w.make().client(n)).await.unwrap());
    }
    assert!(
        added.is_sorted_by_key(|client| client.id),
        "ids grow with time"
    );
    assert_eq!(store.list_clients().await.unwrap(), added);
}

async fn none_listed_at_first(w: World) {
    assert_eq!(w.store().await.list_clients().await.unwrap(), []);
}

async fn unknown_is_none(w: World) {
    let store = w.store().await;
    store.add_client(w.make().client(1)).await.unwrap();
    let unknown = w.make().uuid(1).to_string();
    assert_eq!(store.get_client(&unknown).await.unwrap(), None);
}

async fn found_with_its_deployments_in_order(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let other = store.add_client(w.make().client(2)).await.unwrap();
    let (id, other) = (client.id.to_string(), other.id.to_string());
    let mut added = Vec::new();
    for n in (0..5).rev() {
        added.push(
            store
                .add_deployment(&id, w.make().deployment(n))
                .await
                .unwrap(),
        );
        store
            .add_deployment(&other, w.make().deployment(n))
            .await
            .unwrap();
    }
    added.sort_by_key(|deployment| deployment.id);
    let found = store.get_client(&id).await.unwrap().unwrap();
    assert_eq!(found.deployments, added);
}

async fn seen_by_other_stores(w: World) {
    let [a, b] = &w.stores(2).await[..] else {
        unreachable!("two stores were asked for")
    };
    let client = a.add_client(w.make().client(1)).await.unwrap();
    assert_eq!(found(b, &client).await, Some(client.clone()));
    let update = update_to(&w.make().client(2));
    let updated = b
        .update_client(&client.id.to_string(), update)
        .await
        .unwrap();
    assert_eq!(a.list_clients().await.unwrap(), [updated]);
    assert!(a.delete_client(&client.id.to_string()).await.unwrap());
    assert_eq!(found(b, &client).await, None);
}

async fn issuer_and_client_id_are_unique_together(w: World) {
    let store = w.store().await;
    let first = store.add_client(w.make().client(1)).await.unwrap();
    let mut same = w.make().client(2);
    same.iss = first.iss.clone();
    let with_same_issuer = store.add_client(same.clone()).await.unwrap();
    same.client_id = first.client_id.clone();
    refused(store.add_client(same).await, ErrorKind::AlreadyExists);
    let mut same = w.make().client(3);
    same.client_id = first.client_id.clone();
    let with_same_client_id = store.add_client(same).await.unwrap();
    assert_eq!(
        store.list_clients().await.unwrap(),
        [first, with_same_issuer, with_same_client_id]
    );
}

async fn issuer_and_client_id_are_not_joined_ambiguously(w: World) {
    let store = w.store().await;
    for separator in ["#", "|", ":", "/", " ", ",", "\u{1f}"] {
        let mut left = w.make().client(1);
        left.iss = text(format!("https://a{separator}b"));
        left.client_id = text("c");
        let mut right = left.clone();
        right.iss = text("https://a");
        right.client_id = text(format!("b{separator}c"));
        store.add_client(left).await.unwrap();
        store.add_client(right).await.unwrap();
    }
    assert_eq!(store.list_clients().await.unwrap().len(), 14);
}

async fn update_changes_only_what_is_given(w: World) {
    let store = w.store().await;
    let bystander = store.add_client(w.make().client(3)).await.unwrap();
    let mut client = store.add_client(w.make().client(1)).await.unwrap();
    let new = w.make().client(2);
    let none = ClientUpdate::default;
    let updates = [
        ClientUpdate {
            name: Some(new.name.clone()),
            ..none()
        },
        ClientUpdate {
            iss: Some(new.iss.clone()),
            ..none()
        },
        ClientUpdate {
            client_id: Some(new.client_id.clone()),
            ..none()
        },
        ClientUpdate {
            auth_url: Some(new.auth_url.clone()),
            ..none()
        },
        ClientUpdate {
            token_url: Some(new.token_url.clone()),
            ..none()
        },
        ClientUpdate {
            jwks_url: Some(new.jwks_url.clone()),
            ..none()
        },
    ];
    for update in updates {
        client.name = update.name.clone().unwrap_or(client.name);
        client.iss = update.iss.clone().unwrap_or(client.iss);
        client.client_id = update.client_id.clone().unwrap_or(client.client_id);
        client.auth_url = update.auth_url.clone().unwrap_or(client.auth_url);
        client.token_url = update.token_url.clone().unwrap_or(client.token_url);
        client.jwks_url = update.jwks_url.clone().unwrap_or(client.jwks_url);
        let returned = store
            .update_client(&client.id.to_string(), update)
            .await
            .unwrap();
        assert_eq!(returned, client);
        assert_eq!(found(&store, &client).await, Some(client.clone()));
    }
    assert_eq!(without_id(&client), new);
    assert_eq!(found(&store, &bystander).await, Some(bystander));
}

async fn update_with_nothing_changes_nothing(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let id = client.id.to_string();
    let returned = store
        .update_client(&id, ClientUpdate::default())
        .await
        .unwrap();
    assert_eq!(returned, client);
    let unknown = w.make().uuid(1).to_string();
    let update = ClientUpdate::default();
    refused(
        store.update_client(&unknown, update).await,
        ErrorKind::NotFound,
    );
}

async fn update_to_the_key_of_another_changes_nothing(w: World) {
    let store = w.store().await;
    let taken = store.add_client(w.make().client(1)).await.unwrap();
    let client = store.add_client(w.make().client(2)).await.unwrap();
    let update = update_to(&without_id(&taken));
    let result = store.update_client(&client.id.to_string(), update).await;
    refused(result, ErrorKind::AlreadyExists);
    assert_eq!(store.list_clients().await.unwrap(), [taken, client]);
}

async fn update_to_its_own_key_succeeds(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let update = update_to(&without_id(&client));
    let returned = store
        .update_client(&client.id.to_string(), update)
        .await
        .unwrap();
    assert_eq!(returned, client);
}

async fn update_frees_the_old_key(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let update = ClientUpdate {
        client_id: Some(text("moved")),
        ..ClientUpdate::default()
    };
    store
        .update_client(&client.id.to_string(), update)
        .await
        .unwrap();
    let again = store.add_client(w.make().client(1)).await.unwrap();
    assert_ne!(again.id, client.id);
}

async fn update_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    let unknown = w.make().uuid(1).to_string();
    for id in [unknown.as_str(), "", "not-a-uuid"] {
        let update = update_to(&w.make().client(1));
        refused(store.update_client(id, update).await, ErrorKind::NotFound);
    }
    assert_eq!(store.list_clients().await.unwrap(), []);
}

async fn update_never_brings_back_a_deleted_one(w: World) {
    let store = w.store().await;
    let id = store
        .add_client(w.make().client(1))
        .await
        .unwrap()
        .id
        .to_string();
    assert!(store.delete_client(&id).await.unwrap());
    let update = update_to(&w.make().client(1));
    refused(store.update_client(&id, update).await, ErrorKind::NotFound);
    assert_eq!(store.list_clients().await.unwrap(), []);
}

async fn delete_tells_whether_it_existed(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let other = store.add_client(w.make().client(2)).await.unwrap();
    let id = client.id.to_string();
    assert!(store.delete_client(&id).await.unwrap());
    assert!(!store.delete_client(&id).await.unwrap());
    assert_eq!(store.get_client(&id).await.unwrap(), None);
    assert_eq!(store.list_clients().await.unwrap(), [other]);
}

async fn delete_takes_its_deployments(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let other = store.add_client(w.make().client(2)).await.unwrap();
    let (id, other) = (client.id.to_string(), other.id.to_string());
    let mut deployments = Vec::new();
    for n in 0..3 {
        deployments.push(
            store
                .add_deployment(&id, w.make().deployment(n))
                .await
                .unwrap(),
        );
    }
    let kept = store
        .add_deployment(&other, w.make().deployment(0))
        .await
        .unwrap();
    assert!(store.delete_client(&id).await.unwrap());
    for deployment in deployments {
        let found = store.get_deployment(&id, &deployment.id.to_string()).await;
        assert_eq!(found.unwrap(), None);
    }
    refused(store.list_deployments(&id).await, ErrorKind::NotFound);
    assert_eq!(store.list_deployments(&other).await.unwrap(), [kept]);
}

async fn delete_frees_the_key(w: World) {
    let store = w.store().await;
    let first = store.add_client(w.make().client(1)).await.unwrap();
    let id = first.id.to_string();
    store
        .add_deployment(&id, w.make().deployment(1))
        .await
        .unwrap();
    assert!(store.delete_client(&id).await.unwrap());
    let second = store.add_client(w.make().client(1)).await.unwrap();
    assert_ne!(second.id, first.id);
    let found = store
        .get_client(&second.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        found.deployments,
        [],
        "the old client's deployments are gone"
    );
}

async fn never_expire(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    w.advance(secs(100 * 366 * 24 * 3600));
    assert_eq!(found(&store, &client).await, Some(client));
}

async fn one_of_concurrent_adds_wins(w: World) {
    let stores = w.stores(4).await;
    let adds = (0..20).map(|n| {
        let store = Arc::clone(&stores[n % stores.len()]);
        let client = w.make().client(1);
        async move { store.add_client(client).await }
    });
    assert_eq!(successes(at_once(adds).await, ErrorKind::AlreadyExists), 1);
    assert_eq!(stores[0].list_clients().await.unwrap().len(), 1);
}

async fn one_of_concurrent_updates_to_a_key_wins(w: World) {
    let stores = w.stores(4).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(stores[0].add_client(w.make().client(n)).await.unwrap().id);
    }
    let updates = ids.into_iter().enumerate().map(|(n, id)| {
        let store = Arc::clone(&stores[n % stores.len()]);
        let update = update_to(&w.make().client(100));
        async move { store.update_client(&id.to_string(), update).await }
    });
    assert_eq!(
        successes(at_once(updates).await, ErrorKind::AlreadyExists),
        1
    );
    assert_eq!(stores[0].list_clients().await.unwrap().len(), 12);
}

async fn concurrent_updates_of_different_fields_lose_none(w: World) {
    let stores = w.stores(3).await;
    for round in 0..5 {
        let client = stores[0].add_client(w.make().client(round)).await.unwrap();
        let new = w.make().client(100 + round);
        let none = ClientUpdate::default;
        let updates = [
            ClientUpdate {
                name: Some(new.name.clone()),
                ..none()
            },
            ClientUpdate {
                iss: Some(new.iss.clone()),
                ..none()
            },
            ClientUpdate {
                client_id: Some(new.client_id.clone()),
                ..none()
            },
            ClientUpdate {
                auth_url: Some(new.auth_url.clone()),
                ..none()
            },
            ClientUpdate {
                token_url: Some(new.token_url.clone()),
                ..none()
            },
            ClientUpdate {
                jwks_url: Some(new.jwks_url.clone()),
                ..none()
            },
        ];
        let updates = updates.into_iter().enumerate().map(|(n, update)| {
            let store = Arc::clone(&stores[n % stores.len()]);
            async move { store.update_client(&client.id.to_string(), update).await }
        });
        assert_eq!(successes(at_once(updates).await, ErrorKind::NotFound), 6);
        let updated = found(&stores[0], &client).await.unwrap();
        assert_eq!(without_id(&updated), new);
    }
}

async fn one_of_concurrent_deletes_tells_true(w: World) {
    let stores = w.stores(4).await;
    let client = stores[0].add_client(w.make().client(1)).await.unwrap();
    let deletes = (0..12).map(|n| {
        let store = Arc::clone(&stores[n % stores.len()]);
        async move { store.delete_client(&client.id.to_string()).await }
    });
    assert_eq!(trues(at_once(deletes).await), 1);
}

async fn no_deployment_outlives_its_client(w: World) {
    let stores = w.stores(4).await;
    for round in 0..8 {
        let client = stores[0].add_client(w.make().client(round)).await.unwrap();
        let id = client.id.to_string();
        let calls = (0..8).map(|n| {
            let (store, id) = (Arc::clone(&stores[n % stores.len()]), id.clone());
            let deployment = w.make().deployment(n as u64);
            async move {
                if n == 5 {
                    assert!(store.delete_client(&id).await.unwrap());
                    return None;
                }
                match store.add_deployment(&id, deployment).await {
                    Ok(deployment) => Some(deployment.id.to_string()),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                        None
                    }
                }
            }
        });
        for deployment in at_once(calls).await.into_iter().flatten() {
            let orphan = stores[0].get_deployment(&id, &deployment).await.unwrap();
            assert_eq!(orphan, None);
        }
        refused(stores[0].list_deployments(&id).await, ErrorKind::NotFound);
    }
}
