//! Platforms that the tool is registered with.
//!
//! A client is three items that are written together: one with its deployments, one in the list of all,
//! and one found by issuer and client id, which makes these unique.

use async_trait::async_trait;
use store_core::{
    Client, ClientStore, ClientUpdate, ClientWithDeployments, Error, ErrorKind, NewClient, Result,
    parse_uuid,
};
use uuid::Uuid;

use super::{DynamoStore, within};
use crate::execute::{Operation, Transacted};
use crate::mapping::{self, Item, StoredClient, item, n, s};
use crate::queries;
use crate::write::Write;

#[async_trait]
impl ClientStore for DynamoStore {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        within("list_clients", async {
            let operation = self.begin().await?;
            let items = operation.query(queries::CLIENT_LIST, "").await?.into_iter();
            items
                .map(|item| mapping::client(item).map(|stored| stored.client))
                .collect()
        })
        .await
    }

    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        within("get_client", async {
            let operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(None);
            }
            read(&operation, id).await
        })
        .await
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        within("add_client", async {
            let mut operation = self.begin().await?;
            let client = client.with_id(Uuid::now_v7());
            let natural = queries::natural_base(client.iss.as_str(), client.client_id.as_str());
            let mut stored = StoredClient {
                client,
                base: natural,
                rev: 1,
            };
            loop {
                let refused = match operation.transact(insert(&stored)).await? {
                    Transacted::Done => return Ok(stored.client),
                    Transacted::Refused(refused) => refused,
                };
                if refused.contains(&REGISTERED) {
                    return Err(taken());
                }
                // A client that was registered as this before keeps its markers there.
                stored.base = stored.client.id.to_string();
                operation.look_again().await?;
            }
        })
        .await
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        within("update_client", async {
            let mut operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Err(unknown());
            }
            loop {
                let Some(seen) = stored(&operation, id).await? else {
                    return Err(unknown());
                };
                let mut next = seen.clone();
                apply(&mut next.client, update.clone());
                if next.client == seen.client {
                    return Ok(next.client);
                }
                next.rev += 1;
                match operation.transact(replace(&seen, &next)).await? {
                    Transacted::Done => return Ok(next.client),
                    Transacted::Refused(refused) if refused == [REGISTERED] => return Err(taken()),
                    Transacted::Refused(_) => operation.look_again().await?,
                }
            }
        })
        .await
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        within("delete_client", async {
            let mut operation = self.begin().await?;
            if parse_uuid(id).is_none() {
                return Ok(false);
            }
            loop {
                let Some(seen) = stored(&operation, id).await? else {
                    return Ok(false);
                };
                match operation.transact(remove(&seen)).await? {
                    Transacted::Done => {}
                    Transacted::Refused(_) => {
                        operation.look_again().await?;
                        continue;
                    }
                }
                // The client and all of its deployments are gone; what is left of them can't be seen, and
                // cleanup finishes it if this does not.
                if let Err(error) = self.sweep_client(&operation, id, &seen.base).await {
                    tracing::warn!(target: "store_dynamo", %error, "left to cleanup");
                }
                return Ok(true);
            }
        })
        .await
    }
}

/// Where the item that makes a client unique stands in the transactions that write clients.
pub(crate) const REGISTERED: usize = 0;
/// Where the check that refuses a base which a renamed client claims stands in [`insert`].
pub(crate) const BASE: usize = 1;

/// Adds a client.
pub(crate) fn insert(stored: &StoredClient) -> Vec<Write> {
    let client = &stored.client;
    let id = client.id.to_string();
    let registered = queries::registered_client(client.iss.as_str(), client.client_id.as_str());
    vec![
        Write::put(registered, mapping::client_item(stored)).when(queries::ABSENT),
        Write::check(queries::base_claim(&stored.base)).when(queries::ABSENT),
        Write::put(queries::client(&id), mapping::client_item(stored)).when(queries::ABSENT),
        Write::put(queries::listed_client(&id), mapping::client_item(stored)),
    ]
}

