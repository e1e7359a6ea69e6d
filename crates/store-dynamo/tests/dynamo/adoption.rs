//! Importing what the npm family's LTI adapter keeps.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use store_core::{
    ClientStore, Clock, LaunchConfigStore, LtiSessionStore, NonceStore, RegistrationSessionStore,
    Settings, SystemClock,
};

use crate::support::{Place, Server};
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[everywhere(
    "tables_of_the_original_are_imported",
    |server| Box::pin(tables_of_the_original_are_imported(server)),
)];

const CLIENT: &str = "0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c6a01";
const TWIN: &str = "0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c6a02";
const SESSION: &str = "0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c6a03";
const OLD: &str = "0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c6a04";
const REGISTRATION: &str = "0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c6a05";

type Item = HashMap<String, AttributeValue>;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item(pk: &str, sk: &str, fields: &[(&str, AttributeValue)]) -> Item {
    let keys = [("pk", s(pk)), ("sk", s(sk))];
    let all = keys.iter().chain(fields);
    all.map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn client(id: &str) -> Item {
    item(
        &format!("C#{id}"),
        "#",
        &[
            ("gsi1pk", s("Type#Client")),
            ("gsi1sk", s(&format!("#{id}"))),
            ("type", s("Client")),
            ("id", s(id)),
            ("name", s("LMS")),
            ("iss", s("https://lms.example/a#b")),
            ("clientId", s("tool")),
            ("authUrl", s("https://lms.example/auth")),
            ("tokenUrl", s("https://lms.example/token")),
            ("jwksUrl", s("https://lms.example/jwks")),
        ],
    )
}

fn deployment(number: u32) -> Item {
    let id = format!("0f6ac3a4-2b0b-4b86-9d6a-0f4a1f4c{number:04}");
    let deployment_id = s(&format!("deployment-{number}"));
    let fields = [
        ("type", s("Deployment")),
        ("id", s(&id)),
        ("deploymentId", deployment_id),
        ("name", s("Course")),
    ];
    item(&format!("C#{CLIENT}"), &format!("D#{id}"), &fields)
}

fn session(id: &str, ttl: i64) -> Item {
    let map = |fields: &[(&str, AttributeValue)]| {
        let fields = fields.iter();
        AttributeValue::M(
            fields
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    };
    let user = [
        ("id", s("u1")),
        ("roles", AttributeValue::L(vec![s("student")])),
    ];
    let payload = [("sub", s("u1")), ("iat", n(1_700_000_000))];
    let fields = [
        ("id", s(id)),
        ("user", map(&user)),
        ("context", map(&[("id", s("c1"))])),
        ("platform", map(&[("issuer", s("https://lms.example/a#b"))])),
        ("launch", map(&[("target", s("https://tool.example"))])),
        ("customParameters", map(&[])),
        ("isAdmin", AttributeValue::Bool(false)),
        ("isStudent", AttributeValue::Bool(true)),
        ("jwtPayload", map(&payload)),
        ("ttl", n(ttl)),
    ];
    item(&format!("S#{id}"), &format!("S#{id}"), &fields)
}

/// A table with the original's keys, which holds these.
async fn table(place: &Place, name: &str, items: Vec<Item>) -> String {
    let name = format!("{}{name}", place.config.prefix);
    let client = place.client();
    let mut create = client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest);
    for (key, of_type) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(key)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder()
            .attribute_name(key)
            .key_type(of_type);
        create = create
            .attribute_definitions(definition.build().unwrap())
            .key_schema(element.build().unwrap());
    }
    create.send().await.unwrap();
    for item in items {
        let put = client.put_item().table_name(&name).set_item(Some(item));
        put.send().await.unwrap();
    }
    name
}

async fn tables_of_the_original_are_imported(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let now = SystemClock.now().unix_millis() / 1_000;
    let mut control = vec![client(CLIENT)];
    control.extend((0..250).map(deployment));
    let control = table(&place, "control", control).await;
    let nonce = [("nonce", s("n1")), ("ttl", n(now + 600))];
    let registration = [
        ("openIdConfiguration", AttributeValue::M(HashMap::new())),
        ("registrationToken", s("token")),
        ("expiresAt", n((now + 600) * 1_000)),
        ("ttl", n(now + 600)),
    ];
    let data = vec![
        session(SESSION, now + 600),
        session(OLD, now - 1),
        item("N#n1", "N#n1", &nonce),
        item(&format!("DYNREG#{REGISTRATION}"), "#", &registration),
    ];
    let data = table(&place, "data", data).await;

    let mut cursors = Vec::new();
    let mut keep = |report: &store_dynamo::ImportReport| cursors.push(report.next.clone());
    let whole = store.import_lti(&control, None, &mut keep).await.unwrap();
    assert!(cursors.len() >= 3 && cursors[0].is_some());
    assert_eq!(whole.added["clients"], 1, "{whole:?}");
    assert_eq!(whole.added["deployments"], 250);
    let found = store.get_client(CLIENT).await.unwrap().unwrap();
    assert_eq!(found.deployments.len(), 250);
    let iss = "https://lms.example/a#b";
    let launch = store.get_launch_config(iss, "tool", "deployment-7").await;
    assert!(launch.unwrap().is_some());
    // Another run goes on after the first page, and adds nothing twice.
    let from = cursors[0].clone();
    let again = store.import_lti(&control, from, &mut |_| ()).await.unwrap();
    assert!(again.added.is_empty());
    assert_eq!(again.present, 151);
    // The original lets two clients have the same issuer and client id; only the first can be here.
    let twin = table(&place, "twin", vec![client(TWIN)]).await;
    let refused = store.import_lti(&twin, None, &mut |_| ()).await.unwrap();
    assert_eq!((refused.refused.len(), refused.added.len()), (1, 0));

    let report = store.import_lti(&data, None, &mut |_| ()).await.unwrap();
    assert_eq!(report.expired, 1);
    assert_eq!(report.refused, [""; 0]);
    assert_eq!(report.added.values().sum::<u64>(), 3);
    let found = store.get_lti_session(SESSION).await.unwrap().unwrap();
    assert_eq!(found.user.id.as_deref(), Some("u1"));
    assert!(found.is_student && !found.is_admin);
    assert_eq!(found.expires_at.unix_millis(), (now + 600) * 1_000);
    assert_eq!(store.get_lti_session(OLD).await.unwrap(), None);
    assert!(!store.consume_nonce("n1").await.unwrap(), "it was used");
    let taken = store.take_registration_session(REGISTRATION).await;
    assert_eq!(
        taken.unwrap().unwrap().registration_token.as_deref(),
        Some("token")
    );
    for name in [control, data, twin] {
        let delete = place.client().delete_table().table_name(name);
        delete.send().await.unwrap();
    }
    place.remove().await;
}
