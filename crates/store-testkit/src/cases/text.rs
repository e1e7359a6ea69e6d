//! Text: its limits, and that bytes compare as bytes.

use std::sync::Arc;

use store_core::{
    Aid, ClientId, ClientUpdate, DeploymentId, DeploymentUpdate, Description, DeviceFingerprint,
    EndpointUrl, ErrorKind, IpAddress, Issuer, LockToken, LoginSessionId, Name, NewClient,
    NewDeployment, NewJtsSession, Nonce, Principal, SessionPolicy, StateProof, Store, Text,
    TextKind, UserAgent,
};

use super::jts_sessions;
use super::login_sessions::HOUR;
use crate::cases::cases;
use crate::expect::{refused, refused_input};
use crate::fixtures::text;
use crate::world::{World, secs};

cases!(text:
    limits_are_inclusive_and_name_the_field, text_at_its_limit_is_kept, any_lookup_takes_any_string,
    other_spellings_of_an_id_are_not_found, nonces_compare_as_bytes, launch_configs_compare_as_bytes,
    clients_compare_as_bytes, deployments_compare_as_bytes, login_ids_compare_as_bytes,
    anchor_ids_compare_as_bytes, odd_text_is_kept,
);

/// Text that only a comparison of bytes tells apart from `Café`.
const VARIANTS: [&str; 9] = [
    "Café",
    "café",
    "CAFÉ",
    "Cafe",
    "Cafe\u{301}",
    "Café ",
    " Café",
    "Café\u{200b}",
    "Ｃafé",
];

/// Text that has a meaning to a server, a format or a terminal.
const ODD: [&str; 22] = [
    " ",
    "  ",
    "\t",
    "\r\n",
    "'",
    "\"",
    "`",
    "\\",
    "\\'",
    "%",
    "_",
    "$1",
    "?",
    ":a",
    "--",
    ";",
    "' OR 1=1 --",
    "'; DROP TABLE clients; --",
    "null",
    "\u{1}\u{7f}",
    "\u{202e}\u{feff}",
    "🔑👩🏽‍🎓",
];

/// A text of so many characters of four bytes each.
fn keys(count: usize) -> String {
    "🔑".repeat(count)
}

/// Checks the limits of a kind of text.
fn limits<K: TextKind>(field: &str, min: usize, max: usize) {
    assert_eq!((K::FIELD, K::MIN_CHARS, K::MAX_CHARS), (field, min, max));
    for (c, bytes) in [("x", 1), ("é", 2), ("€", 3), ("🔑", 4)] {
        let longest = Text::<K>::new(c.repeat(max)).unwrap();
        assert_eq!(longest.as_str().len(), max * bytes);
        let error = refused_input(Text::<K>::new(c.repeat(max + 1)));
        assert_eq!(error.field(), Some(field));
        let told = error.to_string();
        assert!(
            told.contains(field) && told.contains(&max.to_string()),
            "{told}"
        );
    }
    assert_eq!(Text::<K>::new("").is_ok(), min == 0, "{field}");
    assert_eq!(refused_input(Text::<K>::new("a\0b")).field(), Some(field));
}

async fn limits_are_inclusive_and_name_the_field(_: World) {
    fn of<K: TextKind>(_: Option<Text<K>>, field: &str, min: usize, max: usize) {
        limits::<K>(field, min, max);
    }
    of(None::<Name>, "name", 0, 255);
    of(None::<Description>, "description", 0, 16_383);
    of(None::<Issuer>, "iss", 1, 255);
    of(None::<ClientId>, "client_id", 1, 255);
    of(None::<DeploymentId>, "deployment_id", 1, 255);
    of(None::<Nonce>, "nonce", 1, 255);
    of(None::<Aid>, "aid", 1, 64);
    of(None::<Principal>, "prn", 1, 256);
    of(None::<StateProof>, "state_proof", 1, 256);
    of(None::<DeviceFingerprint>, "device_fingerprint", 0, 128);
    of(None::<IpAddress>, "ip_address", 0, 45);
    of(None::<UserAgent>, "user_agent", 0, 16_383);
    of(None::<LoginSessionId>, "id", 1, 255);
    of(None::<LockToken>, "lock_token", 1, 64);
    let url = |chars: usize| format!("https://{}", keys(chars - 8));
    EndpointUrl::new(url(2_048)).unwrap();
    assert_eq!(
        refused_input(EndpointUrl::new(url(2_049))).field(),
        Some("url")
    );
    for bad in [
        "",
        "https://",
        "ftp://a",
        "javascript:alert(1)",
        "https://a b",
        "https://a\0",
    ] {
        assert_eq!(refused_input(EndpointUrl::new(bad)).field(), Some("url"));
    }
}

