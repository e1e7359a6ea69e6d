//! Every operation once, for tests that look at what a backend does rather than at what it answers.

// Whoever runs it wants to know at once which operation fails.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use store_core::{
    CleanupKind, ClientUpdate, DeploymentUpdate, LockOutcome, RecordKind, SessionPolicy, Store,
    Timestamp,
};

use crate::fixtures::Fixtures;

/// Runs every operation that reads or writes at least once, on a bootstrapped store, and leaves
/// nothing of its own behind but a nonce.
///
/// # Panics
/// If an operation fails.
pub async fn exercise(store: &dyn Store) {
    let make = Fixtures::new("exercise");
    lti(store, &make).await;
    jts(store, &make).await;
    login(store, &make).await;
    for kind in RecordKind::ALL {
        store.export_records(kind, None, 10).await.unwrap();
    }
    for kind in CleanupKind::ALL {
        store.delete_expired(kind, 10).await.unwrap();
    }
    store.health().await.unwrap();
}

async fn lti(store: &dyn Store, make: &Fixtures) {
    let client = store
        .add_client(make.client(1))
        .await
        .unwrap()
        .id
        .to_string();
    store.list_clients().await.unwrap();
    store.get_client(&client).await.unwrap();
    let update = ClientUpdate::default();
    store.update_client(&client, update).await.unwrap();
    let deployment = store.add_deployment(&client, make.deployment(1)).await;
    let deployment = deployment.unwrap().id.to_string();
    store.list_deployments(&client).await.unwrap();
    store.get_deployment(&client, &deployment).await.unwrap();
    let update = DeploymentUpdate::default();
    let updated = store.update_deployment(&client, &deployment, update).await;
    updated.unwrap();
    let config = make.launch_config(1);
    let (iss, client_id) = (config.iss.as_str(), config.client_id.as_str());
    let deployment_id = config.deployment_id.as_str();
    let found = store.get_launch_config(iss, client_id, deployment_id).await;
    found.unwrap();
    store.save_launch_config(&config).await.unwrap();
    store.delete_deployment(&client, &deployment).await.unwrap();
    store.delete_client(&client).await.unwrap();

    store.store_nonce(&make.nonce(1), None).await.unwrap();
    store.consume_nonce(make.nonce(1).as_str()).await.unwrap();

    let session = make.lti_session(1);
    let id = session.id.to_string();
    store.add_lti_session(&session, None).await.unwrap();
    store.get_lti_session(&id).await.unwrap();
    store.delete_lti_session(&id).await.unwrap();

    let registration = make.registration(1, Timestamp::MAX);
    let set = store
        .set_registration_session(session.id, &registration)
        .await;
    set.unwrap();
    store.get_registration_session(&id).await.unwrap();
    store.take_registration_session(&id).await.unwrap();
    store.delete_registration_session(&id).await.unwrap();
}

async fn jts(store: &dyn Store, make: &Fixtures) {
    let prn = make.principal(1);
    for policy in [SessionPolicy::AllowAll, SessionPolicy::Single] {
        let mut new = make.jts_session(1);
        new.prn = prn.clone();
        let created = store.create_jts_session(new, policy).await.unwrap();
        let aid = created.session.aid.as_str();
        let first = created.session.current_state_proof.as_str();
        store.get_jts_session(aid).await.unwrap();
        store.touch_jts_session(aid).await.unwrap();
        store.rotate_state_proof(aid, first).await.unwrap();
        store.rotate_state_proof(aid, first).await.unwrap_err();
        store.validate_state_proof(first).await.unwrap();
        store.renew_state_proof(first).await.unwrap();
    }
    store.list_jts_sessions(prn.as_str()).await.unwrap();
    store.count_jts_sessions(prn.as_str()).await.unwrap();
    store.delete_oldest_jts_session(prn.as_str()).await.unwrap();
    store.delete_jts_sessions(prn.as_str()).await.unwrap();
    store.delete_jts_session("aid_unknown").await.unwrap();
}

async fn login(store: &dyn Store, make: &Fixtures) {
    let id = make.login_id(1);
    let hour = Duration::from_secs(3600);
    let mut data = make.login_data();
    data.insert("refresh_token".to_owned(), "r1".into());
    let session = store.create_login_session(&id, data.clone(), hour).await;
    let session = session.unwrap();
    store.load_login_session(id.as_str()).await.unwrap();
    store
        .save_login_session(&session, None, None)
        .await
        .unwrap();
    let set = store.set_login_properties(id.as_str(), data, None).await;
    set.unwrap();
    let unset = store
        .unset_login_properties(id.as_str(), &["x"], None)
        .await;
    unset.unwrap();
    store.extend_login_session(id.as_str(), hour).await.unwrap();
    let outcome = store.lock_login_session(id.as_str(), "r1").await.unwrap();
    let LockOutcome::Acquired { token, .. } = outcome else {
        panic!("nobody else has the lock: {outcome:?}");
    };
    store.lock_login_session(id.as_str(), "r1").await.unwrap();
    let unlocked = store.unlock_login_session(id.as_str(), &token).await;
    unlocked.unwrap();
    store.destroy_login_session(id.as_str()).await.unwrap();
}
