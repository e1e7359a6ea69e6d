//! What is not an operation repeated: cleaning up, starting, and memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Session;
use crate::case::Case;
use crate::child::Job;
use crate::drive;
use crate::measure::Sample;
use crate::results::{Reads, median};
use crate::world::World;

/// How many tasks read while it is cleaned up.
const READERS: usize = 16;
/// How often a process is started in each round.
const STARTS: usize = 5;
const MEMORY_TASKS: usize = 64;

impl Session<'_> {
    /// S8: twice as many sessions as there are at first have expired, and as many again are read meanwhile.
    pub(super) async fn clean_up(&mut self, world: &Arc<World>) -> Result<()> {
        let expired = world.rows * 2;
        let subjects = self.subjects().await?;
        let mut reads: Vec<Vec<Reads>> = vec![Vec::new(); subjects.len()];
        for round in 0..self.options.rounds() {
            for (index, subject) in subjects.iter().enumerate() {
                let name = subject.name();
                eprintln!(
                    "bench: S8: {name} cleans up {expired} sessions, round {}",
                    round + 1
                );
                self.bench
                    .load_expired(expired)
                    .await
                    .context("storing expired sessions")?;
                let case = Case::GetLtiSession;
                drive::run(subject, world, case, READERS, self.options.warm_up()).await?;
                let length = self.options.length().min(Duration::from_secs(2));
                let before = drive::run(subject, world, case, READERS, length).await?;
                let work = async {
                    let began = Instant::now();
                    let deleted = subject.clean_up().await?;
                    anyhow::Ok((deleted, began.elapsed().as_secs_f64()))
                };
                let done = drive::meanwhile(subject, world, case, READERS, work).await;
                let (during, (deleted, took)) = done.with_context(|| format!("S8 of {name}"))?;
                ensure!(
                    deleted >= expired as u64,
                    "{name} deleted {deleted} of {expired}"
                );
                reads[index].push(Reads {
                    p99_before_us: before.p99_us,
                    p99_during_us: during.p99_us,
                });
                let all = &reads[index];
                let of = |value: fn(&Reads) -> f64| median(all.iter().map(value));
                let reads = of(|reads| reads.p99_before_us).zip(of(|reads| reads.p99_during_us));
                let blank = self.blank(name, "S8", READERS, world.rows);
                let row = self.results.row(blank);
                row.push(Sample {
                    ops_per_s: deleted as f64 / took,
                    p50_us: during.p50_us,
                    p99_us: during.p99_us,
                    // Reading takes nearly all of it.
                    client_cpu_us_per_op: 0.0,
                });
                row.reads = reads.map(|(p99_before_us, p99_during_us)| Reads {
                    p99_before_us,
                    p99_during_us,
                });
            }
            self.save()?;
        }
        for subject in subjects {
            subject.close().await;
        }
        Ok(())
    }

    /// S10: a process starts and asks for one session.
    pub(super) fn cold_starts(&mut self) -> Result<()> {
        let authority = self.backend.authority();
        let rows = self.options.rows(self.backend);
        let mut kinds = vec![("S10", "raw", None), ("S10", "ours", None)];
        if let Some(ca) = authority.as_deref() {
            kinds.push(("S10-tls", "ours", Some(ca)));
        }
        kinds.retain(|(_, name, _)| self.options.wants(name));
        for _ in 0..self.options.rounds() * STARTS {
            for &(scenario, name, ca) in &kinds {
                let job = Job::new(self.backend, self.bench, name, ca);
                let sample = job.start(self.bench.url());
                let sample = sample.with_context(|| format!("{scenario} of {name}"))?;
                let blank = self.blank(name, scenario, 1, rows);
                self.results.row(blank).push(sample);
            }
        }
        self.save()
    }

    /// S12: the most memory that a process with many tasks has.
    pub(super) fn memory(&mut self) -> Result<()> {
        let rows = self.options.rows(self.backend);
        for name in ["raw", "ours"]
            .into_iter()
            .filter(|name| self.options.wants(name))
        {
            let job = Job::new(self.backend, self.bench, name, None);
            let measured = job.memory(self.bench.url());
            let (sample, rss_mib) = measured.with_context(|| format!("S12 of {name}"))?;
            let blank = self.blank(name, "S12", MEMORY_TASKS, rows);
            let row = self.results.row(blank);
            row.push(sample);
            row.rss_mib = Some(rss_mib);
        }
        self.save()
    }
}