async fn text_at_its_limit_is_kept(w: World) {
    let store = w.store().await;
    let url = format!("https://{}", keys(2_040));
    let client = NewClient {
        name: text(keys(255)),
        iss: text(keys(255)),
        client_id: text(keys(255)),
        auth_url: text(url.clone()),
        token_url: text(url.clone()),
        jwks_url: text(url),
    };
    let client = store.add_client(client).await.unwrap();
    let deployment = NewDeployment {
        deployment_id: text(keys(255)),
        name: Some(text(keys(255))),
        description: Some(text(keys(16_383))),
    };
    let id = client.id.to_string();
    let deployment = store.add_deployment(&id, deployment).await.unwrap();
    let found = store.get_client(&id).await.unwrap().unwrap();
    assert_eq!(
        (found.client, found.deployments),
        (client, vec![deployment])
    );
    let config = store
        .get_launch_config(&keys(255), &keys(255), &keys(255))
        .await
        .unwrap();
    let config = config.unwrap();
    store.save_launch_config(&config).await.unwrap();

    let nonce: Nonce = text(keys(255));
    store.store_nonce(&nonce, None).await.unwrap();
    assert!(store.consume_nonce(nonce.as_str()).await.unwrap());

    let new = NewJtsSession {
        device_fingerprint: Some(text(keys(128))),
        user_agent: Some(text(keys(16_383))),
        ip_address: Some(text(keys(45))),
        ..NewJtsSession::of(text(keys(256)))
    };
    let created = store
        .create_jts_session(new, SessionPolicy::Single)
        .await
        .unwrap();
    jts_sessions::same(
        jts_sessions::get(&store, &created.session).await,
        &created.session,
    );
    assert_eq!(store.count_jts_sessions(&keys(256)).await.unwrap(), 1);

    let login: LoginSessionId = text(keys(255));
    store
        .create_login_session(&login, w.make().login_data(), HOUR)
        .await
        .unwrap();
    assert!(
        store
            .load_login_session(login.as_str())
            .await
            .unwrap()
            .is_some()
    );
}

/// Calls every lookup with a string that nothing has as its key, as a cookie or query may bring it.
async fn finds_nothing(store: &Arc<dyn Store>, odd: &str) {
    let not_found = ErrorKind::NotFound;
    let deployment = || NewDeployment {
        deployment_id: text("d"),
        name: None,
        description: None,
    };
    assert_eq!(store.get_client(odd).await.unwrap(), None);
    refused(
        store.update_client(odd, ClientUpdate::default()).await,
        not_found,
    );
    assert!(!store.delete_client(odd).await.unwrap());
    refused(store.list_deployments(odd).await, not_found);
    assert_eq!(store.get_deployment(odd, odd).await.unwrap(), None);
    refused(store.add_deployment(odd, deployment()).await, not_found);
    let update = DeploymentUpdate::default();
    refused(store.update_deployment(odd, odd, update).await, not_found);
    assert!(!store.delete_deployment(odd, odd).await.unwrap());
    assert_eq!(store.get_launch_config(odd, odd, odd).await.unwrap(), None);
    assert_eq!(store.get_lti_session(odd).await.unwrap(), None);
    assert!(!store.delete_lti_session(odd).await.unwrap());
    assert!(!store.consume_nonce(odd).await.unwrap());
    assert_eq!(store.get_registration_session(odd).await.unwrap(), None);
    assert_eq!(store.take_registration_session(odd).await.unwrap(), None);
    assert!(!store.delete_registration_session(odd).await.unwrap());
    assert_eq!(store.get_jts_session(odd).await.unwrap(), None);
    assert!(
        store
            .validate_state_proof(odd)
            .await
            .unwrap()
            .error_code()
            .is_some()
    );
    refused(store.rotate_state_proof(odd, odd).await, not_found);
    assert!(
        store
            .renew_state_proof(odd)
            .await
            .unwrap()
            .error_code()
            .is_some()
    );
    assert!(!store.touch_jts_session(odd).await.unwrap());
    assert!(!store.delete_jts_session(odd).await.unwrap());
    assert_eq!(store.delete_jts_sessions(odd).await.unwrap(), 0);
    assert_eq!(store.list_jts_sessions(odd).await.unwrap(), []);
    assert_eq!(store.count_jts_sessions(odd).await.unwrap(), 0);
    assert!(!store.delete_oldest_jts_session(odd).await.unwrap());
    assert_eq!(store.load_login_session(odd).await.unwrap(), None);
    refused(
        store
            .set_login_properties(odd, Default::default(), None)
            .await,
        not_found,
    );
    refused(
        store.unset_login_properties(odd, &[odd], None).await,
        not_found,
    );
    refused(store.extend_login_session(odd, HOUR).await, not_found);
    assert!(!store.destroy_login_session(odd).await.unwrap());
    refused(store.lock_login_session(odd, odd).await, not_found);
    refused(
        store
            .unlock_login_session(odd, &LockToken::generate())
            .await,
        not_found,
    );
}

