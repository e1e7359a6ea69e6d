//! Creating the table, and tables that others made.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveStatus,
};
use store_core::{ErrorKind, SchemaStore, Settings};
use store_dynamo::{Billing, Capacity};

use crate::support::{Place, Server};
use crate::{Test, everywhere};

pub(crate) const TESTS: &[Test] = &[
    everywhere("creates_what_the_options_ask_for", |server| {
        Box::pin(creates_what_the_options_ask_for(server))
    }),
    everywhere("a_table_of_another_shape_is_left_alone", |server| {
        Box::pin(a_table_of_another_shape_is_left_alone(server))
    }),
    everywhere("a_table_that_lost_its_record_is_recognised", |server| {
        Box::pin(a_table_that_lost_its_record_is_recognised(server))
    }),
];

async fn creates_what_the_options_ask_for(server: Server) {
    let mut place = server.place();
    let billing = Billing::Provisioned {
        table: Capacity { read: 5, write: 6 },
        index: Capacity { read: 7, write: 8 },
    };
    place.config.options.billing = billing;
    place.store(Settings::default()).await;
    let client = place.client();
    let described = client.describe_table().table_name(place.table()).send();
    let table = described.await.unwrap().table.unwrap();
    let throughput = table.provisioned_throughput().unwrap();
    assert_eq!(
        (
            throughput.read_capacity_units(),
            throughput.write_capacity_units()
        ),
        (Some(5), Some(6))
    );
    let index = &table.global_secondary_indexes()[0];
    let throughput = index.provisioned_throughput().unwrap();
    assert_eq!(throughput.write_capacity_units(), Some(8));
    let described = client.describe_time_to_live().table_name(place.table());
    let described = described.send().await.unwrap();
    let reaping = described.time_to_live_description.unwrap();
    assert_eq!(reaping.attribute_name(), Some("reap_at"));
    assert_eq!(
        reaping.time_to_live_status(),
        Some(&TimeToLiveStatus::Enabled)
    );
    place.remove().await;
}

async fn a_table_of_another_shape_is_left_alone(server: Server) {
    let place = server.place();
    create(&place, "id").await;
    let store = place.open(Settings::default()).await;
    let error = store.bootstrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
    assert!(!error.is_retryable());
    let client = place.client();
    let described = client.describe_table().table_name(place.table()).send();
    let table = described.await.unwrap().table.unwrap();
    assert_eq!(table.key_schema()[0].attribute_name(), "id");
    let described = client.describe_time_to_live().table_name(place.table());
    let described = described.send().await.unwrap();
    let status = described.time_to_live_description.unwrap();
    assert_ne!(
        status.time_to_live_status(),
        Some(&TimeToLiveStatus::Enabled)
    );
    place.remove().await;
}

async fn create(place: &Place, key: &str) {
    let definition = AttributeDefinition::builder()
        .attribute_name(key)
        .attribute_type(ScalarAttributeType::S);
    let element = KeySchemaElement::builder()
        .attribute_name(key)
        .key_type(KeyType::Hash);
    let create = place.client().create_table().table_name(place.table());
    create
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(definition.build().unwrap())
        .key_schema(element.build().unwrap())
        .send()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// As one that was made from the printed definition has none.
async fn a_table_that_lost_its_record_is_recognised(server: Server) {
    let place = server.place();
    let store = place.store(Settings::default()).await;
    let client = place.client();
    let delete = client.delete_item().table_name(place.table());
    delete
        .key("pk", s("MIGRATIONS"))
        .key("sk", s("0001"))
        .send()
        .await
        .unwrap();
    assert!(!store.schema_status().await.unwrap().is_current());
    let report = store.bootstrap().await.unwrap();
    assert_eq!(report.applied, ["0001_table"]);
    assert!(store.schema_status().await.unwrap().is_current());
    place.remove().await;
}

fn s(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}
