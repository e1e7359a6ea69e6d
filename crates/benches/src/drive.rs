//! Driving an implementation that lives in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::case::Case;
use crate::measure::{Sample, Work, measure, until};
use crate::subject::Subject;
use crate::world::{Turn, World};

struct Task {
    subject: Arc<dyn Subject>,
    case: Case,
    turn: Turn,
}

impl Work for Task {
    async fn once(&mut self) -> Result<()> {
        self.subject.once(self.case, &mut self.turn).await
    }
}

fn tasks(subject: &Arc<dyn Subject>, world: &Arc<World>, case: Case, tasks: usize) -> Vec<Task> {
    let task = |task| Task {
        subject: Arc::clone(subject),
        case,
        turn: Turn::new(world, task, tasks),
    };
    (0..tasks).map(task).collect()
}

/// Runs a case for about `length` on so many tasks.
pub(crate) async fn run(
    subject: &Arc<dyn Subject>,
    world: &Arc<World>,
    case: Case,
    count: usize,
    length: Duration,
) -> Result<Sample> {
    let measured = measure(tasks(subject, world, case, count), length).await;
    measured.with_context(|| format!("{} of {}", case.id(), subject.name()))
}

/// Runs a case for as long as something else takes.
pub(crate) async fn meanwhile<T>(
    subject: &Arc<dyn Subject>,
    world: &Arc<World>,
    case: Case,
    count: usize,
    other: impl Future<Output = Result<T>>,
) -> Result<(Sample, T)> {
    let done = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&done);
    let goes_on = move || !watched.load(Ordering::Relaxed);
    let reading = tokio::spawn(until(tasks(subject, world, case, count), goes_on));
    let other = other.await;
    done.store(true, Ordering::Relaxed);
    let sample = reading.await.context("the tasks failed")??;
    Ok((sample, other?))
}
