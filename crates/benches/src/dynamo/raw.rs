//! The limit on DynamoDB: the stores' requests by hand, with the SDK as it comes. What is read stays an item.

mod keys;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnValue, WriteRequest,
};
use store_core::{LockToken, StateProof};

use self::keys::{Key, item, n, s};
use crate::case::Case;
use crate::subject::Subject;
use crate::world::{LoginKey, Turn, World};

/// How many items a request writes at most.
const BATCH: usize = 25;

type Item = HashMap<String, AttributeValue>;

pub(super) struct Raw {
    client: Client,
    table: String,
}

fn millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => bail!("the item has no {name}"),
    }
}

impl Raw {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    async fn get(&self, key: Key) -> Result<Item> {
        let request = self.client.get_item().table_name(&self.table);
        let request = request.set_key(Some(key.into())).consistent_read(true);
        request.send().await?.item.context("the item is not there")
    }

    async fn put(&self, key: Key, mut item: Item, condition: Option<&str>) -> Result<()> {
        item.extend(Item::from(key));
        let mut request = self.client.put_item().table_name(&self.table);
        if let Some(condition) = condition {
            request = request
                .condition_expression(condition)
                .expression_attribute_values(":now", n(millis()));
        }
        request.set_item(Some(item)).send().await?;
        Ok(())
    }

    fn update(&self, key: Key, update: &str, condition: &str) -> UpdateItemFluentBuilder {
        let request = self.client.update_item().table_name(&self.table);
        request
            .set_key(Some(key.into()))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_values(":now", n(millis()))
    }

    /// The client, and the markers of the deployment and of the one that is fallen back to.
    async fn launch_config(&self, world: &World, n: usize) -> Result<()> {
        let wanted = &world.launch_configs[n];
        let base = keys::natural_base(wanted.iss.as_str(), wanted.client_id.as_str());
        let keys = [
            keys::marker(&base, wanted.deployment_id.as_str()),
            keys::marker(&base, "default"),
            keys::registered_client(&base),
        ];
        let keys = keys.into_iter().map(Item::from).collect();
        let keys = KeysAndAttributes::builder().set_keys(Some(keys));
        let request = self.client.batch_get_item();
        let request = request.request_items(&self.table, keys.consistent_read(true).build()?);
        let found = request.send().await?.responses.unwrap_or_default();
        let found = found.get(&self.table).map_or(0, Vec::len);
        ensure!(found == 2, "{found} items of a launch config");
        Ok(())
    }

    async fn rotate(&self, case: Case, turn: &mut Turn) -> Result<()> {
        let key = &turn.world.clone().jts[turn.own()];
        let (seen, fresh) = (key.proof(), StateProof::generate());
        let pointer = self.get(keys::proof(&seen)).await?;
        let (partition, aid) = (text(&pointer, "home")?, text(&pointer, "aid")?);
        ensure!(
            case == Case::RenewProof || aid == key.aid,
            "the proof is another session's"
        );
        let session = keys::jts_session(partition, aid);
        let aid = aid.to_owned();
        let mut next = pointer.clone();
        next.remove("pk");
        next.remove("sk");
        self.put(keys::proof(fresh.as_str()), next, None).await?;
        let request = self.update(
            session,
            "SET previous_proof = :seen, proof = :fresh, proof_rev = proof_rev + :one, rotated_at = :now, last_active = :now",
            "proof = :seen AND aid = :aid AND expires_at > :now AND last_active <= :now",
        );
        let request = request
            .expression_attribute_values(":seen", s(&seen))
            .expression_attribute_values(":fresh", s(fresh.as_str()))
            .expression_attribute_values(":aid", s(&aid))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::AllNew);
        black_box(request.send().await?);
        key.set_proof(fresh.as_str());
        Ok(())
    }

    /// Writes items in as few requests as there can be.
    async fn write_all(&self, mut requests: Vec<WriteRequest>) -> Result<()> {
        while !requests.is_empty() {
            let some = requests.split_off(requests.len().saturating_sub(BATCH));
            let request = self.client.batch_write_item();
            let answer = request.request_items(&self.table, some).send().await?;
            let left = answer.unprocessed_items.unwrap_or_default();
            requests.extend(left.into_values().flatten());
        }
        Ok(())
    }

    /// Stores LTI sessions that have expired, each a little sooner than the one before it.
    pub(super) async fn add_expired(&self, count: usize) -> Result<()> {
        let json = World::new(1)?.lti_json;
        let mut requests = Vec::with_capacity(count);
        for n in 0..count {
            let key = keys::lti_session(&uuid::Uuid::new_v4().to_string());
            let mut item = item([("payload", s(&json))]);
            keys::expire_at(&mut item, "sessions", &key, millis() - i64::try_from(n)?);
            item.extend(Item::from(key));
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        self.write_all(requests).await
    }

    /// A page of the keys of LTI sessions in a part of the index that have expired.
    async fn expired(&self, shard: u32) -> Result<Vec<Item>> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("expiry");
        let request = request
            .key_condition_expression("expiry = :part AND expires_at <= :now")
            .expression_attribute_values(":part", s(&format!("sessions#{shard}")))
            .expression_attribute_values(":now", n(millis()));
        Ok(request.limit(1_000).send().await?.items.unwrap_or_default())
    }

    async fn save(&self, world: &World, key: &LoginKey, token: Option<&str>) -> Result<()> {
        let condition = match token {
            None => "expires_at > :now AND rev = :seen",
            Some(_) => "expires_at > :now AND rev = :seen AND lock_token = :fence",
        };
        let mut request = self
            .update(
                keys::login_session(key.id.as_str()),
                "SET payload = :payload, verify = :verify, rev = rev + :one",
                condition,
            )
            .expression_attribute_values(":payload", s(&world.login_json))
            .expression_attribute_values(":verify", s(&keys::verification(world.refresh_token())))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":seen", n(key.version()));
        if let Some(token) = token {
            request = request.expression_attribute_values(":fence", s(token));
        }
        request.send().await?;
        key.set_version(key.version() + 1);
        Ok(())
    }

    async fn lock(&self, world: &World, key: &LoginKey) -> Result<()> {
        let token = LockToken::generate();
        let token = token.as_str();
        let id = key.id.as_str();
        let request = self
            .update(
                keys::login_session(id),
                "SET lock_token = :token, locked_until = :until",
                "expires_at > :now AND verify = :verify AND (attribute_not_exists(locked_until) OR locked_until <= :now)",
            )
            .expression_attribute_values(":token", s(token))
            .expression_attribute_values(":until", n(millis() + 10_000))
            .expression_attribute_values(":verify", s(&keys::verification(world.refresh_token())))
            .return_values(ReturnValue::AllNew);
        black_box(request.send().await?);
        self.save(world, key, Some(token)).await?;
        let request = self.update(
            keys::login_session(id),
            "REMOVE lock_token, locked_until",
            "expires_at > :now AND lock_token = :fence",
        );
        let request = request.expression_attribute_values(":fence", s(token));
        request.send().await?;
        Ok(())
    }
}

