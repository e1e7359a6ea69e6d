//! What is measured: implementations of the cases.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use store_core::{
    CacheOptions, Cached, CleanupKind, CleanupOptions, CleanupStoreExt, LaunchConfigStore,
    LockOutcome, Nonce, Renewal, StateProofStatus, Store, SystemClock,
};

use crate::case::Case;
use crate::world::Turn;

/// An implementation that is measured.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    fn name(&self) -> &'static str;

    /// Whether it has such an operation.
    fn supports(&self, case: Case) -> bool;

    /// Does the operation once.
    ///
    /// # Errors
    /// If it fails, or does not do what it should.
    async fn once(&self, case: Case, turn: &mut Turn) -> Result<()>;

    /// Deletes LTI sessions that have expired, and tells how many.
    ///
    /// # Errors
    /// If it fails.
    async fn clean_up(&self) -> Result<u64>;

    /// Lets go of connections.
    async fn close(&self) {}
}

/// A store of ours.
pub(crate) struct Ours {
    store: Arc<dyn Store>,
    cached: Cached,
}

impl Ours {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(SystemClock);
        let cached = Cached::new(Arc::clone(&store), clock, CacheOptions::default());
        Self { store, cached }
    }
}

#[async_trait]
impl Subject for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn supports(&self, _case: Case) -> bool {
        true
    }

    async fn once(&self, case: Case, turn: &mut Turn) -> Result<()> {
        let store = &*self.store;
        let world = Arc::clone(&turn.world);
        match case {
            Case::GetLtiSession => {
                let key = &world.lti[turn.any()];
                let session = store.get_lti_session(&key.text).await?;
                black_box(session.context("the session is not there")?);
            }
            Case::AddLtiSession => {
                turn.lti_session.id = turn.new_uuid();
                black_box(store.add_lti_session(&turn.lti_session, None).await?);
            }
            Case::Nonce => {
                let nonce: Nonce = turn.new_nonce().parse()?;
                store.store_nonce(&nonce, None).await?;
                let consumed = store.consume_nonce(nonce.as_str()).await?;
                ensure!(consumed, "the nonce was not consumed");
            }
            Case::GetLaunchConfig | Case::GetCachedLaunchConfig => {
                let wanted = &world.launch_configs[turn.launch_config()];
                let (iss, client_id) = (wanted.iss.as_str(), wanted.client_id.as_str());
                let deployment = wanted.deployment_id.as_str();
                let found = match case {
                    Case::GetLaunchConfig => store.get_launch_config(iss, client_id, deployment),
                    _ => self.cached.get_launch_config(iss, client_id, deployment),
                };
                black_box(found.await?.context("the launch config is not there")?);
            }
            Case::ValidateProof => {
                let proof = world.jts[turn.any()].proof();
                match store.validate_state_proof(&proof).await? {
                    StateProofStatus::Valid(session) => drop(black_box(session)),
                    _ => bail!("the proof is not valid"),
                }
            }
            Case::RotateProof => {
                let key = &world.jts[turn.own()];
                let session = store.rotate_state_proof(&key.aid, &key.proof()).await?;
                key.set_proof(session.current_state_proof.as_str());
            }
            Case::RenewProof => {
                let key = &world.jts[turn.own()];
                match store.renew_state_proof(&key.proof()).await? {
                    Renewal::Rotated(session) => {
                        key.set_proof(session.current_state_proof.as_str());
                    }
                    _ => bail!("the proof was not rotated"),
                }
            }
            Case::TouchJts => {
                let touched = store.touch_jts_session(&world.jts[turn.own()].aid).await?;
                ensure!(touched, "the session is not there");
            }
            Case::LoadLogin => {
                let key = &world.logins[turn.any()];
                let session = store.load_login_session(key.id.as_str()).await?;
                black_box(session.context("the login session is not there")?);
            }
            Case::SaveLogin => {
                let key = &world.logins[turn.own()];
                turn.login.id.clone_from(&key.id);
                turn.login.version = key.version();
                key.set_version(store.save_login_session(&turn.login, None, None).await?);
            }
            Case::LockLogin => {
                let key = &world.logins[turn.own()];
                let (id, expected) = (key.id.as_str(), world.refresh_token());
                let LockOutcome::Acquired { token, session, .. } =
                    store.lock_login_session(id, expected).await?
                else {
                    bail!("the lock was not acquired");
                };
                let version = store.save_login_session(&session, None, Some(&token));
                key.set_version(version.await?);
                store.unlock_login_session(id, &token).await?;
            }
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<u64> {
        let options = CleanupOptions {
            kinds: vec![CleanupKind::Sessions],
            ..CleanupOptions::default()
        };
        let report = self.store.cleanup(&options, &mut |_| ()).await?;
        Ok(report.total())
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
