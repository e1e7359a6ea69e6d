//! Every operation of a store, called once.

use serde_json::json;
use store_core::{
    Aid, CleanupKind, ClientUpdate, DeploymentUpdate, LockToken, LoginSession, Result,
    SessionPolicy, StateProof, Store, Timestamp,
};

use crate::fixtures::{Fixtures, object};
use crate::world::secs;

/// What came of each operation on the tables, by its name. The input is in order, so that each
/// reaches the server.
pub(crate) async fn call_each(
    store: &dyn Store,
    make: &Fixtures,
) -> Vec<(&'static str, Result<()>)> {
    let id = make.uuid(900).to_string();
    let id = id.as_str();
    let mut results = Vec::new();
    macro_rules! call {
        ($($operation:ident($($argument:expr),*);)*) => {$(
            let result = store.$operation($($argument),*).await;
            results.push((stringify!($operation), result.map(drop)));
        )*};
    }

    call! {
        list_clients();
        get_client(id);
        add_client(make.client(900));
        update_client(id, ClientUpdate::default());
        delete_client(id);
        list_deployments(id);
        get_deployment(id, id);
        add_deployment(id, make.deployment(900));
        update_deployment(id, id, DeploymentUpdate::default());
        delete_deployment(id, id);
        get_launch_config("https://lms.example", "client", "deployment");
        save_launch_config(&make.launch_config(900));
        add_lti_session(&make.lti_session(900), None);
        get_lti_session(id);
        delete_lti_session(id);
        store_nonce(&make.nonce(900), None);
        consume_nonce(make.nonce(900).as_str());
        set_registration_session(make.uuid(900), &make.registration(900, Timestamp::MAX));
        get_registration_session(id);
        take_registration_session(id);
        delete_registration_session(id);
    }

    let (aid, proof, prn) = (Aid::generate(), StateProof::generate(), make.principal(900));
    let (aid, proof, prn) = (aid.as_str(), proof.as_str(), prn.as_str());
    call! {
        create_jts_session(make.jts_session(900), SessionPolicy::Single);
        create_jts_session(make.jts_session(900), SessionPolicy::AllowAll);
        get_jts_session(aid);
        validate_state_proof(proof);
        rotate_state_proof(aid, proof);
        renew_state_proof(proof);
        touch_jts_session(aid);
        delete_jts_session(aid);
        delete_jts_sessions(prn);
        list_jts_sessions(prn);
        count_jts_sessions(prn);
        delete_oldest_jts_session(prn);
    }

    let (login, token) = (make.login_id(900), LockToken::generate());
    let session = LoginSession {
        id: login.clone(),
        data: make.login_data(),
        expires_at: Timestamp::MAX,
        version: 1,
    };
    let login = login.as_str();
    call! {
        create_login_session(&session.id, make.login_data(), secs(60));
        load_login_session(login);
        save_login_session(&session, None, None);
        set_login_properties(login, object(json!({"a": 1})), None);
        unset_login_properties(login, &["a"], None);
        extend_login_session(login, secs(60));
        lock_login_session(login, "refresh-0");
        unlock_login_session(login, &token);
        destroy_login_session(login);
    }

    for kind in CleanupKind::ALL {
        call!(delete_expired(kind, 10););
    }
    results
}
