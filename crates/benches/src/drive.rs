//! Driving an implementation: so many tasks, each doing one operation after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::case::Case;
use crate::subject::Subject;
use crate::world::{Turn, World};

/// What was measured over a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_us_per_op: f64,
}

/// The time that all threads of this process have spent on a processor, in microseconds.
pub(crate) fn cpu_time() -> Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("asking for the processor time")?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}

/// Latencies in nanoseconds, to three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

pub(crate) fn micros(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_nanos(histogram.value_at_quantile(quantile)).as_secs_f64() * 1e6
}

/// Runs a case for about `length` on `tasks` tasks.
pub(crate) async fn run(
    subject: &Arc<dyn Subject>,
    world: &Arc<World>,
    case: Case,
    tasks: usize,
    length: Duration,
) -> Result<Sample> {
    let cpu = cpu_time()?;
    let began = Instant::now();
    let deadline = began + length;
    let spawned: Vec<_> = (0..tasks)
        .map(|task| {
            let subject = Arc::clone(subject);
            let mut turn = Turn::new(world, task, tasks);
            tokio::spawn(async move {
                let mut latencies = histogram()?;
                let mut last = Instant::now();
                while last < deadline {
                    subject.once(case, &mut turn).await?;
                    let done = Instant::now();
                    latencies.record(nanos(done - last))?;
                    last = done;
                    // What never waits must not keep the others from running.
                    tokio::task::consume_budget().await;
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut latencies = histogram()?;
    for task in spawned {
        let done = task.await.context("a task failed")?;
        let done = done.with_context(|| format!("{} of {}", case.id(), subject.name()))?;
        latencies.add(done)?;
    }
    let took = began.elapsed().as_secs_f64();
    let spent = cpu_time()? - cpu;
    let count = latencies.len() as f64;
    Ok(Sample {
        ops_per_s: count / took,
        p50_us: micros(&latencies, 0.5),
        p99_us: micros(&latencies, 0.99),
        cpu_us_per_op: spent as f64 / count.max(1.0),
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
