//! One-time values.

use std::time::Duration;

use async_trait::async_trait;
use store_core::{CleanupKind, Error, ErrorKind, Nonce, NonceStore, Result, expiry};

use super::{DynamoStore, within};
use crate::mapping::{item, s};
use crate::queries;
use crate::write::Write;

#[async_trait]
impl NonceStore for DynamoStore {
    async fn store_nonce(&self, nonce: &Nonce, lifetime: Option<Duration>) -> Result<()> {
        within("store_nonce", async {
            let operation = self.begin().await?;
            let now = self.now();
            let expires_at = expiry(now, lifetime.unwrap_or(self.settings().nonce_lifetime))?;
            let key = queries::nonce(nonce.as_str());
            let mut item = item([("nonce", s(nonce.as_str()))]);
            queries::expire(&mut item, CleanupKind::Nonces, &key, expires_at);
            let put = Write::put(key, item).when(queries::ABSENT_OR_EXPIRED);
            if operation.write(put.now(now)).await?.happened() {
                return Ok(());
            }
            let message = "this nonce was stored before";
            Err(Error::new(ErrorKind::AlreadyExists, message))
        })
        .await
    }

    async fn consume_nonce(&self, nonce: &str) -> Result<bool> {
        within("consume_nonce", async {
            let operation = self.begin().await?;
            if !Nonce::accepts(nonce) {
                return Ok(false);
            }
            let update = Write::update(queries::nonce(nonce), queries::USE).when(queries::UNUSED);
            Ok(operation.write(update.now(self.now())).await?.happened())
        })
        .await
    }
}