async fn any_lookup_takes_any_string(w: World) {
    let store = w.store().await;
    let long = "x".repeat(100_000);
    for odd in ODD
        .into_iter()
        .chain(["", "\0", "a\0b", "not-a-uuid", &long, &keys(3_000)])
    {
        finds_nothing(&store, odd).await;
    }
}

async fn other_spellings_of_an_id_are_not_found(w: World) {
    let store = w.store().await;
    let client = store.add_client(w.make().client(1)).await.unwrap();
    let session = w.make().lti_session(1);
    store.add_lti_session(&session, None).await.unwrap();
    let registration = w.make().registration(1, w.after(secs(60)));
    store
        .set_registration_session(session.id, &registration)
        .await
        .unwrap();
    for id in [client.id, session.id] {
        let (plain, hex) = (id.to_string(), id.simple().to_string());
        let spellings = [
            plain.to_uppercase(),
            id.simple().to_string(),
            id.braced().to_string(),
            id.urn().to_string(),
            format!("{plain} "),
            format!(" {plain}"),
            format!("{plain}\0"),
            format!("{}-{}", &hex[..16], &hex[16..]),
        ];
        for spelling in spellings.iter().filter(|spelling| **spelling != plain) {
            finds_nothing(&store, spelling).await;
        }
    }
    assert!(
        store
            .get_client(&client.id.to_string())
            .await
            .unwrap()
            .is_some()
    );
    let id = session.id.to_string();
    assert!(store.get_lti_session(&id).await.unwrap().is_some());
    assert!(
        store
            .take_registration_session(&id)
            .await
            .unwrap()
            .is_some()
    );
}

async fn nonces_compare_as_bytes(w: World) {
    let store = w.store().await;
    for (n, variant) in VARIANTS.into_iter().enumerate() {
        for later in &VARIANTS[n..] {
            assert!(
                !store.consume_nonce(later).await.unwrap(),
                "{later:?} after {n} others"
            );
        }
        store.store_nonce(&text(variant), None).await.unwrap();
        assert!(store.consume_nonce(variant).await.unwrap(), "{variant:?}");
    }
}

async fn launch_configs_compare_as_bytes(w: World) {
    let store = w.store().await;
    let mut config = w.make().launch_config(1);
    config.iss = text(VARIANTS[0]);
    config.client_id = text(VARIANTS[0]);
    config.deployment_id = text(VARIANTS[0]);
    store.save_launch_config(&config).await.unwrap();
    let same = VARIANTS[0];
    for other in &VARIANTS[1..] {
        for [iss, client, deployment] in [
            [other, same, same],
            [same, other, same],
            [same, same, other],
        ] {
            let found = store
                .get_launch_config(iss, client, deployment)
                .await
                .unwrap();
            assert_eq!(found, None, "{other:?}");
        }
    }
    let found = store.get_launch_config(same, same, same).await.unwrap();
    assert_eq!(found.as_deref(), Some(&config));
}

