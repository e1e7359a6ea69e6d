//! Deployments of clients.

use std::sync::Arc;

use store_core::{Deployment, DeploymentUpdate, ErrorKind, NewDeployment, Store};

use crate::cases::cases;
use crate::concurrency::at_once;
use crate::expect::{refused, successes, trues};
use crate::fixtures::text;
use crate::world::World;

cases!(deployments:
    added_as_given, absent_and_empty_text_differ, listed_in_order_of_adding,
    list_of_unknown_client_is_not_found, add_to_unknown_client_is_not_found,
    add_to_deleted_client_is_not_found, get_needs_the_right_client, unique_within_a_client,
    update_changes_only_what_is_given, update_can_clear, update_with_nothing_changes_nothing,
    update_to_the_id_of_another_changes_nothing, update_to_its_own_id_succeeds,
    update_of_unknown_is_not_found, update_never_brings_back_a_deleted_one,
    delete_tells_whether_it_existed, delete_needs_the_right_client, delete_frees_the_id,
    one_of_concurrent_adds_wins, concurrent_updates_of_different_fields_lose_none,
    one_of_concurrent_deletes_tells_true,
);

async fn client(w: &World, store: &Arc<dyn Store>, n: u64) -> String {
    let client = store.add_client(w.make().client(n)).await.unwrap();
    client.id.to_string()
}

fn without_id(deployment: &Deployment) -> NewDeployment {
    let deployment = deployment.clone();
    NewDeployment {
        deployment_id: deployment.deployment_id,
        name: deployment.name,
        description: deployment.description,
    }
}

async fn added_as_given(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let new = w.make().deployment(1);
    let deployment = store.add_deployment(&client, new.clone()).await.unwrap();
    assert_eq!(without_id(&deployment), new);
    let found = store
        .get_deployment(&client, &deployment.id.to_string())
        .await;
    assert_eq!(found.unwrap(), Some(deployment.clone()));
    assert_eq!(store.list_deployments(&client).await.unwrap(), [deployment]);
}

async fn absent_and_empty_text_differ(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    for (n, value) in [None, Some("")].into_iter().enumerate() {
        let new = NewDeployment {
            name: value.map(text),
            description: value.map(text),
            ..w.make().deployment(n as u64)
        };
        let added = store.add_deployment(&client, new.clone()).await.unwrap();
        let found = store.get_deployment(&client, &added.id.to_string()).await;
        assert_eq!(without_id(&found.unwrap().unwrap()), new);
    }
}

async fn listed_in_order_of_adding(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    assert_eq!(store.list_deployments(&client).await.unwrap(), []);
    let mut added = Vec::new();
    for n in (0..20).rev() {
        added.push(
            store
                .add_deployment(&client, w.make().deployment(n))
                .await
                .unwrap(),
        );
    }
    assert!(
        added.is_sorted_by_key(|deployment| deployment.id),
        "ids grow with time"
    );
    assert_eq!(store.list_deployments(&client).await.unwrap(), added);
}

async fn list_of_unknown_client_is_not_found(w: World) {
    let store = w.store().await;
    let unknown = w.make().uuid(1).to_string();
    for client in [unknown.as_str(), "", "not-a-uuid"] {
        refused(store.list_deployments(client).await, ErrorKind::NotFound);
    }
}

async fn add_to_unknown_client_is_not_found(w: World) {
    let store = w.store().await;
    let unknown = w.make().uuid(1).to_string();
    for client in [unknown.as_str(), "", "not-a-uuid"] {
        let deployment = w.make().deployment(1);
        refused(
            store.add_deployment(client, deployment).await,
            ErrorKind::NotFound,
        );
    }
}

async fn add_to_deleted_client_is_not_found(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    assert!(store.delete_client(&client).await.unwrap());
    let deployment = w.make().deployment(1);
    refused(
        store.add_deployment(&client, deployment).await,
        ErrorKind::NotFound,
    );
}

