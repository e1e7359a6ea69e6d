//! Measuring: so many tasks, each doing one operation after the other.
//!
//! The program that measures Rust peers includes this file, so that all are measured in one way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What was measured over a while.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sample {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) client_cpu_us_per_op: f64,
}

/// What a task does over and over.
pub(crate) trait Work: Send + 'static {
    /// Does it once.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// The time that all threads have spent on a processor, in microseconds: of this process, or of the children that it
/// has waited for.
pub(crate) fn cpu_time(who: UsageWho) -> Result<i64> {
    let usage = getrusage(who).context("asking for the processor time")?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}

/// Runs each on a task of its own, for about `length`.
pub(crate) async fn measure<W: Work>(works: Vec<W>, length: Duration) -> Result<Sample> {
    let deadline = Instant::now() + length;
    until(works, move || Instant::now() < deadline).await
}

/// Runs each on a task of its own while the condition holds.
pub(crate) async fn until<W: Work>(
    works: Vec<W>,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Sample> {
    let cpu = cpu_time(UsageWho::RUSAGE_SELF)?;
    let began = Instant::now();
    let spawned: Vec<_> = works
        .into_iter()
        .map(|mut work| {
            let goes_on = goes_on.clone();
            tokio::spawn(async move {
                let mut latencies = Histogram::<u64>::new(3)?;
                let mut last = Instant::now();
                while goes_on() {
                    work.once().await?;
                    let done = Instant::now();
                    let took = (done - last).as_nanos();
                    latencies.record(u64::try_from(took).unwrap_or(u64::MAX))?;
                    last = done;
                    // What never waits must not keep the others from running.
                    tokio::task::consume_budget().await;
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Histogram::<u64>::new(3)?;
    for task in spawned {
        latencies.add(task.await.context("a task failed")??)?;
    }
    let took = began.elapsed().as_secs_f64();
    let spent = cpu_time(UsageWho::RUSAGE_SELF)? - cpu;
    let count = latencies.len() as f64;
    let micros =
        |quantile| Duration::from_nanos(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e6;
    Ok(Sample {
        ops_per_s: count / took,
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        client_cpu_us_per_op: spent as f64 / count.max(1.0),
    })
}
