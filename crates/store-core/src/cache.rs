//! A cache in front of any store.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::deployments::DEFAULT_DEPLOYMENT_ID;
use crate::error::Result;
use crate::identifiers::{ClientId, DeploymentId, Issuer, parse_uuid};
use crate::launch_configs::LaunchConfig;
use crate::lti_sessions::{Expiring, LtiSession};
use crate::store::Store;

mod delegate;

/// How much a cache keeps, and for how long.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// How many launch configs. 1,000 by default.
    pub launch_configs: usize,
    /// For how long. 15 minutes by default.
    pub launch_config_age: Duration,
    /// How many LTI sessions. 1,000 by default.
    pub lti_sessions: usize,
    /// For how long, and never past their expiry. 5 minutes by default.
    pub lti_session_age: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            launch_configs: 1_000,
            launch_config_age: Duration::from_secs(15 * 60),
            lti_sessions: 1_000,
            lti_session_age: Duration::from_secs(5 * 60),
        }
    }
}

/// A store that remembers launch configs and LTI sessions that it read. Everything else goes straight
/// to the store behind it; state proofs, nonces and locks are never cached.
///
/// - It never serves anything past its expiry, and remembers only what was found.
/// - Calls that miss the same entry at once make one request.
/// - Writes through it are forgotten after they commit. A write by another process is seen when the
///   entry's age is over: a session deleted there can be read here for up to
///   [`CacheOptions::lti_session_age`]. Don't cache where that matters.
/// - Each has a memory of its own; nothing is global.
///
/// ```
/// use std::sync::Arc;
/// use store_core::{Cached, CacheOptions, Clock, Store};
///
/// fn cached(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
///     Arc::new(Cached::new(store, clock, CacheOptions::default()))
/// }
/// ```
pub struct Cached {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    options: CacheOptions,
    /// Part of each launch config's key, and one more after each write to clients or deployments:
    /// what was read before is not found any more, reads under way included.
    generation: AtomicU64,
    launch_configs: Cache<LaunchKey, Entry<LaunchConfig>>,
    lti_sessions: Cache<Uuid, Entry<Expiring<LtiSession>>>,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A cached value and the span of time it may be served in.
struct Entry<T> {
    value: Arc<T>,
    from: Timestamp,
    until: Timestamp,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            from: self.from,
            until: self.until,
        }
    }
}

impl<T> Entry<T> {
    fn new(value: Arc<T>, now: Timestamp, age: Duration, expires_at: Timestamp) -> Self {
        let until = now.checked_add(age).unwrap_or(Timestamp::MAX);
        Self {
            value,
            from: now,
            until: until.min(expires_at),
        }
    }

    /// Not before `from` either: the clock may have stepped back.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

#[derive(PartialEq, Eq, Clone)]
struct LaunchKey {
    generation: u64,
    parts: [Box<str>; 3],
}

struct LaunchKeyRef<'a> {
    generation: u64,
    parts: [&'a str; 3],
}

impl Hash for LaunchKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [iss, client_id, deployment_id] = &self.parts;
        let parts = [&**iss, &**client_id, &**deployment_id];
        (self.generation, parts).hash(state);
    }
}

impl Hash for LaunchKeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.generation, self.parts).hash(state);
    }
}

impl Equivalent<LaunchKey> for LaunchKeyRef<'_> {
    fn equivalent(&self, key: &LaunchKey) -> bool {
        let mut pairs = self.parts.iter().zip(&key.parts);
        self.generation == key.generation && pairs.all(|(a, b)| **a == **b)
    }
}