#[async_trait]
impl Subject for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn supports(&self, case: Case) -> bool {
        case != Case::GetCachedLaunchConfig
    }

    async fn once(&self, case: Case, turn: &mut Turn) -> Result<()> {
        const ABSENT: Option<&str> = Some("attribute_not_exists(pk) OR expires_at <= :now");
        let world = Arc::clone(&turn.world);
        match case {
            Case::GetLtiSession => {
                let key = keys::lti_session(&world.lti[turn.any()].text);
                black_box(self.get(key).await?);
            }
            Case::AddLtiSession => {
                let key = keys::lti_session(&turn.new_uuid().to_string());
                let mut item = item([("payload", s(&world.lti_json))]);
                keys::expire(&mut item, "sessions", &key, Duration::from_secs(24 * 3600));
                self.put(key, item, ABSENT).await?;
            }
            Case::Nonce => {
                let nonce = turn.new_nonce();
                let key = keys::nonce(&nonce);
                let mut item = Item::new();
                keys::expire(&mut item, "nonces", &key, Duration::from_secs(600));
                self.put(key, item, ABSENT).await?;
                let request = self.update(
                    keys::nonce(&nonce),
                    "SET used_at = :now",
                    "attribute_exists(pk) AND expires_at > :now AND attribute_not_exists(used_at)",
                );
                request.send().await?;
            }
            Case::GetLaunchConfig => self.launch_config(&world, turn.launch_config()).await?,
            Case::GetCachedLaunchConfig => bail!("the SDK has no cache"),
            Case::ValidateProof => {
                let proof = world.jts[turn.any()].proof();
                let pointer = self.get(keys::proof(&proof)).await?;
                let (partition, aid) = (text(&pointer, "home")?, text(&pointer, "aid")?);
                black_box(self.get(keys::jts_session(partition, aid)).await?);
            }
            Case::RotateProof | Case::RenewProof => self.rotate(case, turn).await?,
            Case::TouchJts => {
                let aid = world.jts[turn.own()].aid.as_str();
                let anchor = self.get(keys::anchor(aid)).await?;
                let request = self.update(
                    keys::jts_session(text(&anchor, "home")?, aid),
                    "SET last_active = :now",
                    // The store tells a session that was touched in this millisecond from one that is gone.
                    "expires_at > :now AND last_active <= :now",
                );
                request.send().await?;
            }
            Case::LoadLogin => {
                let key = keys::login_session(world.logins[turn.any()].id.as_str());
                black_box(self.get(key).await?);
            }
            Case::SaveLogin => {
                let key = &world.logins[turn.own()];
                self.save(&world, key, None).await?;
            }
            Case::LockLogin => self.lock(&world, &world.logins[turn.own()]).await?,
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<u64> {
        let mut deleted = 0;
        for shard in 0..keys::SHARDS {
            loop {
                let found = self.expired(shard).await?;
                if found.is_empty() {
                    break;
                }
                let deletes = found.into_iter().map(|mut item| {
                    item.retain(|name, _| name == "pk" || name == "sk");
                    let delete = DeleteRequest::builder().set_key(Some(item)).build()?;
                    Ok(WriteRequest::builder().delete_request(delete).build())
                });
                let deletes = deletes.collect::<Result<Vec<_>>>()?;
                deleted += deletes.len() as u64;
                self.write_all(deletes).await?;
            }
        }
        Ok(deleted)
    }
}
