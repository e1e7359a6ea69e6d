//! The traits of a store, passed on to the store behind a cache.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::Cached;
use crate::*;

#[async_trait]
impl ClientStore for Cached {
    async fn list_clients(&self) -> Result<Vec<Client>> {
        self.store.list_clients().await
    }
    async fn get_client(&self, id: &str) -> Result<Option<ClientWithDeployments>> {
        self.store.get_client(id).await
    }
    async fn add_client(&self, client: NewClient) -> Result<Client> {
        let _forget = self.forget_launch_configs();
        self.store.add_client(client).await
    }
    async fn update_client(&self, id: &str, update: ClientUpdate) -> Result<Client> {
        let _forget = self.forget_launch_configs();
        self.store.update_client(id, update).await
    }
    async fn delete_client(&self, id: &str) -> Result<bool> {
        let _forget = self.forget_launch_configs();
        self.store.delete_client(id).await
    }
}

#[async_trait]
impl DeploymentStore for Cached {
    async fn list_deployments(&self, client: &str) -> Result<Vec<Deployment>> {
        self.store.list_deployments(client).await
    }
    async fn get_deployment(&self, client: &str, id: &str) -> Result<Option<Deployment>> {
        self.store.get_deployment(client, id).await
    }
    async fn add_deployment(&self, client: &str, deployment: NewDeployment) -> Result<Deployment> {
        let _forget = self.forget_launch_configs();
        self.store.add_deployment(client, deployment).await
    }
    async fn update_deployment(
        &self,
        client: &str,
        id: &str,
        update: DeploymentUpdate,
    ) -> Result<Deployment> {
        let _forget = self.forget_launch_configs();
        self.store.update_deployment(client, id, update).await
    }
    async fn delete_deployment(&self, client: &str, id: &str) -> Result<bool> {
        let _forget = self.forget_launch_configs();
        self.store.delete_deployment(client, id).await
    }
}

#[async_trait]
impl LaunchConfigStore for Cached {
    async fn get_launch_config(
        &self,
        iss: &str,
        client_id: &str,
        deployment_id: &str,
    ) -> Result<Option<Arc<LaunchConfig>>> {
        self.cached_launch_config([iss, client_id, deployment_id])
            .await
    }
    async fn save_launch_config(&self, config: &LaunchConfig) -> Result<()> {
        let _forget = self.forget_launch_configs();
        self.store.save_launch_config(config).await
    }
}

#[async_trait]
impl LtiSessionStore for Cached {
    async fn add_lti_session(
        &self,
        session: &LtiSession,
        lifetime: Option<Duration>,
    ) -> Result<Timestamp> {
        let _forget = self.forget_lti_session(Some(session.id));
        self.store.add_lti_session(session, lifetime).await
    }
    async fn get_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        self.cached_lti_session(id).await
    }
    async fn delete_lti_session(&self, id: &str) -> Result<bool> {
        let _forget = self.forget_lti_session(parse_uuid(id));
        self.store.delete_lti_session(id).await
    }
}

#[async_trait]
impl NonceStore for Cached {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        self.store.store_nonce(nonce, lifetime).await
    }
    async fn consume_nonce(&self, nonce: &str) -> Result<bool> {
        self.store.consume_nonce(nonce).await
    }
}

#[async_trait]
impl RegistrationSessionStore for Cached {
    async fn set_registration_session(
        &self,
        id: Uuid,
        session: &RegistrationSession,
    ) -> Result<()> {
        self.store.set_registration_session(id, session).await
    }
    async fn get_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        self.store.get_registration_session(id).await
    }
    async fn take_registration_session(&self, id: &str) -> Result<Option<RegistrationSession>> {
        self.store.take_registration_session(id).await
    }
    async fn delete_registration_session(&self, id: &str) -> Result<bool> {
        self.store.delete_registration_session(id).await
    }
}

#[async_trait]
impl JtsSessionStore for Cached {
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        self.store.create_jts_session(session, policy).await
    }
    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        self.store.get_jts_session(aid).await
    }
    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        self.store.validate_state_proof(proof).await
    }
    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        self.store.rotate_state_proof(aid, seen).await
    }
    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal> {
        self.store.renew_state_proof(proof).await
    }
    async fn touch_jts_session(&self, aid: &str) -> Result<bool> {
        self.store.touch_jts_session(aid).await
    }
    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        self.store.delete_jts_session(aid).await
    }
    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        self.store.delete_jts_sessions(prn).await
    }
    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        self.store.list_jts_sessions(prn).await
    }
    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        self.store.count_jts_sessions(prn).await
    }
    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool> {
        self.store.delete_oldest_jts_session(prn).await
    }
}

#[async_trait]
impl LoginSessionStore for Cached {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        self.store.create_login_session(id, data, lifetime).await
    }
    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        self.store.load_login_session(id).await
    }
    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.store
            .save_login_session(session, lifetime, fence)
            .await
    }
    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.store.set_login_properties(id, properties, fence).await
    }
    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.store.unset_login_properties(id, names, fence).await
    }
    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        self.store.extend_login_session(id, lifetime).await
    }
    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        self.store.destroy_login_session(id).await
    }
    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        self.store.lock_login_session(id, expected).await
    }
    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        self.store.unlock_login_session(id, token).await
    }
}

#[async_trait]
impl CleanupStore for Cached {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        self.store.delete_expired(kind, limit).await
    }
}

#[async_trait]
impl TransferStore for Cached {
    async fn export_records(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<RecordPage> {
        self.store.export_records(kind, after, limit).await
    }
    async fn import_record(&self, record: &Record) -> Result<Placement> {
        let session = match record {
            Record::Session(session) => Some(session.id),
            _ => None,
        };
        let _session = self.forget_lti_session(session);
        let client = matches!(record, Record::Client(_));
        let _launch_configs = client.then(|| self.forget_launch_configs());
        self.store.import_record(record).await
    }
}

#[async_trait]
impl SchemaStore for Cached {
    async fn bootstrap(&self) -> Result<BootstrapReport> {
        self.store.bootstrap().await
    }
    async fn schema_status(&self) -> Result<SchemaStatus> {
        self.store.schema_status().await
    }
    fn schema_definition(&self) -> String {
        self.store.schema_definition()
    }
}

#[async_trait]
impl Lifecycle for Cached {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    async fn health(&self) -> Result<Health> {
        self.store.health().await
    }
    async fn close(&self) {
        self.store.close().await;
        self.lti_sessions.clear();
        drop(self.forget_launch_configs());
    }
}
