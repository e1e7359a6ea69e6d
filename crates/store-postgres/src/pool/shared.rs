//! Connections that several reads use at once, one request behind the other.
//!
//! Such a connection is lent by the pool like any other, to the first read that needs one, and goes
//! back when the last has its answer. So it counts within the pool's limit, and idle closing, the
//! checks before it is lent again and the credentials of each connection are the pool's.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};

/// A connection that was lent.
pub(crate) struct Lent {
    object: Option<Object>,
    /// Whether others use it too.
    pub(crate) is_shared: bool,
    /// Whether it is closed instead of going back to the pool.
    broken: AtomicBool,
}

impl Lent {
    pub(crate) fn own(object: Object) -> Arc<Self> {
        Self::new(object, false)
    }

    fn new(object: Object, is_shared: bool) -> Arc<Self> {
        Arc::new(Self {
            object: Some(object),
            is_shared,
            broken: AtomicBool::new(false),
        })
    }
}

impl Deref for Lent {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        let object = self.object.as_ref();
        object.expect("only dropping takes it")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if *self.broken.get_mut() {
            drop(self.object.take().map(Object::take));
        }
    }
}

/// The connections that reads share at the moment, as far as any are under way.
#[derive(Default)]
pub(crate) struct Sharing {
    shared: Mutex<Vec<Weak<Lent>>>,
    /// Whether a read is getting a connection for all.
    opening: AtomicBool,
}

/// The right to get a connection that others will share.
pub(crate) struct Opening<'a>(&'a Sharing);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.opening.store(false, Ordering::Release);
    }
}

/// How many reads use a connection before another is shared too.
const CROWD: usize = 4;

impl Sharing {
    fn shared(&self) -> MutexGuard<'_, Vec<Weak<Lent>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The least used connection, unless another is to be shared too because there are fewer than
    /// `most` and all are crowded.
    pub(crate) fn join(&self, most: usize) -> Option<Arc<Lent>> {
        let shared = self.shared();
        let least = shared.iter().min_by_key(|weak| weak.strong_count())?;
        if shared.len() < most && least.strong_count() >= CROWD {
            return None;
        }
        let connection = least.upgrade()?;
        (!connection.is_closed()).then_some(connection)
    }

    /// Whether the caller is the one to get a connection for all.
    pub(crate) fn open(&self) -> Option<Opening<'_>> {
        let before = self.opening.swap(true, Ordering::Acquire);
        (!before).then_some(Opening(self))
    }

    /// Lets no further read join the connection and tells whether this was the first to say so.
    pub(crate) fn part(&self, connection: &Arc<Lent>) -> bool {
        let mut shared = self.shared();
        let before = shared.len();
        shared.retain(|weak| !std::ptr::eq(weak.as_ptr(), Arc::as_ptr(connection)));
        shared.len() < before
    }

    /// Lets go of a connection that is of no use any more, when the reads on it are done.
    pub(crate) fn drop_broken(&self, connection: &Arc<Lent>) {
        connection.broken.store(true, Ordering::Relaxed);
        self.part(connection);
    }

    /// The same for all that are shared now.
    pub(crate) fn drop_all(&self) {
        for connection in self.shared().drain(..).filter_map(|weak| weak.upgrade()) {
            connection.broken.store(true, Ordering::Relaxed);
        }
    }

    /// Gives the connection back to the pool once what was sent on it is answered, and closes it if
    /// that takes longer than `patience`.
    pub(crate) fn set_aside(&self, connection: &Arc<Lent>, patience: Duration) {
        if !self.part(connection) {
            return;
        }
        let connection = Arc::clone(connection);
        tokio::spawn(async move {
            let answered = tokio::time::timeout(patience, connection.batch_execute("")).await;
            if !matches!(answered, Ok(Ok(()))) {
                connection.broken.store(true, Ordering::Relaxed);
            }
        });
    }
}

impl Opening<'_> {
    /// Shares a connection with the reads to come.
    pub(crate) fn share(self, object: Object) -> Arc<Lent> {
        let connection = Lent::new(object, true);
        let mut shared = self.0.shared();
        shared.retain(|weak| weak.strong_count() > 0);
        shared.push(Arc::downgrade(&connection));
        drop(shared);
        connection
    }
}