impl Cached {
    /// Puts a cache in front of `store`. `clock` should be the store's own
    /// ([`Settings::clock`](crate::Settings::clock)).
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, options: CacheOptions) -> Self {
        Self {
            launch_configs: Cache::new(options.launch_configs),
            lti_sessions: Cache::new(options.lti_sessions),
            generation: AtomicU64::new(0),
            store,
            clock,
            options,
        }
    }

    async fn cached_launch_config(&self, parts: [&str; 3]) -> Result<Option<Arc<LaunchConfig>>> {
        let [iss, client_id, deployment_id] = parts;
        // What is no key of a row is no key here either, or junk would fill the memory.
        if !Issuer::accepts(iss) || !ClientId::accepts(client_id) {
            return self
                .store
                .get_launch_config(iss, client_id, deployment_id)
                .await;
        }
        let parts = if DeploymentId::accepts(deployment_id) {
            parts
        } else {
            [iss, client_id, DEFAULT_DEPLOYMENT_ID]
        };
        let generation = self.generation.load(Ordering::Acquire);
        let now = self.clock.now();
        let key = LaunchKeyRef { generation, parts };
        if let Some(entry) = self.launch_configs.get(&key) {
            if entry.is_fresh(now) {
                return Ok(Some(entry.value));
            }
            self.launch_configs
                .remove_if(&key, |entry| !entry.is_fresh(now));
        }
        let [iss, client_id, deployment_id] = parts;
        let load = async || {
            let config = self
                .store
                .get_launch_config(iss, client_id, deployment_id)
                .await?;
            let age = self.options.launch_config_age;
            Ok(config.map(|config| Entry::new(config, now, age, Timestamp::MAX)))
        };
        let key = LaunchKey {
            generation,
            parts: parts.map(Into::into),
        };
        read_through(&self.launch_configs, &key, load).await
    }

    async fn cached_lti_session(&self, id: &str) -> Result<Option<Arc<Expiring<LtiSession>>>> {
        let Some(key) = parse_uuid(id) else {
            return self.store.get_lti_session(id).await;
        };
        let now = self.clock.now();
        if let Some(entry) = self.lti_sessions.get(&key) {
            if entry.is_fresh(now) {
                return Ok(Some(entry.value));
            }
            self.lti_sessions
                .remove_if(&key, |entry| !entry.is_fresh(now));
        }
        let load = async || {
            let session = self.store.get_lti_session(id).await?;
            let age = self.options.lti_session_age;
            Ok(session.map(|session| {
                let expires_at = session.expires_at;
                Entry::new(session, now, age, expires_at)
            }))
        };
        read_through(&self.lti_sessions, &key, load).await
    }

    /// Forgets all launch configs when dropped: after a write, whether it succeeded, failed or was
    /// given up.
    fn forget_launch_configs(&self) -> impl Drop + Send + '_ {
        OnDrop(|| {
            self.generation.fetch_add(1, Ordering::AcqRel);
        })
    }

    /// Forgets an LTI session when dropped, and a read of it under way.
    fn forget_lti_session(&self, id: Option<Uuid>) -> impl Drop + Send + '_ {
        OnDrop(move || {
            if let Some(id) = id {
                self.lti_sessions.remove(&id);
            }
        })
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Loads an entry once for all who miss it at the same moment. If the one that loads finds nothing or
/// fails, the others load for themselves, side by side.
async fn read_through<K, T>(
    cache: &Cache<K, Entry<T>>,
    key: &K,
    load: impl AsyncFnOnce() -> Result<Option<Entry<T>>>,
) -> Result<Option<Arc<T>>>
where
    K: Clone + Eq + Hash,
{
    let mut waiting = pin!(cache.get_value_or_guard_async(key));
    let at_once = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await;
    let guard = match at_once {
        Poll::Ready(Ok(entry)) => return Ok(Some(entry.value)),
        Poll::Ready(Err(guard)) => Some(guard),
        Poll::Pending => match waiting.await {
            Ok(entry) => return Ok(Some(entry.value)),
            Err(_guard) => None,
        },
    };
    let Some(entry) = load().await? else {
        return Ok(None);
    };
    let value = Arc::clone(&entry.value);
    if let Some(guard) = guard {
        // Refused when the entry was forgotten meanwhile: then it is not remembered.
        let _ = guard.insert(entry);
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;
    use crate::error::{Error, ErrorKind};

    type Numbers = Cache<u8, Entry<u64>>;

    fn entry(value: u64) -> Entry<u64> {
        Entry::new(
            Arc::new(value),
            Timestamp::MIN,
            Duration::MAX,
            Timestamp::MAX,
        )
    }

    #[tokio::test]
    async fn misses_at_once_load_once() {
        let (cache, loads) = (Numbers::new(10), AtomicUsize::new(0));
        let read = async || {
            let load = async || {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(Some(entry(7)))
            };
            read_through(&cache, &1, load).await.unwrap()
        };
        let values = join_all((0..50).map(|_| read())).await;
        assert!(values.iter().all(|value| value.as_deref() == Some(&7)));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn when_the_first_fails_the_others_load_side_by_side() {
        let (cache, loads) = (Numbers::new(10), AtomicUsize::new(0));
        let read = async || {
            let load = async || {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Error::new(ErrorKind::Unavailable, "down"))
            };
            read_through(&cache, &1, load).await
        };
        let started = std::time::Instant::now();
        let results = join_all((0..20).map(|_| read())).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(
            loads.load(Ordering::SeqCst),
            20,
            "each has an error of its own"
        );
        assert!(
            started.elapsed() < Duration::from_millis(500),
            "not one after the other"
        );
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_is_read_is_not_remembered() {
        let (cache, reading, forgotten) = (Numbers::new(10), Notify::new(), Notify::new());
        let load = async || {
            reading.notify_one();
            forgotten.notified().await;
            Ok(Some(entry(7)))
        };
        let forget = async {
            reading.notified().await;
            cache.remove(&1);
            forgotten.notify_one();
        };
        let (value, ()) = tokio::join!(read_through(&cache, &1, load), forget);
        assert_eq!(value.unwrap().as_deref(), Some(&7));
        assert!(cache.get(&1).is_none());
    }

    #[tokio::test]
    async fn what_is_not_found_is_not_remembered() {
        let cache = Numbers::new(10);
        let none = read_through(&cache, &1, async || Ok(None)).await;
        assert_eq!(none.unwrap(), None);
        let some = read_through(&cache, &1, async || Ok(Some(entry(7)))).await;
        assert_eq!(some.unwrap().as_deref(), Some(&7));
    }

    #[test]
    fn an_entry_is_fresh_until_its_age_or_expiry_and_not_before_it_was_read() {
        let at = Timestamp::from_unix_millis;
        let aged = Entry::new(
            Arc::new(1),
            at(100),
            Duration::from_millis(50),
            Timestamp::MAX,
        );
        let expiring = Entry::new(Arc::new(1), at(100), Duration::from_secs(9), at(120));
        assert!(aged.is_fresh(at(149)) && !aged.is_fresh(at(150)) && !aged.is_fresh(at(99)));
        assert!(expiring.is_fresh(at(119)) && !expiring.is_fresh(at(120)));
    }
}
