//! Bugs in LTI tool storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Map;
use store_core::*;
use uuid::Uuid;

use crate::bugs::Bug;
use crate::mutant::{Mutant, a_moment};

#[async_trait]
impl ClientStore for Mutant {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        self.inner.list_clients().await
    }

    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        if self.has(Bug::AnySpellingOfAnId) {
            return self.inner.get_client(&id.to_lowercase()).await;
        }
        self.inner.get_client(id).await
    }

    async fn add_client(&self, client: NewClient) -> Result<Client> {
        self.inner.add_client(client).await
    }

    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        self.inner.update_client(id, update).await
    }

    async fn delete_client(&self, id: &str) -> Result<bool> {
        let deployments = self.inner.list_deployments(id).await.unwrap_or_default();
        for deployment in deployments {
            if self.has(Bug::OrphanedDeployments) {
                let key = (id.to_owned(), deployment.id.to_string());
                self.notes().orphans.insert(key, deployment);
            } else if self.has(Bug::DeleteHalfApplied) {
                self.inner
                    .delete_deployment(id, &deployment.id.to_string())
                    .await?;
                tokio::task::yield_now().await;
            }
        }
        self.inner.delete_client(id).await
    }
}

#[async_trait]
impl DeploymentStore for Mutant {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        self.inner.list_deployments(client).await
    }

    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        let orphan = self
            .notes()
            .orphans
            .get(&(client.to_owned(), id.to_owned()))
            .cloned();
        Ok(self.inner.get_deployment(client, id).await?.or(orphan))
    }

    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        self.inner.add_deployment(client, deployment).await
    }

    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment> {
        self.inner.update_deployment(client, id, update).await
    }

    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        self.inner.delete_deployment(client, id).await
    }
}

#[async_trait]
impl LaunchConfigStore for Mutant {
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>> {
        let found = self
            .inner
            .get_launch_config(iss, client_id, deployment_id)
            .await?;
        if self.has(Bug::NoFallback) {
            return Ok(found.filter(|found| found.deployment_id.as_str() == deployment_id));
        }
        if self.has(Bug::LaunchConfigIsCopied) && found.is_some() {
            let key = [iss, client_id, deployment_id].map(str::to_owned);
            return Ok(self.notes().copies.entry(key).or_insert(found).clone());
        }
        Ok(found)
    }

    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        if !self.has(Bug::SaveLaunchConfigRaces) {
            return self.inner.save_launch_config(config).await;
        }
        let clients = self.inner.list_clients().await?;
        let same =
            |client: &&Client| client.iss == config.iss && client.client_id == config.client_id;
        let known = clients.iter().find(same).map(|client| client.id);
        a_moment().await;
        let id = match known {
            Some(id) => {
                let update = ClientUpdate {
                    auth_url: Some(config.auth_url.clone()),
                    token_url: Some(config.token_url.clone()),
                    jwks_url: Some(config.jwks_url.clone()),
                    ..ClientUpdate::default()
                };
                self.inner.update_client(&id.to_string(), update).await?.id
            }
            None => {
                let client = NewClient {
                    name: Name::from_stored(config.iss.as_str()),
                    iss: config.iss.clone(),
                    client_id: config.client_id.clone(),
                    auth_url: config.auth_url.clone(),
                    token_url: config.token_url.clone(),
                    jwks_url: config.jwks_url.clone(),
                };
                self.inner.add_client(client).await?.id
            }
        };
        let id = id.to_string();
        let deployments = self.inner.list_deployments(&id).await?;
        if deployments
            .iter()
            .any(|known| known.deployment_id == config.deployment_id)
        {
            return Ok(());
        }
        a_moment().await;
        let deployment = NewDeployment {
            deployment_id: config.deployment_id.clone(),
            name: None,
            description: None,
        };
        self.inner.add_deployment(&id, deployment).await.map(drop)
    }
}

