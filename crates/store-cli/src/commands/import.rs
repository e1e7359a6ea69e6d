//! `storectl import`.

mod copy;
mod counts;
mod digest;
mod patience;
mod replace;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use store::{RecordKind, Store};

use self::copy::Copying;
use self::counts::Counts;
use crate::answer::{Answer, Exit, bad, good};
use crate::cli::Common;
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::place::{Place, StoreUrl};
use crate::progress::Progress;
use crate::run::{close, open};

const AFTER_HELP: &str = "\
Records are copied as they are: ids, versions, proofs and times stay. Nothing in the target is overwritten, and \
expired records and locks stay behind. An import that was cut off is simply run again: what is there already is \
counted as present.

A record differs if the target has something else in its place, which is a client's id or its issuer and client \
id, a nonce, or the id of a session: because it was changed on either side after it was copied, or was never the \
same. A client differs if an endpoint, its name or one of its deployments does; deployments that only the target \
has don't count. A difference in any field counts, for instance when a session was last active.

Afterwards both stores are read once more and compared. It needs some 100 bytes of memory for each record of \
the largest kind. The exit code is 3 if records differ, are missing or were refused. While applications still \
write to the source, some will: stop them and import again, with --replace if the target may lose what it has.";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The URL of the store to import from; or set STORE_FROM_URL, or STORE_FROM_URL_FILE to a file's path.
    #[arg(long, value_name = "URL", conflicts_with = "from_file")]
    from: Option<StoreUrl>,
    /// A file that holds the URL of the store to import from; - is standard input.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Import only this kind (may be repeated).
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// How many records are written at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// How many records are read at once.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    page: u32,
    /// Write nothing: count what is there in both and compare.
    #[arg(long, conflicts_with_all = ["replace", "no_verify"])]
    dry_run: bool,
    /// Don't compare the stores afterwards.
    #[arg(long)]
    no_verify: bool,
    /// Delete records of the target that differ and import them again: a client goes with all of its
    /// deployments. Of nonces it is only made good that they were consumed. Asks first.
    #[arg(long)]
    replace: bool,
    /// Don't ask before replacing.
    #[arg(long, short)]
    yes: bool,
}

/// The kinds, as the command line spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Clients,
    Sessions,
    Nonces,
    RegistrationSessions,
    JtsSessions,
    LoginSessions,
}

impl From<Kind> for RecordKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Clients => Self::Clients,
            Kind::Sessions => Self::Sessions,
            Kind::Nonces => Self::Nonces,
            Kind::RegistrationSessions => Self::RegistrationSessions,
            Kind::JtsSessions => Self::JtsSessions,
            Kind::LoginSessions => Self::LoginSessions,
        }
    }
}

impl Args {
    fn kinds(&self) -> Vec<RecordKind> {
        let named: Vec<RecordKind> = self.kind.iter().map(|kind| (*kind).into()).collect();
        let all = RecordKind::ALL.into_iter();
        all.filter(|kind| named.is_empty() || named.contains(kind))
            .collect()
    }
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Finished,
    Interrupted,
}

pub(crate) async fn run(
    place: &Place,
    common: &Common,
    args: &Args,
    interrupt: &Interrupt,
) -> Result<Answer> {
    let dash = |file: &Option<PathBuf>| file.as_deref() == Some("-".as_ref());
    if dash(&common.url_file) && dash(&args.from_file) {
        return Err(Failure::usage(
            "standard input can hold only one of the two URLs",
        ));
    }
    let from = Place::of_source(args.from.as_ref(), args.from_file.as_deref())?;
    from.not_memory("importing")?;
    if from.url() == place.url() {
        let message = "the store to import from is the store to import into";
        return Err(Failure::usage(message));
    }
    let mut interrupted = interrupt.clone();
    let (source, target) = tokio::select! {
        stores = prepare(&from, place, args) => stores?,
        signal = interrupted.wait() => return Err(Failure::interrupted(signal)),
    };
    let outcome = import(&*source, &*target, args, common.quiet, interrupt).await;
    close(&source).await;
    close(&target).await;
    match outcome {
        Ok(import) => Ok(import.answer(&from, place, args.dry_run)),
        Err((side, failure)) => Err(failure.at(match side {
            Side::Source => &from,
            Side::Target => place,
        })),
    }
}

/// Asks what there is to ask, and opens both stores.
async fn prepare(
    from: &Place,
    to: &Place,
    args: &Args,
) -> Result<(Arc<dyn Store>, Arc<dyn Store>)> {
    if args.replace {
        let question = format!("Delete from {to} what differs from {from}, and import that again?");
        confirm(&question, args.yes).await?;
    }
    Ok((open(from).await?, open(to).await?))
}

/// Which of the two stores failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// A failure, and which store's it is.
type Sided<T> = std::result::Result<T, (Side, Failure)>;

#[derive(Debug)]
struct Import {
    counts: Counts,
    signal: Option<u8>,
}

async fn import(
    source: &dyn Store,
    target: &dyn Store,
    args: &Args,
    quiet: bool,
    interrupt: &Interrupt,
) -> Sided<Import> {
    let mut import = Import {
        counts: Counts::default(),
        signal: None,
    };
    let mut progress = Progress::new("import", quiet);
    for kind in args.kinds() {
        if !args.dry_run {
            let there = verify::there(target, kind, args.page, &mut progress, interrupt).await?;
            let mut copying = Copying {
                source,
                target,
                page: args.page,
                concurrency: args.concurrency as usize,
                replace: args.replace,
                there,
                counts: import.counts.of(kind),
                progress: &mut progress,
                interrupt,
            };
            copying.copy(kind).await?;
        }
        import.signal = interrupt.requested();
        if import.signal.is_none() && !args.no_verify {
            let counts = import.counts.of(kind);
            let compared =
                verify::compare(source, target, kind, args.page, &mut progress, interrupt).await?;
            import.signal = interrupt.requested();
            if let Some(compared) = compared {
                counts.take(compared);
            }
        }
        progress.note(&import.counts.line(kind));
        if import.signal.is_some() {
            break;
        }
    }
    Ok(import)
}

impl Import {
    fn answer(&self, from: &Place, to: &Place, dry_run: bool) -> Answer {
        let ended = match self.signal {
            Some(_) => Ended::Interrupted,
            None => Ended::Finished,
        };
        let wrong = self.counts.wrong(dry_run);
        let exit = match self.signal {
            Some(signal) => Exit::Interrupted(signal),
            None if wrong > 0 => Exit::Incomplete,
            None => Exit::Done,
        };
        let said = match (ended, wrong, dry_run) {
            (Ended::Interrupted, ..) => bad("interrupted: run it again to go on"),
            (_, 0, true) => good("nothing was written; an import would add what is missing"),
            (_, _, true) => {
                bad("nothing was written; the target has something else in the place of records")
            }
            (_, 0, false) if self.counts.verified().is_some() => {
                good("all that the source holds is in the target")
            }
            (_, 0, false) => good("imported, not compared"),
            _ => bad(
                "not all that the source holds is in the target: `storectl import --help` tells what it means and what helps",
            ),
        };
        let mut text = self.counts.table(dry_run);
        text += &self.counts.examples();
        text += &format!("\n{said}\n  from {from}\n  to   {to}\n");
        let document = json!({
            "from": from.to_string(),
            "to": to.to_string(),
            "dry_run": dry_run,
            "ended": ended,
            "complete": exit == Exit::Done && !dry_run,
            "kinds": self.counts,
        });
        Answer::new(&document, text).exit(exit)
    }
}

#[cfg(test)]
mod tests;
