//! Running what was asked for, and keeping what was measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::backend::{Backend, Bench};
use crate::drive;
use crate::options::Options;
use crate::progress::Progress;
use crate::results::{Results, Row};
use crate::subject::Subject;
use crate::world::World;

/// Measures on each backend in turn.
pub(crate) async fn all(options: &Options) -> Result<Results> {
    let mut results = Results::default();
    for (backend, url) in targets(options)? {
        let within = || format!("measuring on {}", backend.name());
        one(options, backend, &url, &mut results)
            .await
            .with_context(within)?;
    }
    Ok(results)
}

/// The backends, and where their servers are.
fn targets(options: &Options) -> Result<Vec<(Backend, String)>> {
    let named = |backend: Backend| {
        let variable = backend.variable()?;
        std::env::var(variable).ok().filter(|url| !url.is_empty())
    };
    match (&options.backend[..], &options.url) {
        (&[backend], Some(url)) => Ok(vec![(backend, url.clone())]),
        (_, Some(_)) => bail!("--url needs one --backend"),
        ([], None) => {
            let all = Backend::value_variants().iter();
            let found = all.filter_map(|&backend| match backend.variable() {
                Some(_) => Some((backend, named(backend)?)),
                None => Some((backend, String::new())),
            });
            Ok(found.collect())
        }
        (some, None) => {
            let found = some.iter().map(|&backend| match backend.variable() {
                Some(variable) => {
                    let url = named(backend);
                    let url = url.with_context(|| {
                        format!("{variable} is not set; see `cargo xtask services up`")
                    });
                    Ok((backend, url?))
                }
                None => Ok((backend, String::new())),
            });
            found.collect()
        }
    }
}

async fn one(options: &Options, backend: Backend, url: &str, results: &mut Results) -> Result<()> {
    let bench = backend.open(url).await?;
    let measured = measure(options, backend, &*bench, results).await;
    let removed = bench.remove().await;
    measured.and(removed)
}

async fn measure(
    options: &Options,
    backend: Backend,
    bench: &dyn Bench,
    results: &mut Results,
) -> Result<()> {
    let rows = options.rows(backend);
    eprintln!(
        "bench: {}: storing {rows} sessions of each kind",
        bench.server()
    );
    let began = Instant::now();
    let mut world = World::new(rows)?;
    bench
        .load(&mut world)
        .await
        .context("storing what is measured on")?;
    let world = Arc::new(world);
    eprintln!("bench: stored in {:.0} s", began.elapsed().as_secs_f64());

    let mut subjects: Vec<Arc<dyn Subject>> = Vec::new();
    if options.wants("raw") {
        subjects.push(bench.raw().await?);
    }
    if options.wants("ours") {
        subjects.push(bench.ours().await?);
    }
    let plan = Plan::new(options, &subjects);
    let progress = Progress::new(plan.length(options));
    for (case, tasks) in &plan.steps {
        for round in 0..options.rounds() {
            // Each goes first in turn.
            let mut order: Vec<_> = subjects.iter().filter(|s| s.supports(*case)).collect();
            let turn = round % order.len().max(1);
            order.rotate_left(turn);
            for subject in order {
                let name = subject.name();
                progress.say(format!(
                    "{} {} × {tasks}, round {}",
                    case.id(),
                    name,
                    round + 1
                ));
                drive::run(subject, &world, *case, *tasks, options.warm_up()).await?;
                let sample = drive::run(subject, &world, *case, *tasks, options.length()).await?;
                progress.advance(options.warm_up() + options.length());
                let blank = Row {
                    backend: backend.name().to_owned(),
                    server: bench.server().to_owned(),
                    implementation: name.to_owned(),
                    scenario: case.id().to_owned(),
                    concurrency: *tasks,
                    rows,
                    ..Row::default()
                };
                results.row(blank).push(sample.into());
            }
        }
        results.compare();
        results.write(&options.output)?;
    }
    progress.finish();
    for subject in subjects {
        subject.close().await;
    }
    Ok(())
}

/// What is measured, in order.
struct Plan {
    steps: Vec<(crate::case::Case, usize)>,
    measurements: usize,
}

impl Plan {
    fn new(options: &Options, subjects: &[Arc<dyn Subject>]) -> Self {
        let mut steps = Vec::new();
        let mut measurements = 0;
        for case in options.cases() {
            let able = subjects.iter().filter(|s| s.supports(case)).count();
            for tasks in options.tasks_of(case) {
                if able > 0 {
                    steps.push((case, tasks));
                    measurements += able * options.rounds();
                }
            }
        }
        Self {
            steps,
            measurements,
        }
    }

    fn length(&self, options: &Options) -> Duration {
        let each = options.warm_up() + options.length();
        each * u32::try_from(self.measurements).unwrap_or(u32::MAX)
    }
}
