//! One-time values.

use std::time::Duration;

use async_trait::async_trait;
use store_core::{Error, ErrorKind, Nonce, NonceStore, Result, expiry};

use super::{PostgresStore, at};
use crate::mapping::At;

#[async_trait]
impl NonceStore for PostgresStore {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        let now = self.now();
        let lifetime = lifetime.unwrap_or(self.settings().nonce_lifetime);
        let expires_at = expiry(now, lifetime).map_err(|error| at("store_nonce", error))?;
        let query = &self.queries().lti.store_nonce;
        let answer = self
            .run(
                "store_nonce",
                query,
                &[&nonce.as_str(), &At(expires_at), &At(now)],
            )
            .await?;
        if answer.changed == 0 {
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
        let answer = self
            .run("consume_nonce", query, &[&nonce, &At(self.now())])
            .await?;
        Ok(answer.changed > 0)
    }
}