async fn clients_compare_as_bytes(w: World) {
    let store = w.store().await;
    let same = VARIANTS[0];
    for other in VARIANTS {
        let client = NewClient {
            iss: text(other),
            client_id: text(same),
            ..w.make().client(1)
        };
        store.add_client(client).await.unwrap();
    }
    for other in &VARIANTS[1..] {
        let client = NewClient {
            iss: text(same),
            client_id: text(*other),
            ..w.make().client(1)
        };
        store.add_client(client).await.unwrap();
    }
    assert_eq!(
        store.list_clients().await.unwrap().len(),
        2 * VARIANTS.len() - 1
    );
}

async fn deployments_compare_as_bytes(w: World) {
    let store = w.store().await;
    let client = store
        .add_client(w.make().client(1))
        .await
        .unwrap()
        .id
        .to_string();
    for variant in VARIANTS {
        let deployment = NewDeployment {
            deployment_id: text(variant),
            ..w.make().deployment(1)
        };
        let added = store.add_deployment(&client, deployment).await.unwrap();
        assert_eq!(added.deployment_id.as_str(), variant);
    }
    assert_eq!(
        store.list_deployments(&client).await.unwrap().len(),
        VARIANTS.len()
    );
}

async fn login_ids_compare_as_bytes(w: World) {
    let store = w.store().await;
    for (n, variant) in VARIANTS.into_iter().enumerate() {
        for later in &VARIANTS[n..] {
            assert_eq!(
                store.load_login_session(later).await.unwrap(),
                None,
                "{later:?}"
            );
            assert!(
                !store.destroy_login_session(later).await.unwrap(),
                "{later:?}"
            );
        }
        let id = text(variant);
        store
            .create_login_session(&id, w.make().login_data(), HOUR)
            .await
            .unwrap();
        let found = store.load_login_session(variant).await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), variant);
    }
}

async fn anchor_ids_compare_as_bytes(w: World) {
    let store = w.store().await;
    let session = jts_sessions::create(&w, &store, 1).await;
    let aid = session.aid.as_str();
    for odd in [
        aid.to_uppercase(),
        aid.to_lowercase(),
        format!("{aid} "),
        format!(" {aid}"),
    ] {
        if odd != aid {
            assert_eq!(store.get_jts_session(&odd).await.unwrap(), None);
            assert!(!store.touch_jts_session(&odd).await.unwrap());
            assert!(!store.delete_jts_session(&odd).await.unwrap());
        }
    }
    jts_sessions::same(jts_sessions::get(&store, &session).await, &session);
}

async fn odd_text_is_kept(w: World) {
    let store = w.store().await;
    for odd in ODD {
        let client = NewClient {
            name: text(odd),
            iss: text(odd),
            client_id: text(odd),
            ..w.make().client(1)
        };
        let client = store.add_client(client).await.unwrap();
        let id = client.id.to_string();
        assert_eq!(
            store
                .get_client(&id)
                .await
                .unwrap()
                .map(|found| found.client),
            Some(client)
        );
        let deployment = NewDeployment {
            deployment_id: text(odd),
            name: Some(text(odd)),
            description: Some(text(odd)),
        };
        let added = store.add_deployment(&id, deployment).await.unwrap();
        assert_eq!(store.list_deployments(&id).await.unwrap(), [added]);
        let config = store.get_launch_config(odd, odd, odd).await.unwrap();
        assert_eq!(config.unwrap().deployment_id.as_str(), odd);
        store.store_nonce(&text(odd), None).await.unwrap();
        assert!(store.consume_nonce(odd).await.unwrap());
        let new = NewJtsSession {
            user_agent: Some(text(odd)),
            ..NewJtsSession::of(text(odd))
        };
        let created = store
            .create_jts_session(new, SessionPolicy::Single)
            .await
            .unwrap();
        jts_sessions::same(
            jts_sessions::get(&store, &created.session).await,
            &created.session,
        );
        assert_eq!(store.count_jts_sessions(odd).await.unwrap(), 1);
        store
            .create_login_session(&text(odd), w.make().login_data(), HOUR)
            .await
            .unwrap();
        assert!(store.destroy_login_session(odd).await.unwrap());
    }
}
