//! Who may have a connection next.
//!
//! The driver's pool takes a returned connection by way of a task of its own, and looks at its socket
//! before it lends it again. A connection whose next user is waiting already, or comes within a
//! moment, is handed over here instead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Connection;

/// For how long a connection that was given back counts as alive without being looked at: no longer
/// than a request takes to get to a server.
const FRESH: Duration = Duration::from_micros(500);
/// How often those that nobody came for are put away.
const COOLING: Duration = Duration::from_millis(1);

/// So many may have a connection at once, in the order in which they ask.
pub(super) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Nobody waits while anything is free.
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// Connections that were given back a moment ago, the latest last.
    warm: Vec<(Connection, Instant)>,
    /// Whether a task is under way that puts them away.
    cooling: bool,
}

/// Leave to have a connection, and maybe the connection. Goes to whoever is next when it is dropped.
pub(super) struct Turn {
    turns: Option<Arc<Turns>>,
    pub(super) connection: Option<Connection>,
}

impl Turns {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: count,
                waiting: VecDeque::new(),
                warm: Vec::new(),
                cooling: false,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn, or `None` if none comes in time.
    pub(super) async fn next(self: &Arc<Self>, wait: Duration) -> Option<Turn> {
        let receiver = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                let warm = state.warm.pop();
                drop(state);
                let fresh = warm.filter(|(_, since)| since.elapsed() < FRESH);
                return Some(Turn {
                    turns: Some(Arc::clone(self)),
                    connection: fresh.map(|(connection, _)| connection),
                });
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            receiver
        };
        timeout(wait, receiver).await.ok()?.ok()
    }

    /// Passes a turn to whoever waits, and otherwise keeps its connection for a moment.
    fn pass(self: Arc<Self>, connection: Option<Connection>) {
        let mut turn = Turn {
            turns: Some(Arc::clone(&self)),
            connection,
        };
        loop {
            let mut state = self.state();
            let Some(next) = state.waiting.pop_front() else {
                turn.turns = None;
                state.free += 1;
                if let Some(connection) = turn.connection.take() {
                    self.keep(state, connection);
                }
                return;
            };
            drop(state);
            match next.send(turn) {
                Ok(()) => return,
                Err(gone) => turn = gone,
            }
        }
    }

    fn keep(self: &Arc<Self>, mut state: MutexGuard<'_, State>, connection: Connection) {
        let runtime = tokio::runtime::Handle::try_current();
        let Ok(runtime) = runtime else {
            drop(state);
            drop(connection);
            return;
        };
        state.warm.push((connection, Instant::now()));
        if !std::mem::replace(&mut state.cooling, true) {
            let turns = Arc::downgrade(self);
            runtime.spawn(async move {
                loop {
                    tokio::time::sleep(COOLING).await;
                    match turns.upgrade() {
                        Some(turns) if turns.cool() => {}
                        _ => return,
                    }
                }
            });
        }
    }

    /// Gives connections that nobody came for to the driver's pool, which closes what stays idle, and
    /// tells whether any others are left.
    fn cool(&self) -> bool {
        let mut state = self.state();
        let fresh = state.warm.iter();
        let old = fresh
            .take_while(|(_, since)| since.elapsed() >= FRESH)
            .count();
        let old: Vec<_> = state.warm.drain(..old).collect();
        state.cooling = !state.warm.is_empty();
        let cooling = state.cooling;
        drop(state);
        drop(old);
        cooling
    }

    /// Lets go of all connections that are kept here.
    pub(super) fn forget(&self) {
        let warm = std::mem::take(&mut self.state().warm);
        drop(warm);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.pass(self.connection.take());
        }
    }
}
