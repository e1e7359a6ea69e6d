//! Bugs in login sessions and their locks.

use std::time::Duration;

use async_trait::async_trait;
use store_core::*;

use crate::bugs::Bug;
use crate::mutant::{Mutant, a_moment};

const HOUR: Duration = Duration::from_secs(3600);

impl Mutant {
    /// The session with the version it has now, in place of the one that the caller saw.
    async fn at_its_version(&self, session: &LoginSession) -> Result<LoginSession> {
        let found = self.inner.load_login_session(session.id.as_str()).await?;
        let version = found.map_or(session.version, |found| found.version);
        Ok(LoginSession {
            version,
            ..session.clone()
        })
    }
}

#[async_trait]
impl LoginSessionStore for Mutant {
    async fn create_login_session(
        &self,
        id: &LoginSessionId,
        data: LoginData,
        lifetime: Duration,
    ) -> Result<LoginSession> {
        if self.has(Bug::CreateOverwrites) {
            self.inner.destroy_login_session(id.as_str()).await?;
        }
        self.inner.create_login_session(id, data, lifetime).await
    }

    async fn load_login_session(&self, id: &str) -> Result<Option<LoginSession>> {
        match self.bug {
            Bug::ExpiredIsLoaded => self.with_clock_off_by(-1).load_login_session(id).await,
            _ => self.inner.load_login_session(id).await,
        }
    }

    async fn save_login_session(
        &self,
        session: &LoginSession,
        lifetime: Option<Duration>,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        match self.bug {
            Bug::SaveUpserts => {
                let result = self
                    .inner
                    .save_login_session(session, lifetime, fence)
                    .await;
                match result {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        let data = session.data.clone();
                        let lifetime = lifetime.unwrap_or(HOUR);
                        let created = self
                            .inner
                            .create_login_session(&session.id, data, lifetime)
                            .await?;
                        Ok(created.version)
                    }
                    result => result,
                }
            }
            Bug::SaveWithoutVersion => {
                let session = self.at_its_version(session).await?;
                self.inner
                    .save_login_session(&session, lifetime, fence)
                    .await
            }
            Bug::SaveUndoesExtension => {
                let lifetime = lifetime.or_else(|| session.expires_at.since(self.now()));
                self.inner
                    .save_login_session(session, lifetime, fence)
                    .await
            }
            _ => {
                self.inner
                    .save_login_session(session, lifetime, fence)
                    .await
            }
        }
    }

    async fn set_login_properties(
        &self,
        id: &str,
        properties: LoginData,
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        let loaded = self.inner.load_login_session(id).await?;
        match (self.bug, loaded) {
            (Bug::SetReplacesAll, Some(mut session)) => {
                session.data = properties;
                self.inner.save_login_session(&session, None, fence).await
            }
            (Bug::SetLosesUpdates, Some(mut session)) => {
                session.data.extend(properties);
                a_moment().await;
                let session = self.at_its_version(&session).await?;
                self.inner.save_login_session(&session, None, fence).await
            }
            (Bug::FenceIsIgnored, _) => self.inner.set_login_properties(id, properties, None).await,
            _ => self.inner.set_login_properties(id, properties, fence).await,
        }
    }

    async fn unset_login_properties(
        &self,
        id: &str,
        names: &[&str],
        fence: Option<&LockToken>,
    ) -> Result<u64> {
        self.inner.unset_login_properties(id, names, fence).await
    }

    async fn extend_login_session(&self, id: &str, lifetime: Duration) -> Result<Timestamp> {
        let result = self.inner.extend_login_session(id, lifetime).await;
        if self.has(Bug::ExtendRevives)
            && result.is_err()
            && let Some(expired) = self.with_expired().load_login_session(id).await?
        {
            let revived = self
                .inner
                .create_login_session(&expired.id, expired.data, lifetime)
                .await?;
            return Ok(revived.expires_at);
        }
        result
    }

    async fn destroy_login_session(&self, id: &str) -> Result<bool> {
        self.inner.destroy_login_session(id).await
    }

    async fn lock_login_session(&self, id: &str, expected: &str) -> Result<LockOutcome> {
        let now = self.now();
        let was_free = self
            .notes()
            .locked
            .get(id)
            .is_none_or(|until| *until <= now);
        if self.has(Bug::LockForTwo) {
            a_moment().await;
        }
        let store = match self.bug {
            Bug::LockNeverExpires => self.with(|s| s.max_lock_time = 10_000 * HOUR),
            _ => self.inner.clone(),
        };
        let outcome = match store.lock_login_session(id, expected).await? {
            LockOutcome::Superseded { session } if self.has(Bug::SupersededIgnored) => {
                let stored = session.data.get(&self.settings.lock_verification_property);
                match stored.and_then(serde_json::Value::as_str) {
                    Some(stored) => store.lock_login_session(id, stored).await?,
                    None => LockOutcome::Superseded { session },
                }
            }
            LockOutcome::Held { until } if self.has(Bug::LockForTwo) && was_free => {
                let session = store.load_login_session(id).await?;
                LockOutcome::Acquired {
                    token: LockToken::generate(),
                    session: session.ok_or_else(|| Error::new(ErrorKind::NotFound, "gone"))?,
                    until,
                }
            }
            outcome => outcome,
        };
        if let LockOutcome::Acquired { token, until, .. } = &outcome {
            let mut notes = self.notes();
            notes.tokens.insert(id.to_owned(), token.clone());
            notes.locked.insert(id.to_owned(), *until);
        }
        Ok(outcome)
    }

    async fn unlock_login_session(&self, id: &str, token: &LockToken) -> Result<()> {
        let anyones = self.notes().tokens.get(id).cloned();
        let token = match anyones {
            Some(anyones) if self.has(Bug::UnlockFreesAnyones) => anyones,
            _ => token.clone(),
        };
        self.inner.unlock_login_session(id, &token).await?;
        self.notes().locked.remove(id);
        Ok(())
    }
}
