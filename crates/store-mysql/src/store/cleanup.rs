//! Deleting what has expired.

use async_trait::async_trait;
use store_core::{CleanupKind, CleanupStore, Result};

use super::MySqlStore;

#[async_trait]
impl CleanupStore for MySqlStore {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        let queries = self.queries();
        let query = match kind {
            CleanupKind::Nonces => &queries.delete_expired_nonces,
            CleanupKind::Sessions => &queries.delete_expired_sessions,
            CleanupKind::RegistrationSessions => &queries.delete_expired_registration_sessions,
            CleanupKind::JtsSessions => &queries.delete_expired_jts_sessions,
            CleanupKind::LoginSessions => &queries.delete_expired_login_sessions,
        };
        let params = [self.now().into(), limit.into()];
        let answer = self.run("delete_expired", query, &params).await?;
        Ok(answer.changed)
    }
}
