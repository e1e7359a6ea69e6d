//! S11: S1 to S7 with ever more sessions.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Session;
use super::steady::length;
use crate::case::{Case, Kind, Scenario};
use crate::contender::Contender;
use crate::progress::Progress;
use crate::world::World;

const TASKS: usize = 16;

impl Session<'_> {
    pub(super) async fn grow(&mut self) -> Result<()> {
        self.bench
            .create()
            .await
            .context("making a place to grow in")?;
        let cases = Case::ALL
            .into_iter()
            .filter(|case| case.scenario() <= Scenario::S7 && case.kind() != Kind::Cached);
        let cases: Vec<_> = cases.map(|case| (case, TASKS)).collect();
        let mut world = World::new(0)?;
        for rows in self.options.growth(self.backend) {
            let from = world.rows;
            eprintln!(
                "bench: {}: growing from {from} to {rows} sessions",
                self.bench.server()
            );
            let began = Instant::now();
            world.grow(rows)?;
            self.bench
                .load(&mut world, from)
                .await
                .context("storing more")?;
            eprintln!("bench: stored in {:.0} s", began.elapsed().as_secs_f64());
            let shared = Arc::new(world);
            let subjects = self.subjects().await?;
            let mut contenders: Vec<_> = subjects.into_iter().map(Contender::Here).collect();
            let progress = Progress::new(length(self.options, &cases, &contenders));
            for &case in &cases {
                self.case(&mut contenders, &shared, case, "S11/", &progress)
                    .await?;
            }
            progress.finish();
            for contender in contenders {
                contender.close().await;
            }
            world = Arc::into_inner(shared).context("somebody still measures")?;
        }
        Ok(())
    }
}
