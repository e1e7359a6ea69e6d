//! What the story is told with.

use std::sync::Arc;

use anyhow::Result;
use store_core::{ManualClock, Settings, Store, Timestamp};
use tokio::sync::Barrier;

use super::launch::Launch;

pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: ManualClock,
    pub(super) launch: Launch,
    suffix: String,
}

/// The default settings with a clock that nothing has to wait for.
///
/// It shows 2000-01-01. On a database that others use, the demo's weeks then pass long before
/// anything of theirs expires, so that its cleanup finds what is its own, and to them all that it
/// keeps has expired.
pub(super) fn settings() -> (Settings, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_unix_millis(946_684_800_000));
    let settings = Settings {
        clock: Arc::new(clock.clone()),
        ..Settings::default()
    };
    (settings, clock)
}

impl World {
    /// `shared` if others may be using what the store keeps.
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: ManualClock,
        launch: Launch,
        shared: bool,
    ) -> Result<Self> {
        let suffix = if shared {
            format!("-demo-{:08x}", getrandom::u32()?)
        } else {
            String::new()
        };
        Ok(Self {
            store,
            clock,
            launch,
            suffix,
        })
    }

    /// A name of the launch's, made the demo's own where others may be using the real one.
    pub(super) fn own(&self, name: &str) -> String {
        if self.suffix.is_empty() {
            return name.to_owned();
        }
        // Cut so that the longest names there are leave room.
        let cut: String = name.chars().take(200).collect();
        format!("{cut}{}", self.suffix)
    }

    pub(super) fn client_id(&self) -> String {
        self.own(&self.launch.session.platform.client_id)
    }

    pub(super) fn nonce(&self) -> String {
        self.own(&self.launch.nonce)
    }

    pub(super) fn principal(&self) -> String {
        let user = self.launch.session.user.id.as_deref();
        self.own(user.unwrap_or("anonymous"))
    }
}

/// Does `work` this many times, each in a task of its own, all starting at the same moment.
pub(super) async fn at_once<T, F>(times: usize, work: impl Fn() -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(times));
    let tasks: Vec<_> = (0..times)
        .map(|_| {
            let (start, work) = (Arc::clone(&start), work());
            tokio::spawn(async move {
                start.wait().await;
                work.await
            })
        })
        .collect();
    let mut done = Vec::with_capacity(times);
    for task in tasks {
        done.push(task.await?);
    }
    Ok(done)
}