/// Changes a client that is still as `seen`.
pub(crate) fn replace(seen: &StoredClient, next: &StoredClient) -> Vec<Write> {
    let client = &next.client;
    let id = client.id.to_string();
    let key = |stored: &StoredClient| {
        let client = &stored.client;
        queries::registered_client(client.iss.as_str(), client.client_id.as_str())
    };
    let registered = Write::put(key(next), mapping::client_item(next));
    let mut writes = vec![];
    if key(seen) == key(next) {
        let unchanged = registered.when(OWN_AND_UNCHANGED);
        writes.push(unchanged.with(":id", s(&id)).with(":seen", n(seen.rev)));
    } else {
        writes.push(registered.when(queries::ABSENT));
        writes.push(Write::delete(key(seen)));
        // Whoever registers as the old issuer and client id must not meet the markers there.
        let claim = item([("client", s(&id))]);
        writes.push(Write::put(queries::base_claim(&next.base), claim));
    }
    let unchanged = Write::put(queries::client(&id), mapping::client_item(next));
    writes.push(
        unchanged
            .when(queries::UNCHANGED)
            .with(":seen", n(seen.rev)),
    );
    writes.push(Write::put(
        queries::listed_client(&id),
        mapping::client_item(next),
    ));
    writes
}

const OWN_AND_UNCHANGED: &str = "id = :id AND rev = :seen";

/// Removes a client that is still as `seen`, and leaves word of what is to be swept.
fn remove(seen: &StoredClient) -> Vec<Write> {
    let client = &seen.client;
    let id = client.id.to_string();
    let registered = queries::registered_client(client.iss.as_str(), client.client_id.as_str());
    let delete = Write::delete(queries::client(&id));
    vec![
        Write::delete(registered),
        delete.when(queries::UNCHANGED).with(":seen", n(seen.rev)),
        Write::delete(queries::listed_client(&id)),
        super::sweep::leave_client(&id, &seen.base),
    ]
}

fn apply(client: &mut Client, update: ClientUpdate) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(&mut client.name, update.name);
    set(&mut client.iss, update.iss);
    set(&mut client.client_id, update.client_id);
    set(&mut client.auth_url, update.auth_url);
    set(&mut client.token_url, update.token_url);
    set(&mut client.jwks_url, update.jwks_url);
}

/// Checks that a client is still as it was `seen`.
pub(crate) fn is_as(seen: &StoredClient) -> Write {
    let check = Write::check(queries::client(&seen.client.id.to_string()));
    check.when(queries::UNCHANGED).with(":seen", n(seen.rev))
}

/// A client as it is stored.
pub(crate) async fn stored(operation: &Operation, id: &str) -> Result<Option<StoredClient>> {
    let found = operation.get(queries::client(id)).await?;
    found.map(mapping::client).transpose()
}

/// A client with its deployments, in one query: deployments sort before their client, so that they are
/// all there if the client still is when it is read.
pub(crate) async fn read(operation: &Operation, id: &str) -> Result<Option<ClientWithDeployments>> {
    let mut items = operation.query(&queries::client_partition(id), "").await?;
    let is_client = |item: &Item| item.contains_key("iss");
    let Some(client) = items.pop_if(|item| is_client(item)) else {
        return Ok(None);
    };
    let deployments = items.into_iter().map(mapping::deployment);
    Ok(Some(ClientWithDeployments {
        client: mapping::client(client)?.client,
        deployments: deployments
            .map(|stored| stored.map(|stored| stored.deployment))
            .collect::<Result<_>>()?,
    }))
}

fn taken() -> Error {
    let message = "a client with this iss and client_id exists";
    Error::new(ErrorKind::AlreadyExists, message)
}

/// No client has the id.
pub(crate) fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, "no client has this id")
}
