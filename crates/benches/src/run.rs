//! Running what was asked for, and keeping what was measured.

mod extra;
mod growth;
mod steady;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::backend::{Backend, Bench, place, second_place};
use crate::case::Scenario;
use crate::contender::Contender;
use crate::options::Options;
use crate::peer;
use crate::results::{Absent, Results, Row};
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
        let url = std::env::var(backend.variable()?).ok();
        url.filter(|url| !url.is_empty())
    };
    match (&options.backend[..], &options.url) {
        (&[backend], Some(url)) => Ok(vec![(backend, url.clone())]),
        (_, Some(_)) => bail!("--url needs one --backend"),
        ([], None) => {
            let all = Backend::value_variants().iter();
            let usual = all.filter(|backend| backend.is_usual());
            let found = usual.filter_map(|&backend| match backend.variable() {
                Some(_) => Some((backend, named(backend)?)),
                None => Some((backend, String::new())),
            });
            Ok(found.collect())
        }
        (some, None) => {
            let found = some.iter().map(|&backend| {
                let Some(variable) = backend.variable() else {
                    return Ok((backend, String::new()));
                };
                let url = named(backend).with_context(|| {
                    format!("{variable} is not set; `cargo xtask bench` provides servers")
                });
                Ok((backend, url?))
            });
            found.collect()
        }
    }
}

/// What is measured on one server.
struct Session<'a> {
    options: &'a Options,
    backend: Backend,
    bench: &'a dyn Bench,
    results: &'a mut Results,
}

async fn one(options: &Options, backend: Backend, url: &str, results: &mut Results) -> Result<()> {
    let bench = backend.open(url, &place()).await?;
    let mut session = Session {
        options,
        backend,
        bench: &*bench,
        results,
    };
    let measured = session.measure().await;
    let removed = bench.remove().await;
    measured.and(removed)?;
    if options.includes(Scenario::S11) {
        // Elsewhere on the same server, which an emulator in a child process may be.
        let bench = backend.open(bench.url(), &second_place()).await?;
        session.bench = &*bench;
        let measured = session.grow().await;
        let removed = bench.remove().await;
        measured.and(removed)?;
    }
    Ok(())
}

impl Session<'_> {
    async fn measure(&mut self) -> Result<()> {
        let wanted = self.options;
        self.bench
            .create()
            .await
            .context("making a place to measure in")?;
        let on_rows = [Scenario::S8, Scenario::S10, Scenario::S12];
        let on_rows = on_rows.iter().any(|&scenario| wanted.includes(scenario));
        if wanted.cases().is_empty() && !on_rows {
            return Ok(());
        }
        let world = self.load().await?;
        if wanted.includes(Scenario::S10) {
            self.cold_starts()?;
        }
        if wanted.includes(Scenario::S12) {
            self.memory()?;
        }
        if !wanted.cases().is_empty() {
            self.steady(&world).await?;
        }
        if wanted.includes(Scenario::S8) {
            self.clean_up(&world).await?;
        }
        Ok(())
    }

    async fn load(&mut self) -> Result<Arc<World>> {
        let rows = self.options.rows(self.backend);
        eprintln!(
            "bench: {}: storing {rows} sessions of each kind",
            self.bench.server()
        );
        let began = Instant::now();
        let mut world = World::new(rows)?;
        let loaded = self.bench.load(&mut world, 0).await;
        loaded.context("storing what is measured on")?;
        eprintln!("bench: stored in {:.0} s", began.elapsed().as_secs_f64());
        Ok(Arc::new(world))
    }

    /// The implementations in this process.
    async fn subjects(&self) -> Result<Vec<Arc<dyn Subject>>> {
        let mut subjects = Vec::new();
        if self.options.wants("raw") {
            subjects.push(self.bench.raw().await?);
        }
        if self.options.wants("ours") {
            subjects.push(self.bench.ours(None).await?);
        }
        Ok(subjects)
    }

    /// Those, and the peers.
    async fn contenders(&mut self, world: &World) -> Result<Vec<Contender>> {
        let subjects = self.subjects().await?;
        let mut contenders: Vec<_> = subjects.into_iter().map(Contender::Here).collect();
        let (backend, url) = (self.backend.name(), self.bench.url());
        let (peers, missing) = peer::all(backend, url, self.bench.place(), world);
        let wanted = peers
            .into_iter()
            .filter(|peer| self.options.wants(peer.name()));
        contenders.extend(wanted.map(Contender::Peer));
        for (implementation, reason) in missing {
            self.miss(implementation, reason);
        }
        Ok(contenders)
    }

    /// Keeps why a peer is not measured.
    fn miss(&mut self, implementation: String, reason: String) {
        self.results.absent.push(Absent {
            backend: self.backend.name().to_owned(),
            implementation,
            reason,
        });
    }

    /// A row that nothing was measured for yet.
    fn blank(&self, implementation: &str, scenario: &str, concurrency: usize, rows: usize) -> Row {
        Row {
            backend: self.backend.name().to_owned(),
            server: self.bench.server().to_owned(),
            implementation: implementation.to_owned(),
            scenario: scenario.to_owned(),
            concurrency,
            rows,
            ..Row::default()
        }
    }

    /// Writes what was measured so far, so that a run that is interrupted keeps it.
    fn save(&mut self) -> Result<()> {
        self.results.compare();
        self.results.write(&self.options.output)
    }
}
