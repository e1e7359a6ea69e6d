//! The steps of LTI tool storage.

use serde_json::{Value, json};
use store_core::{ClientUpdate, DeploymentUpdate, Store};

use super::side::{Side, told};
use super::steps::Step;

impl Side {
    pub(super) async fn perform_lti(&mut self, store: &dyn Store, step: &Step) -> Value {
        let make = self.w.make().clone();
        match *step {
            Step::AddClient(n) => {
                let result = store.add_client(self.new_client(n)).await;
                told(result, |client| self.client(client))
            }
            Step::UpdateClient { client, to } => {
                let new = self.new_client(to);
                let update = ClientUpdate {
                    iss: Some(new.iss),
                    client_id: Some(new.client_id),
                    jwks_url: Some(new.jwks_url),
                    ..ClientUpdate::default()
                };
                let result = store.update_client(self.clients.get(client), update).await;
                told(result, |client| self.client(client))
            }
            Step::DeleteClient(client) => told(
                store.delete_client(self.clients.get(client)).await,
                |existed| json!(existed),
            ),
            Step::GetClient(client) => {
                let result = store.get_client(self.clients.get(client)).await;
                told(result, |found| {
                    json!(found.map(|found| {
                        let deployments = found.deployments.into_iter();
                        let deployments: Vec<_> = deployments.map(|d| self.deployment(d)).collect();
                        (self.client(found.client), deployments)
                    }))
                })
            }
            Step::ListClients => told(store.list_clients().await, |clients| {
                let known: Vec<_> = (0..3).map(|n| self.new_client(n).iss).collect();
                let mine = clients
                    .into_iter()
                    .filter(|client| known.contains(&client.iss));
                json!(mine.map(|client| self.client(client)).collect::<Vec<_>>())
            }),
            Step::AddDeployment { client, n } => {
                let new = self.new_deployment(n);
                let result = store.add_deployment(self.clients.get(client), new).await;
                told(result, |deployment| self.deployment(deployment))
            }
            Step::RenameDeployment {
                client,
                deployment,
                to,
            } => {
                let update = DeploymentUpdate {
                    deployment_id: Some(self.new_deployment(to).deployment_id),
                    ..DeploymentUpdate::default()
                };
                let (client, id) = (self.clients.get(client), self.deployments.get(deployment));
                let result = store.update_deployment(client, id, update).await;
                told(result, |deployment| self.deployment(deployment))
            }
            Step::DeleteDeployment { client, deployment } => {
                let (client, id) = (self.clients.get(client), self.deployments.get(deployment));
                told(store.delete_deployment(client, id).await, |existed| {
                    json!(existed)
                })
            }
            Step::GetLaunchConfig { n, deployment } => {
                let like = self.launch_config(n, deployment, 0);
                let (iss, client_id) = (like.iss.as_str(), like.client_id.as_str());
                let deployment = like.deployment_id.as_str();
                let result = store.get_launch_config(iss, client_id, deployment).await;
                told(result, |found| json!(found.as_deref()))
            }
            Step::SaveLaunchConfig {
                n,
                deployment,
                endpoints,
            } => {
                let config = self.launch_config(n, deployment, endpoints);
                told(store.save_launch_config(&config).await, |()| Value::Null)
            }
            Step::AddLti { n, lifetime } => {
                let session = make.lti_session(self.key(n));
                let result = store.add_lti_session(&session, Some(lifetime)).await;
                told(result, |expires_at| json!(expires_at))
            }
            Step::GetLti(n) => {
                let id = make.uuid(self.key(n)).to_string();
                told(store.get_lti_session(&id).await, |found| {
                    json!(found.map(|found| (json!(found.value), found.expires_at)))
                })
            }
            Step::DeleteLti(n) => {
                let id = make.uuid(self.key(n)).to_string();
                told(store.delete_lti_session(&id).await, |existed| {
                    json!(existed)
                })
            }
            Step::StoreNonce { n, lifetime } => {
                let nonce = make.nonce(self.key(n));
                told(store.store_nonce(&nonce, Some(lifetime)).await, |()| {
                    Value::Null
                })
            }
            Step::ConsumeNonce(n) => {
                let nonce = make.nonce(self.key(n));
                told(store.consume_nonce(nonce.as_str()).await, |consumed| {
                    json!(consumed)
                })
            }
            Step::SetRegistration { n, lifetime } => {
                let session = make.registration(n, self.w.after(lifetime));
                let result = store
                    .set_registration_session(make.uuid(self.key(n)), &session)
                    .await;
                told(result, |()| Value::Null)
            }
            Step::GetRegistration(n) => {
                let id = make.uuid(self.key(n)).to_string();
                told(store.get_registration_session(&id).await, |found| {
                    json!(found)
                })
            }
            Step::TakeRegistration(n) => {
                let id = make.uuid(self.key(n)).to_string();
                told(store.take_registration_session(&id).await, |found| {
                    json!(found)
                })
            }
            Step::DeleteRegistration(n) => {
                let id = make.uuid(self.key(n)).to_string();
                told(store.delete_registration_session(&id).await, |existed| {
                    json!(existed)
                })
            }
            _ => unreachable!("not a step of LTI storage"),
        }
    }
}
