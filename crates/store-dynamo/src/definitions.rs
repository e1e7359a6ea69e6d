//! The table and the rights to it, written for those who set them up by other means.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::bootstrap::MIGRATIONS;
use crate::config::{Billing, Capacity, DynamoConfig, Encryption};

/// What the partitions of the table hold, for whoever looks at it.
const CONTENT: &str = "Authentication state: clients, deployments, nonces, sessions, registration_sessions, jts_sessions, login_sessions";

/// A CloudFormation template.
pub(crate) fn cloud_formation(config: &DynamoConfig) -> String {
    let mut properties: Map<String, Value> =
        serde_json::from_str(MIGRATIONS[0].content).unwrap_or_default();
    let mut set = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    set("TableName", json!(config.table_name()));
    let options = &config.options;
    match options.billing {
        Billing::OnDemand => {
            set("BillingMode", json!("PAY_PER_REQUEST"));
        }
        Billing::Provisioned { table, .. } => {
            set("BillingMode", json!("PROVISIONED"));
            set("ProvisionedThroughput", throughput(table));
        }
    }
    if let Some(enabled) = options.point_in_time_recovery {
        let value = json!({ "PointInTimeRecoveryEnabled": enabled });
        set("PointInTimeRecoverySpecification", value);
    }
    if let Some(enabled) = options.deletion_protection {
        set("DeletionProtectionEnabled", json!(enabled));
    }
    if let Some(encryption) = &options.encryption {
        let mut value = json!({ "SSEEnabled": true, "SSEType": "KMS" });
        if let Encryption::Key(key) = encryption {
            value["KMSMasterKeyId"] = json!(key);
        }
        set("SSESpecification", value);
    }
    if !options.tags.is_empty() {
        let tags = options.tags.iter();
        let tags = tags.map(|(key, value)| json!({ "Key": key, "Value": value }));
        set("Tags", tags.collect());
    }
    if let Billing::Provisioned { index, .. } = options.billing {
        properties["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = throughput(index);
    }
    pretty(&json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": CONTENT,
        "Resources": {
            "AuthStore": {
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": properties,
            }
        }
    }))
}

fn throughput(capacity: Capacity) -> Value {
    json!({ "ReadCapacityUnits": capacity.read, "WriteCapacityUnits": capacity.write })
}

/// Terraform configuration.
pub(crate) fn terraform(config: &DynamoConfig) -> String {
    let options = &config.options;
    let capacity = |capacity: Capacity, indent: &str| {
        let Capacity { read, write } = capacity;
        format!("{indent}read_capacity  = {read}\n{indent}write_capacity = {write}\n")
    };
    let (billing, table, index) = match options.billing {
        Billing::OnDemand => ("PAY_PER_REQUEST", String::new(), String::new()),
        Billing::Provisioned { table, index } => (
            "PROVISIONED",
            capacity(table, "  "),
            capacity(index, "    "),
        ),
    };
    let mut text = format!(
        "# {CONTENT}
resource \"aws_dynamodb_table\" \"auth_store\" {{
  name         = {}
  billing_mode = \"{billing}\"
{table}  hash_key     = \"pk\"
  range_key    = \"sk\"
",
        quoted(&config.table_name())
    );
    if let Some(enabled) = options.deletion_protection {
        let _ = writeln!(text, "  deletion_protection_enabled = {enabled}");
    }
    for (name, of_type) in [
        ("pk", "S"),
        ("sk", "S"),
        ("expiry", "S"),
        ("expires_at", "N"),
    ] {
        let _ = write!(
            text,
            "\n  attribute {{\n    name = \"{name}\"\n    type = \"{of_type}\"\n  }}\n"
        );
    }
    let _ = write!(
        text,
        "
  global_secondary_index {{
    name            = \"expiry\"
    hash_key        = \"expiry\"
    range_key       = \"expires_at\"
    projection_type = \"KEYS_ONLY\"
{index}  }}

  ttl {{
    attribute_name = \"reap_at\"
    enabled        = true
  }}
"
    );
    if let Some(enabled) = options.point_in_time_recovery {
        let _ = write!(
            text,
            "\n  point_in_time_recovery {{\n    enabled = {enabled}\n  }}\n"
        );
    }
    if let Some(encryption) = &options.encryption {
        text += "\n  server_side_encryption {\n    enabled     = true\n";
        if let Encryption::Key(key) = encryption {
            let _ = writeln!(text, "    kms_key_arn = {}", quoted(key));
        }
        text += "  }\n";
    }
    if !options.tags.is_empty() {
        text += "\n  tags = {\n";
        for (key, value) in &options.tags {
            let _ = writeln!(text, "    {} = {}", quoted(key), quoted(value));
        }
        text += "  }\n";
    }
    text + "}\n"
}

