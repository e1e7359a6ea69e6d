//! From the command line to an answer: opens the store, watches time and interrupts, closes it.

use std::sync::Arc;
use std::time::Duration;

use store::{Settings, Store};

use crate::answer::Answer;
use crate::cli::{Cli, Command, Common};
use crate::commands::{
    bootstrap, cleanup, clients, completions, deployments, health, import, man, sessions, status,
};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::place::Place;

/// How long closing may take: by then the answer is known.
const CLOSING: Duration = Duration::from_secs(2);

pub(crate) async fn run(cli: Cli) -> Result<Answer> {
    match cli.command {
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        command => {
            let timeout = cli.common.timeout;
            let work = on_store(&cli.common, command);
            match timeout {
                None => work.await,
                Some(limit) => tokio::time::timeout(limit, work)
                    .await
                    .unwrap_or_else(|_| Err(late(limit))),
            }
        }
    }
}

fn late(limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    let message = format!("not done after {limit}, which --timeout allows");
    let hint =
        "what was under way may or may not have happened; look, then run it again with more time";
    Failure::new("timeout", message).hint(hint)
}

async fn on_store(common: &Common, command: Command) -> Result<Answer> {
    let place = Place::of_store(common)?;
    let batches = matches!(command, Command::Cleanup(_) | Command::Import(_));
    let mut interrupt = Interrupt::listen(batches);
    let listener = interrupt.clone();
    let work = answer(&place, common, command, &listener);
    let answer = if batches {
        work.await
    } else {
        tokio::select! {
            answer = work => answer,
            signal = interrupt.wait() => Err(Failure::interrupted(signal)),
        }
    };
    answer.map_err(|failure| failure.at(&place))
}

async fn answer(
    place: &Place,
    common: &Common,
    command: Command,
    interrupt: &Interrupt,
) -> Result<Answer> {
    match &command {
        Command::Bootstrap(args) if args.print => return bootstrap::print(place, args).await,
        Command::Cleanup(_) => place.not_memory("cleanup")?,
        Command::Clients(_) => place.not_memory("keeping clients")?,
        Command::Deployments(_) => place.not_memory("keeping deployments")?,
        Command::Sessions(_) => place.not_memory("looking for sessions")?,
        Command::Import(args) => {
            place.not_memory("importing")?;
            return import::run(place, common, args, interrupt).await;
        }
        _ => {}
    }
    let store = open(place).await?;
    let answer = match command {
        Command::Bootstrap(args) => bootstrap::run(&*store, place, &args).await,
        Command::Status => status::run(&*store, place).await,
        Command::Health => health::run(&*store, place).await,
        Command::Cleanup(args) => cleanup::run(&*store, &args, common.quiet, interrupt).await,
        Command::Clients(command) => clients::run(&*store, command).await,
        Command::Deployments(command) => deployments::run(&*store, command).await,
        Command::Sessions(command) => sessions::run(&*store, command).await,
        Command::Import(_) | Command::Completions(_) | Command::Man(_) => {
            Err(Failure::usage("this command needs no store"))
        }
    };
    close(&store).await;
    answer
}

/// Opens the store at `place` and makes sure that it answers.
pub(crate) async fn open(place: &Place) -> Result<Arc<dyn Store>> {
    let store = store::connect_with(place.url(), Settings::default()).await;
    store.map_err(|error| Failure::from(error).at(place))
}

pub(crate) async fn close(store: &Arc<dyn Store>) {
    // What is still in flight then belongs to work that was given up.
    let _ = tokio::time::timeout(CLOSING, store.close()).await;
}
