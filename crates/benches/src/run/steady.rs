//! Cases that run for a while, implementations taking turns within each round.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::Session;
use crate::case::Case;
use crate::contender::Contender;
use crate::options::Options;
use crate::progress::Progress;
use crate::world::World;

impl Session<'_> {
    pub(super) async fn steady(&mut self, world: &Arc<World>) -> Result<()> {
        let mut contenders = self.contenders(world).await?;
        let cases = self.options.cases();
        let cases = cases.into_iter().flat_map(|case| {
            let tasks = self.options.tasks_of(case).into_iter();
            tasks.map(move |tasks| (case, tasks))
        });
        let cases: Vec<_> = cases.collect();
        let progress = Progress::new(length(self.options, &cases, &contenders));
        for (case, tasks) in cases {
            self.case(&mut contenders, world, (case, tasks), "", &progress)
                .await?;
        }
        progress.finish();
        for contender in contenders {
            contender.close().await;
        }
        Ok(())
    }

    /// Measures one case, and keeps it under the scenario's name after this prefix.
    pub(super) async fn case(
        &mut self,
        contenders: &mut [Contender],
        world: &Arc<World>,
        (case, tasks): (Case, usize),
        prefix: &str,
        progress: &Progress,
    ) -> Result<()> {
        let scenario = format!("{prefix}{}", case.id());
        for round in 0..self.options.rounds() {
            let mut able: Vec<_> = contenders.iter_mut().filter(|c| c.supports(case)).collect();
            if able.is_empty() {
                return Ok(());
            }
            // Each goes first in turn.
            let first = round % able.len();
            able.rotate_left(first);
            for contender in able {
                let name = contender.name().to_owned();
                progress.say(format!("{scenario} {name} × {tasks}, round {}", round + 1));
                let (warm_up, length) = (self.options.warm_up(), self.options.length());
                let measured = async {
                    contender.run(world, case, tasks, warm_up).await?;
                    contender.run(world, case, tasks, length).await
                };
                let measured = measured.await;
                progress.advance(warm_up + length);
                match measured {
                    Ok(sample) => {
                        let blank = self.blank(&name, &scenario, tasks, world.rows);
                        self.results.row(blank).push(sample);
                    }
                    // That a peer fails is told, and takes nothing from the others.
                    Err(error) if contender.dismiss() => self.miss(name, format!("{error:#}")),
                    Err(error) => return Err(error),
                }
            }
        }
        self.save()
    }
}

/// How long all cases take.
pub(super) fn length(
    options: &Options,
    cases: &[(Case, usize)],
    contenders: &[Contender],
) -> Duration {
    let able = |case| contenders.iter().filter(|c| c.supports(case)).count();
    let measured: usize = cases.iter().map(|&(case, _)| able(case)).sum();
    let times = u32::try_from(measured * options.rounds()).unwrap_or(u32::MAX);
    (options.warm_up() + options.length()) * times
}
