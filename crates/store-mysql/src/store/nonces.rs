//! One-time values.

use std::time::Duration;

use async_trait::async_trait;
use store_core::{Error, ErrorKind, Nonce, NonceStore, Result, expiry};

use super::{MySqlStore, at};

#[async_trait]
impl NonceStore for MySqlStore {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        let now = self.now();
        let lifetime = lifetime.unwrap_or(self.settings().nonce_lifetime);
        let expires_at = expiry(now, lifetime).map_err(|error| at("store_nonce", error))?;
        let queries = &self.queries().lti;
        let insert = [nonce.into(), expires_at.into()];
        let replace = [expires_at.into(), nonce.into(), now.into()];
        let stored = self.insert(
            "store_nonce",
            (&queries.store_nonce, &insert),
            (&queries.restore_nonce, &replace),
        );
        if !stored.await? {
            let message = "this nonce was stored before";
            return Err(at(
                "store_nonce",
                Error::new(ErrorKind::AlreadyExists, message),
            ));
        }
        Ok(())
    }

    async fn consume_nonce(&self, nonce: &str) -> Result<bool> {
        if !Nonce::accepts(nonce) {
            return Ok(false);
        }
        let query = &self.queries().lti.consume_nonce;
        let now = self.now();
        let params = [now.into(), nonce.into(), now.into()];
        let answer = self.run("consume_nonce", query, &params).await?;
        Ok(answer.changed > 0)
    }
}
