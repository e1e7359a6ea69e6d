//! What takes part in a comparison: an implementation in this process, or a program that measures a peer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::case::Case;
use crate::drive;
use crate::measure::Sample;
use crate::peer::Peer;
use crate::subject::Subject;
use crate::world::World;

pub(crate) enum Contender {
    Here(Arc<dyn Subject>),
    Peer(Peer),
}

impl Contender {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Here(subject) => subject.name(),
            Self::Peer(peer) => peer.name(),
        }
    }

    pub(crate) fn supports(&self, case: Case) -> bool {
        match self {
            Self::Here(subject) => subject.supports(case),
            Self::Peer(peer) => peer.supports(case),
        }
    }

    /// Runs a case for about `length` on so many tasks.
    pub(crate) async fn run(
        &mut self,
        world: &Arc<World>,
        case: Case,
        tasks: usize,
        length: Duration,
    ) -> Result<Sample> {
        match self {
            Self::Here(subject) => drive::run(subject, world, case, tasks, length).await,
            Self::Peer(peer) => peer.run(case, tasks, length),
        }
    }

    /// Takes part no more, if it is a peer.
    pub(crate) fn dismiss(&mut self) -> bool {
        match self {
            Self::Here(_) => false,
            Self::Peer(peer) => {
                peer.dismiss();
                true
            }
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Here(subject) => subject.close().await,
            Self::Peer(peer) => drop(peer),
        }
    }
}
