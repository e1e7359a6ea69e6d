//! The store: its state, and how operations reach it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use store_core::{CleanupKind, Error, ErrorKind, Result, Settings, Timestamp};

mod cleanup;
mod clients;
mod deployments;
mod jts_sessions;
mod launch_configs;
mod lifecycle;
mod login_sessions;
mod lti_sessions;
mod nonces;
mod registration_sessions;
mod schema;
mod transfer;

/// The name of this backend in errors.
const BACKEND: &str = "memory";

/// How many expired rows a call that adds one removes at most. More than one, so that there are fewer
/// and fewer of them while rows are being added.
const REAPED_PER_ADDITION: u32 = 4;

/// A store that keeps everything in this process's memory.
///
/// A clone is the same store. What another process would see of a database, [`reopen`](Self::reopen)
/// shows here: a store of its own on the same data.
#[derive(Clone, Default)]
pub struct MemoryStore {
    handle: Arc<Handle>,
}

#[derive(Default)]
struct Handle {
    settings: Settings,
    closed: AtomicBool,
    state: Arc<Mutex<State>>,
}

/// All that is stored.
#[derive(Default)]
struct State {
    clients: clients::Clients,
    lti_sessions: lti_sessions::LtiSessions,
    nonces: nonces::Nonces,
    registration_sessions: registration_sessions::RegistrationSessions,
    jts_sessions: jts_sessions::JtsSessions,
    login_sessions: login_sessions::LoginSessions,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("settings", &self.handle.settings)
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::on(Arc::default(), settings)
    }

    /// Another store on the same data, with settings of its own. Closing one leaves the other open.
    ///
    /// ```
    /// use store_core::{NonceStore, Settings};
    /// use store_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> store_core::Result<()> {
    /// let here = MemoryStore::default();
    /// let there = here.reopen(Settings::default());
    /// here.store_nonce(&"n-0S6_WzA2Mj".parse()?, None).await?;
    /// assert!(there.consume_nonce("n-0S6_WzA2Mj").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reopen(&self, settings: Settings) -> Self {
        Self::on(Arc::clone(&self.handle.state), settings)
    }

    fn on(state: Arc<Mutex<State>>, settings: Settings) -> Self {
        Self {
            handle: Arc::new(Handle {
                settings,
                closed: AtomicBool::new(false),
                state,
            }),
        }
    }

    fn settings(&self) -> &Settings {
        &self.handle.settings
    }

    /// Does the work of an operation in one atomic step. The time is read within it, so that of two
    /// steps the later one has the later time, unless the clock itself steps back.
    fn step<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State, Timestamp) -> Result<T>,
    ) -> Result<T> {
        let state = self.handle.state.lock();
        // A panic in a caller's clock comes before any change, so a poisoned state is whole.
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let worked = if self.handle.closed.load(Ordering::SeqCst) {
            Err(Error::new(ErrorKind::Closed, "the store was closed"))
        } else {
            work(&mut state, self.settings().now())
        };
        worked.map_err(|error| error.at(BACKEND, operation))
    }

    /// A step that adds a row of a kind that expires, and removes some that have expired.
    fn adding_step<T>(
        &self,
        operation: &'static str,
        kind: CleanupKind,
        work: impl FnOnce(&mut State, Timestamp) -> Result<T>,
    ) -> Result<T> {
        self.step(operation, |state, now| {
            state.reap(kind, now, REAPED_PER_ADDITION);
            work(state, now)
        })
    }

    /// Refuses later steps, after the one that is under way.
    fn shut(&self) {
        let state = self.handle.state.lock();
        let _state = state.unwrap_or_else(PoisonError::into_inner);
        self.handle.closed.store(true, Ordering::SeqCst);
    }
}

fn not_found(message: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, message)
}