async fn get_needs_the_right_client(w: World) {
    let store = w.store().await;
    let (a, b) = (client(&w, &store, 1).await, client(&w, &store, 2).await);
    let deployment = store
        .add_deployment(&a, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    let unknown = w.make().uuid(1).to_string();
    for (client, id) in [(&b, &id), (&unknown, &id), (&a, &unknown), (&id, &a)] {
        assert_eq!(store.get_deployment(client, id).await.unwrap(), None);
    }
}

async fn unique_within_a_client(w: World) {
    let store = w.store().await;
    let (a, b) = (client(&w, &store, 1).await, client(&w, &store, 2).await);
    let first = store
        .add_deployment(&a, w.make().deployment(1))
        .await
        .unwrap();
    let same = NewDeployment {
        deployment_id: first.deployment_id.clone(),
        ..w.make().deployment(2)
    };
    refused(
        store.add_deployment(&a, same.clone()).await,
        ErrorKind::AlreadyExists,
    );
    assert_eq!(store.list_deployments(&a).await.unwrap(), [first]);
    store.add_deployment(&b, same).await.unwrap();
}

async fn update_changes_only_what_is_given(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let bystander = store
        .add_deployment(&client, w.make().deployment(3))
        .await
        .unwrap();
    let mut deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    let new = w.make().deployment(2);
    let none = DeploymentUpdate::default;
    let updates = [
        DeploymentUpdate {
            deployment_id: Some(new.deployment_id.clone()),
            ..none()
        },
        DeploymentUpdate {
            name: Some(new.name.clone()),
            ..none()
        },
        DeploymentUpdate {
            description: Some(new.description.clone()),
            ..none()
        },
    ];
    for update in updates {
        let given = update.deployment_id.clone();
        deployment.deployment_id = given.unwrap_or(deployment.deployment_id);
        deployment.name = update.name.clone().unwrap_or(deployment.name);
        deployment.description = update.description.clone().unwrap_or(deployment.description);
        let returned = store.update_deployment(&client, &id, update).await.unwrap();
        assert_eq!(returned, deployment);
        let found = store.get_deployment(&client, &id).await.unwrap();
        assert_eq!(found, Some(deployment.clone()));
    }
    assert_eq!(without_id(&deployment), new);
    let untouched = store
        .get_deployment(&client, &bystander.id.to_string())
        .await;
    assert_eq!(untouched.unwrap(), Some(bystander));
}

async fn update_can_clear(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    let update = DeploymentUpdate {
        name: Some(None),
        ..DeploymentUpdate::default()
    };
    let returned = store.update_deployment(&client, &id, update).await.unwrap();
    assert_eq!(returned.name, None);
    assert_eq!(returned.description, deployment.description);
    let update = DeploymentUpdate {
        description: Some(None),
        ..DeploymentUpdate::default()
    };
    store.update_deployment(&client, &id, update).await.unwrap();
    let found = store.get_deployment(&client, &id).await.unwrap().unwrap();
    assert_eq!((found.name, found.description), (None, None));
}

async fn update_with_nothing_changes_nothing(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    let nothing = DeploymentUpdate::default;
    let returned = store
        .update_deployment(&client, &id, nothing())
        .await
        .unwrap();
    assert_eq!(returned, deployment);
    let unknown = w.make().uuid(1).to_string();
    let result = store.update_deployment(&client, &unknown, nothing()).await;
    refused(result, ErrorKind::NotFound);
}

async fn update_to_the_id_of_another_changes_nothing(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let taken = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let deployment = store
        .add_deployment(&client, w.make().deployment(2))
        .await
        .unwrap();
    let update = DeploymentUpdate {
        deployment_id: Some(taken.deployment_id.clone()),
        name: Some(Some(text("renamed"))),
        description: Some(None),
    };
    let id = deployment.id.to_string();
    let result = store.update_deployment(&client, &id, update).await;
    refused(result, ErrorKind::AlreadyExists);
    assert_eq!(
        store.list_deployments(&client).await.unwrap(),
        [taken, deployment]
    );
}

async fn update_to_its_own_id_succeeds(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let update = DeploymentUpdate {
        deployment_id: Some(deployment.deployment_id.clone()),
        ..DeploymentUpdate::default()
    };
    let id = deployment.id.to_string();
    let returned = store.update_deployment(&client, &id, update).await.unwrap();
    assert_eq!(returned, deployment);
}

async fn update_of_unknown_is_not_found(w: World) {
    let store = w.store().await;
    let (a, b) = (client(&w, &store, 1).await, client(&w, &store, 2).await);
    let deployment = store
        .add_deployment(&a, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    let unknown = w.make().uuid(1).to_string();
    let wrong = [
        (&*b, &*id),
        (&*unknown, &*id),
        (&*a, &*unknown),
        (&*a, ""),
        ("", &*id),
    ];
    for (client, id) in wrong {
        let update = DeploymentUpdate {
            name: Some(Some(text("renamed"))),
            ..DeploymentUpdate::default()
        };
        let result = store.update_deployment(client, id, update).await;
        refused(result, ErrorKind::NotFound);
    }
    let found = store.get_deployment(&a, &id).await.unwrap();
    assert_eq!(found, Some(deployment));
}

async fn update_never_brings_back_a_deleted_one(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    assert!(store.delete_deployment(&client, &id).await.unwrap());
    let update = DeploymentUpdate {
        name: Some(Some(text("back"))),
        ..DeploymentUpdate::default()
    };
    let result = store.update_deployment(&client, &id, update).await;
    refused(result, ErrorKind::NotFound);
    assert_eq!(store.list_deployments(&client).await.unwrap(), []);
}

async fn delete_tells_whether_it_existed(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let deployment = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let kept = store
        .add_deployment(&client, w.make().deployment(2))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    assert!(store.delete_deployment(&client, &id).await.unwrap());
    assert!(!store.delete_deployment(&client, &id).await.unwrap());
    assert_eq!(store.get_deployment(&client, &id).await.unwrap(), None);
    assert_eq!(store.list_deployments(&client).await.unwrap(), [kept]);
}

async fn delete_needs_the_right_client(w: World) {
    let store = w.store().await;
    let (a, b) = (client(&w, &store, 1).await, client(&w, &store, 2).await);
    let deployment = store
        .add_deployment(&a, w.make().deployment(1))
        .await
        .unwrap();
    let id = deployment.id.to_string();
    for (client, id) in [(&*b, &*id), ("", &*id), (&*a, ""), ("not-a-uuid", "either")] {
        assert!(!store.delete_deployment(client, id).await.unwrap());
    }
    assert_eq!(store.list_deployments(&a).await.unwrap(), [deployment]);
}

async fn delete_frees_the_id(w: World) {
    let store = w.store().await;
    let client = client(&w, &store, 1).await;
    let first = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    assert!(
        store
            .delete_deployment(&client, &first.id.to_string())
            .await
            .unwrap()
    );
    let second = store
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    assert_ne!(first.id, second.id);
}

async fn one_of_concurrent_adds_wins(w: World) {
    let stores = w.stores(4).await;
    let client = client(&w, &stores[0], 1).await;
    let adds = (0..20).map(|n| {
        let (store, client) = (Arc::clone(&stores[n % stores.len()]), client.clone());
        let deployment = w.make().deployment(1);
        async move { store.add_deployment(&client, deployment).await }
    });
    assert_eq!(successes(at_once(adds).await, ErrorKind::AlreadyExists), 1);
    assert_eq!(stores[0].list_deployments(&client).await.unwrap().len(), 1);
}

async fn concurrent_updates_of_different_fields_lose_none(w: World) {
    let stores = w.stores(3).await;
    let client = client(&w, &stores[0], 1).await;
    for round in 0..5 {
        let added = stores[0]
            .add_deployment(&client, w.make().deployment(round))
            .await
            .unwrap();
        let new = w.make().deployment(100 + round);
        let none = DeploymentUpdate::default;
        let updates = [
            DeploymentUpdate {
                deployment_id: Some(new.deployment_id.clone()),
                ..none()
            },
            DeploymentUpdate {
                name: Some(new.name.clone()),
                ..none()
            },
            DeploymentUpdate {
                description: Some(new.description.clone()),
                ..none()
            },
        ];
        let updates = updates.into_iter().enumerate().map(|(n, update)| {
            let (store, client) = (Arc::clone(&stores[n]), client.clone());
            let id = added.id.to_string();
            async move { store.update_deployment(&client, &id, update).await }
        });
        assert_eq!(successes(at_once(updates).await, ErrorKind::NotFound), 3);
        let found = stores[0]
            .get_deployment(&client, &added.id.to_string())
            .await;
        assert_eq!(without_id(&found.unwrap().unwrap()), new);
    }
}

async fn one_of_concurrent_deletes_tells_true(w: World) {
    let stores = w.stores(4).await;
    let client = client(&w, &stores[0], 1).await;
    let deployment = stores[0]
        .add_deployment(&client, w.make().deployment(1))
        .await
        .unwrap();
    let deletes = (0..12).map(|n| {
        let (store, client) = (Arc::clone(&stores[n % stores.len()]), client.clone());
        let id = deployment.id.to_string();
        async move { store.delete_deployment(&client, &id).await }
    });
    assert_eq!(trues(at_once(deletes).await), 1);
}