#[async_trait]
impl LtiSessionStore for Mutant {
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp> {
        match self.bug {
            Bug::AddOverwrites => {
                self.inner
                    .delete_lti_session(&session.id.to_string())
                    .await?;
            }
            Bug::UnknownFieldsDropped => {
                let mut session = session.clone();
                session.platform.extra = Map::new();
                return self.inner.add_lti_session(&session, lifetime).await;
            }
            Bug::ExpiryInSeconds => {
                let lifetime = lifetime.map(|life| Duration::from_secs(life.as_secs().max(1)));
                return self.inner.add_lti_session(session, lifetime).await;
            }
            Bug::LimitIsNotChecked => {
                return match self.inner.add_lti_session(session, lifetime).await {
                    Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(Timestamp::MAX),
                    result => result,
                };
            }
            _ => {}
        }
        self.inner.add_lti_session(session, lifetime).await
    }

    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        match self.bug {
            Bug::ExpiredIsFound => self.with_expired().get_lti_session(id).await,
            Bug::MalformedIdIsAnError if parse_uuid(id).is_none() => Err(Error::new(
                ErrorKind::Backend,
                "invalid input syntax for type uuid",
            )),
            _ => self.inner.get_lti_session(id).await,
        }
    }

    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        self.inner.delete_lti_session(id).await
    }
}

#[async_trait]
impl NonceStore for Mutant {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        let name = nonce.as_str().to_owned();
        if self.has(Bug::EventTellsNonce) {
            tracing::debug!(parameters = ?[&name], "executing statement");
        }
        let result = self.inner.store_nonce(nonce, lifetime).await;
        let error = match result {
            Ok(()) => {
                let lifetime = lifetime.unwrap_or(self.settings.nonce_lifetime);
                let expires_at = expiry(self.now(), lifetime)?;
                self.notes().used.remove(&name);
                self.notes().nonces.insert(name, expires_at);
                return Ok(());
            }
            Err(error) => error,
        };
        let forgotten = self.notes().forgotten;
        match self.bug {
            Bug::NonceStoredAgain if self.notes().used.contains(&name) => Ok(()),
            Bug::CleanupForgetsUsedNonces if forgotten && self.notes().used.contains(&name) => {
                Ok(())
            }
            Bug::ErrorTellsNonce => {
                let message = format!("duplicate key value: ({name})");
                Err(Error::new(error.kind(), message).at("mutant", "store_nonce"))
            }
            _ => Err(error),
        }
    }

    async fn consume_nonce(&self, nonce: &str) -> Result<bool> {
        let now = self.now();
        let unused = {
            let notes = self.notes();
            let lives = notes
                .nonces
                .get(nonce)
                .is_some_and(|expires_at| *expires_at > now);
            lives && !notes.used.contains(nonce)
        };
        if self.has(Bug::NonceConsumedTwice) && unused {
            a_moment().await;
            self.inner.consume_nonce(nonce).await?;
            self.notes().used.insert(nonce.to_owned());
            return Ok(true);
        }
        let nonce = if self.has(Bug::NonceTrimmed) {
            nonce.trim_end()
        } else {
            nonce
        };
        let consumed = self.inner.consume_nonce(nonce).await?;
        if consumed {
            self.notes().used.insert(nonce.to_owned());
        }
        Ok(consumed)
    }
}

#[async_trait]
impl RegistrationSessionStore for Mutant {
    async fn set_registration_session(
        &self,
        id: Uuid,
        session: &RegistrationSession,
    ) -> Result<()> {
        self.inner.set_registration_session(id, session).await
    }

    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        self.inner.get_registration_session(id).await
    }

    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        if !self.has(Bug::RegistrationTakenTwice) {
            return self.inner.take_registration_session(id).await;
        }
        let found = self.inner.get_registration_session(id).await?;
        a_moment().await;
        self.inner.delete_registration_session(id).await?;
        Ok(found)
    }

    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        self.inner.delete_registration_session(id).await
    }
}