/// A string of the Terraform language, in which `${` and `%{` begin templates.
fn quoted(text: &str) -> String {
    let json = json!(text).to_string();
    json.replace("${", "$${").replace("%{", "%%{")
}

/// What the application does to the table and its index.
const APPLICATION: &[&str] = &[
    "BatchGetItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateItem",
];

/// What bootstrap does besides.
const BOOTSTRAP: &[&str] = &[
    "CreateTable",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateTimeToLive",
];

pub(crate) fn application_policy(config: &DynamoConfig) -> String {
    let table = arn(config);
    policy(APPLICATION, json!([table, format!("{table}/index/expiry")]))
}

pub(crate) fn bootstrap_policy(config: &DynamoConfig) -> String {
    let mut actions = BOOTSTRAP.to_vec();
    if config.options.point_in_time_recovery.is_some() {
        actions.push("UpdateContinuousBackups");
    }
    if !config.options.tags.is_empty() {
        actions.push("TagResource");
    }
    policy(&actions, json!([arn(config)]))
}

fn arn(config: &DynamoConfig) -> String {
    let region = config.region.as_deref().unwrap_or("*");
    format!("arn:aws:dynamodb:{region}:*:table/{}", config.table_name())
}

fn policy(actions: &[&str], resources: Value) -> String {
    let actions = actions.iter().map(|action| format!("dynamodb:{action}"));
    pretty(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": actions.collect::<Vec<_>>(),
            "Resource": resources,
        }]
    }))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TableOptions;

    fn config() -> DynamoConfig {
        DynamoConfig {
            region: Some("eu-west-1".to_owned()),
            options: TableOptions {
                billing: Billing::Provisioned {
                    table: Capacity { read: 5, write: 6 },
                    index: Capacity { read: 7, write: 8 },
                },
                point_in_time_recovery: Some(true),
                deletion_protection: Some(true),
                encryption: Some(Encryption::Key("alias/auth".to_owned())),
                tags: [("team".to_owned(), "${auth}".to_owned())].into(),
            },
            ..DynamoConfig::default()
        }
    }

    #[test]
    fn definitions_hold_every_option() {
        let template: Value = serde_json::from_str(&cloud_formation(&config())).unwrap();
        let table = &template["Resources"]["AuthStore"]["Properties"];
        assert_eq!(table["KeySchema"][0]["AttributeName"], "pk");
        assert_eq!(table["ProvisionedThroughput"]["WriteCapacityUnits"], 6);
        let index = &table["GlobalSecondaryIndexes"][0];
        assert_eq!(index["ProvisionedThroughput"]["ReadCapacityUnits"], 7);
        assert_eq!(table["SSESpecification"]["KMSMasterKeyId"], "alias/auth");
        assert_eq!(table["TimeToLiveSpecification"]["AttributeName"], "reap_at");
        let terraform = terraform(&config());
        for part in [
            "read_capacity  = 7",
            "alias/auth",
            "\"team\" = \"$${auth}\"",
            "deletion_protection_enabled = true",
        ] {
            assert!(terraform.contains(part), "{part} in {terraform}");
        }
    }

    #[test]
    fn policies_name_only_the_table() {
        let policy = application_policy(&config());
        assert!(policy.contains("arn:aws:dynamodb:eu-west-1:*:table/auth_store/index/expiry"));
        assert!(!policy.contains("Scan") && !policy.contains("CreateTable"));
        assert!(bootstrap_policy(&config()).contains("UpdateContinuousBackups"));
    }
}
