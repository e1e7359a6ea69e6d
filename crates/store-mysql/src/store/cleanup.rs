//! Deleting what has expired.

use async_trait::async_trait;
use store_core::{CleanupKind, CleanupStore, Result};

use super::{MySqlStore, at};
use crate::mapping;

#[async_trait]
impl CleanupStore for MySqlStore {
    async fn delete_expired(&self, kind: CleanupKind, limit: u32) -> Result<u64> {
        let queries = self.queries();
        let expired = match kind {
            CleanupKind::Nonces => &queries.expired_nonces,
            CleanupKind::Sessions => &queries.expired_sessions,
            CleanupKind::RegistrationSessions => &queries.expired_registration_sessions,
            CleanupKind::JtsSessions => &queries.expired_jts_sessions,
            CleanupKind::LoginSessions => &queries.expired_login_sessions,
        };
        let now = self.now();
        let oldest = self.run("delete_expired", &expired.first, &[]).await?;
        let first = oldest
            .first()
            .map_or(Ok(None), |row| mapping::optional_timestamp(&row, 0));
        let first = first.map_err(|error| at("delete_expired", error))?;
        let Some(first) = first.filter(|first| *first <= now) else {
            return Ok(0);
        };
        let params = [first.into(), now.into(), limit.into()];
        let answer = self.run("delete_expired", &expired.delete, &params).await?;
        Ok(answer.changed)
    }
}
