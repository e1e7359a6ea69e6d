//! What a tool needs to answer a launch.

use std::sync::Arc;

use async_trait::async_trait;
use store_core::{
    ClientId, DEFAULT_DEPLOYMENT_ID, DeploymentId, Issuer, LaunchConfig, LaunchConfigStore, Name,
    NewClient, NewDeployment, Result,
};
use uuid::Uuid;

use super::{DynamoStore, clients, deployments, within};
use crate::execute::{Operation, Transacted};
use crate::mapping::{self, Item, StoredClient, StoredDeployment};
use crate::queries::{self, Key};
use crate::write::Write;

#[async_trait]
impl LaunchConfigStore for DynamoStore {
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>> {
        within("get_launch_config", async {
            let operation = self.begin().await?;
            if !Issuer::accepts(iss) || !ClientId::accepts(client_id) {
                return Ok(None);
            }
            // No deployment has a malformed id.
            let mut wanted = vec![DEFAULT_DEPLOYMENT_ID];
            if DeploymentId::accepts(deployment_id) && deployment_id != DEFAULT_DEPLOYMENT_ID {
                wanted.insert(0, deployment_id);
            }
            let natural = queries::natural_base(iss, client_id);
            let markers = |base: &str| -> Vec<Key> {
                let marker = |id: &&str| queries::marker(base, id);
                wanted.iter().map(marker).collect()
            };
            let mut keys = markers(&natural);
            keys.push(queries::registered_client(iss, client_id));
            let mut found = operation.get_all(&keys).await?;
            let Some(client) = found.pop().flatten() else {
                return Ok(None);
            };
            let stored = mapping::client(client)?;
            if stored.base != natural {
                found = operation.get_all(&markers(&stored.base)).await?;
            }
            let id = stored.client.id.to_string();
            let own = |marker: &Option<Item>| {
                let marker = marker.as_ref();
                marker
                    .is_some_and(|marker| mapping::text(marker, "client").is_ok_and(|of| of == id))
            };
            let Some(first) = found.iter().position(own) else {
                return Ok(None);
            };
            let client = stored.client;
            Ok(Some(Arc::new(LaunchConfig {
                iss: client.iss,
                client_id: client.client_id,
                deployment_id: DeploymentId::from_stored(wanted[first]),
                auth_url: client.auth_url,
                token_url: client.token_url,
                jwks_url: client.jwks_url,
            })))
        })
        .await
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        within("save_launch_config", async {
            let mut operation = self.begin().await?;
            loop {
                let seen = look(&operation, config).await?;
                let writes = writes(seen, config)?;
                if writes.is_empty() {
                    return Ok(());
                }
                match operation.transact(writes).await? {
                    Transacted::Done => return Ok(()),
                    Transacted::Refused(_) => operation.look_again().await?,
                }
            }
        })
        .await
    }
}

/// What there is of a launch config, all as it was at one moment.
struct Seen {
    client: Option<StoredClient>,
    has_deployment: bool,
    /// Whether the natural base is a renamed client's.
    base_is_claimed: bool,
}

async fn look(operation: &Operation, config: &LaunchConfig) -> Result<Seen> {
    let (iss, client_id) = (config.iss.as_str(), config.client_id.as_str());
    let natural = queries::natural_base(iss, client_id);
    let registered = queries::registered_client(iss, client_id);
    let mut base = natural.clone();
    loop {
        let keys = vec![
            registered.clone(),
            queries::marker(&base, config.deployment_id.as_str()),
            queries::base_claim(&natural),
        ];
        let mut found = operation.snapshot(keys).await?.into_iter();
        let (client, marker) = (found.next().flatten(), found.next().flatten());
        let client = client.map(mapping::client).transpose()?;
        if let Some(client) = &client
            && client.base != base
        {
            base = client.base.clone();
            continue;
        }
        let owner = client.as_ref().map(|stored| stored.client.id.to_string());
        let of = marker.and_then(|mut marker| mapping::take(&mut marker, "client").ok());
        return Ok(Seen {
            has_deployment: owner.is_some() && of == owner,
            client,
            base_is_claimed: found.next().flatten().is_some(),
        });
    }
}

/// What makes sure that client and deployment are there with these endpoints.
fn writes(seen: Seen, config: &LaunchConfig) -> Result<Vec<Write>> {
    let (mut writes, owner) = match seen.client {
        Some(seen) => {
            let mut next = seen.clone();
            next.client.auth_url = config.auth_url.clone();
            next.client.token_url = config.token_url.clone();
            next.client.jwks_url = config.jwks_url.clone();
            if next.client == seen.client {
                (vec![clients::is_as(&seen)], seen)
            } else {
                next.rev += 1;
                (clients::replace(&seen, &next), next)
            }
        }
        None => {
            let client = new_client(config)?.with_id(Uuid::now_v7());
            let base = if seen.base_is_claimed {
                client.id.to_string()
            } else {
                queries::natural_base(config.iss.as_str(), config.client_id.as_str())
            };
            let new = StoredClient {
                client,
                base,
                rev: 1,
            };
            (clients::insert(&new), new)
        }
    };
    if !seen.has_deployment {
        let new = NewDeployment {
            deployment_id: config.deployment_id.clone(),
            name: None,
            description: None,
        };
        let new = StoredDeployment {
            deployment: new.with_id(Uuid::now_v7()),
            rev: 1,
        };
        writes.extend(deployments::insert(&owner, &new));
    } else if writes.len() == 1 {
        // Everything is there already.
        writes.clear();
    }
    Ok(writes)
}

fn new_client(config: &LaunchConfig) -> Result<NewClient> {
    Ok(NewClient {
        name: Name::new(config.iss.as_str())?,
        iss: config.iss.clone(),
        client_id: config.client_id.clone(),
        auth_url: config.auth_url.clone(),
        token_url: config.token_url.clone(),
        jwks_url: config.jwks_url.clone(),
    })
}
