//! Copying the records of a kind, page by page, several at once.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use store::{Error, ErrorKind, Placement, Record, RecordKind, RecordPage, Store};

use super::counts::KindCounts;
use super::digest::{Half, Print};
use super::patience::patiently;
use super::replace::replace;
use super::{Side, Sided};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

pub(super) struct Copying<'a> {
    pub(super) source: &'a dyn Store,
    pub(super) target: &'a dyn Store,
    pub(super) page: u32,
    pub(super) concurrency: usize,
    pub(super) replace: bool,
    /// The content of each place that the target has already. What is the same there need not be
    /// offered, which a target takes longer to find out.
    pub(super) there: HashMap<Half, Half>,
    pub(super) counts: &'a mut KindCounts,
    pub(super) progress: &'a mut Progress,
    pub(super) interrupt: &'a Interrupt,
}

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    As(Placement),
    Replaced,
}

impl Copying<'_> {
    /// Copies all records of a kind, or those before an interrupt.
    pub(super) async fn copy(&mut self, kind: RecordKind) -> Sided<()> {
        let (source, limit) = (self.source, self.page);
        let mut page = read(source, kind, None, limit).await?;
        loop {
            let next = page.next.take();
            // The next page is read while this one is written.
            let following = async {
                match next {
                    Some(next) => read(source, kind, Some(&next), limit).await.map(Some),
                    None => Ok(None),
                }
            };
            let (written, following) = tokio::join!(self.write(page.records, kind), following);
            written?;
            match following? {
                Some(following) if self.interrupt.requested().is_none() => page = following,
                _ => return Ok(()),
            }
        }
    }

    fn is_there(&self, record: &Record) -> bool {
        if self.there.is_empty() {
            return false;
        }
        let print = Print::of(record);
        self.there.get(&print.place) == Some(&print.content)
    }

    async fn write(&mut self, mut records: Vec<Record>, kind: RecordKind) -> Sided<()> {
        let read = records.len();
        records.retain(|record| !self.is_there(record));
        let present = (read - records.len()) as u64;
        self.counts.read += present;
        self.counts.present += present;
        let (target, replacing) = (self.target, self.replace);
        let mut offers = stream::iter(&records)
            .map(|record| async move { (record, place(target, record, replacing).await) })
            .buffer_unordered(self.concurrency);
        while let Some((record, placed)) = offers.next().await {
            let counts = &mut *self.counts;
            counts.read += 1;
            match placed {
                Ok(Placed::Replaced) => counts.replaced += 1,
                Ok(Placed::As(Placement::Added)) => counts.added += 1,
                Ok(Placed::As(Placement::Present)) => counts.present += 1,
                Ok(Placed::As(Placement::Expired)) => counts.expired += 1,
                Ok(Placed::As(Placement::Differs)) => {
                    counts.differs += 1;
                    counts.name(name(record));
                }
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    counts.refused += 1;
                    counts.refusal.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err((Side::Target, resumable(error))),
            }
            self.progress.at(|| {
                let KindCounts {
                    read,
                    added,
                    present,
                    differs,
                    ..
                } = counts;
                format!("{kind}: {read} read, {added} added, {present} present, {differs} differ")
            });
        }
        Ok(())
    }
}

async fn place(target: &dyn Store, record: &Record, replacing: bool) -> Result<Placed, Error> {
    let placement = patiently(async || target.import_record(record).await).await?;
    if replacing && placement == Placement::Differs {
        return match replace(target, record).await? {
            Placement::Added | Placement::Present => Ok(Placed::Replaced),
            placement => Ok(Placed::As(placement)),
        };
    }
    Ok(Placed::As(placement))
}

/// Reads a page of the source.
async fn read(
    source: &dyn Store,
    kind: RecordKind,
    after: Option<&str>,
    limit: u32,
) -> Sided<RecordPage> {
    let page = patiently(async || source.export_records(kind, after, limit).await).await;
    page.map_err(|error| (Side::Source, resumable(error)))
}

pub(super) fn resumable(error: Error) -> Failure {
    let kind = error.kind();
    let failure = Failure::from(error);
    match kind {
        ErrorKind::SchemaMissing
        | ErrorKind::SchemaMismatch
        | ErrorKind::PermissionDenied
        | ErrorKind::PoolExhausted => failure,
        ErrorKind::Corrupt => failure.hint(
            "mend or delete that row, or leave its kind out with --kind, then run the import again",
        ),
        _ => {
            let mut failure = failure;
            failure.hint = None;
            failure.hint("run it again when the store answers: what was imported stays, and is passed over then")
        }
    }
}

/// A name of a record that is no secret.
pub(super) fn name(record: &Record) -> Option<String> {
    match record {
        Record::Client(client) => {
            let client = &client.client;
            Some(format!("{} {}", client.iss, client.client_id))
        }
        Record::JtsSession(stored) => Some(stored.session.aid.to_string()),
        Record::Session(_)
        | Record::Nonce(_)
        | Record::RegistrationSession(..)
        | Record::LoginSession(_) => None,
    }
}