fn already_exists(message: &'static str) -> Error {
    Error::new(ErrorKind::AlreadyExists, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use store_core::{
        CleanupStoreExt, Clock, JtsSessionStore, Lifecycle, MAX_CLOCK_SKEW, ManualClock,
        NewJtsSession, NonceStore, Renewal, SessionPolicy,
    };

    use super::*;

    fn store() -> (MemoryStore, ManualClock) {
        let clock = ManualClock::default();
        (MemoryStore::new(at(&clock)), clock)
    }

    fn at(clock: &ManualClock) -> Settings {
        Settings {
            clock: Arc::new(clock.clone()),
            ..Settings::default()
        }
    }

    fn alice() -> NewJtsSession {
        NewJtsSession::of("alice".parse().unwrap())
    }

    #[tokio::test]
    async fn memory_is_in_proportion_to_what_lives() {
        let (store, clock) = store();
        let mut most = 0;
        for number in 0..100_000 {
            let nonce = format!("n{number}").parse().unwrap();
            let lifetime = Some(Duration::from_millis(100));
            store.store_nonce(&nonce, lifetime).await.unwrap();
            clock.advance(Duration::from_millis(1));
            most = most.max(store.handle.state.lock().unwrap().nonces.len());
        }
        assert!(most <= 101, "{most} nonces were kept of 100 that live");

        // A crowd that expires at once is gone after a few additions more than a quarter of it.
        for number in 0..1_000 {
            let nonce = format!("crowd{number}").parse().unwrap();
            store.store_nonce(&nonce, None).await.unwrap();
        }
        clock.advance(Duration::from_secs(600));
        for number in 0..300 {
            let nonce = format!("later{number}").parse().unwrap();
            store.store_nonce(&nonce, None).await.unwrap();
        }
        assert_eq!(store.handle.state.lock().unwrap().nonces.len(), 300);
    }

    #[tokio::test]
    async fn proofs_and_indexes_die_with_their_session() {
        let (store, clock) = store();
        let sizes = || store.handle.state.lock().unwrap().jts_sessions.sizes();
        for _ in 0..3 {
            let created = store.create_jts_session(alice(), SessionPolicy::AllowAll);
            let mut session = created.await.unwrap().session;
            for _ in 0..4 {
                let proof = session.current_state_proof.as_str();
                session = store
                    .rotate_state_proof(session.aid.as_str(), proof)
                    .await
                    .unwrap();
            }
        }
        assert_eq!(sizes(), [3, 15, 1]);
        let created = store
            .create_jts_session(alice(), SessionPolicy::Single)
            .await;
        assert_eq!(created.unwrap().revoked.len(), 3);
        assert_eq!(sizes(), [1, 1, 1]);
        clock.advance(Duration::from_secs(7 * 24 * 3600));
        assert_eq!(sizes(), [1, 1, 1]);
        let report = store
            .cleanup(&Default::default(), &mut |_| ())
            .await
            .unwrap();
        assert_eq!(report.total(), 1);
        assert_eq!(sizes(), [0, 0, 0]);
    }

    #[tokio::test]
    async fn a_clone_is_the_same_store_and_a_reopened_one_has_its_own_clock_and_end() {
        let (store, clock) = store();
        let nonce = "n".parse().unwrap();
        store.store_nonce(&nonce, None).await.unwrap();

        let later = ManualClock::at(clock.now().checked_add(Duration::from_secs(600)).unwrap());
        let other = store.reopen(at(&later));
        assert!(!other.consume_nonce("n").await.unwrap(), "expired there");
        other.close().await;
        let error = other.consume_nonce("n").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(
            (error.backend(), error.operation()),
            ("memory", "consume_nonce")
        );

        let clone = store.clone();
        assert!(clone.consume_nonce("n").await.unwrap());
        assert!(!store.consume_nonce("n").await.unwrap());
        clone.close().await;
        assert_eq!(store.health().await.unwrap_err().kind(), ErrorKind::Closed);
    }

    /// Two servers' clocks differ a little, or too much.
    #[tokio::test(start_paused = true)]
    async fn a_proof_retired_ahead_of_this_clock_is_judged_again_after_a_moment() {
        for (ahead, converges) in [(MAX_CLOCK_SKEW, true), (Duration::from_secs(1), false)] {
            let (here, clock) = store();
            let created = here
                .create_jts_session(alice(), SessionPolicy::AllowAll)
                .await;
            let session = created.unwrap().session;
            let (aid, proof) = (session.aid.as_str(), session.current_state_proof.as_str());
            let fast = ManualClock::at(clock.now());
            fast.advance(ahead);
            let there = here.reopen(at(&fast));
            there.rotate_state_proof(aid, proof).await.unwrap();

            let renewing = here.renew_state_proof(proof);
            let time_passes = async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                clock.advance(ahead);
            };
            let (renewal, ()) = tokio::join!(renewing, time_passes);
            let renewal = renewal.unwrap();
            assert_eq!(matches!(renewal, Renewal::Converged(_)), converges);
            assert_eq!(matches!(renewal, Renewal::Compromised { .. }), !converges);
        }
    }

    #[test]
    fn debug_shows_no_data() {
        let (store, _) = store();
        assert!(!format!("{store:?}").contains("state"));
    }
}
