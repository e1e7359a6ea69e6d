//! Reading both stores once more, and comparing what they hold.

use std::collections::HashMap;

use store::{
    Client, ClientWithDeployments, Clock as _, Placement, Record, RecordKind, Store, SystemClock,
};

use super::copy::{name, resumable};
use super::digest::{Half, Print};
use super::patience::patiently;
use super::{Side, Sided};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// What comparing showed of the source's records of a kind.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) read: u64,
    pub(super) same: u64,
    pub(super) differs: u64,
    pub(super) missing: u64,
    /// Names of those that differ.
    pub(super) names: Vec<String>,
}

/// Compares all records of a kind; `None` if it was interrupted.
pub(super) async fn compare(
    source: &dyn Store,
    target: &dyn Store,
    kind: RecordKind,
    page: u32,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Sided<Option<Compared>> {
    let mut held = Held::default();
    let mut compared = Compared::default();
    let from_source = each(source, Side::Source, kind, page, interrupt, |record| {
        compared.read += 1;
        progress.at(|| format!("{kind}: comparing, {} of the source read", compared.read));
        held.keep(record);
    });
    if !from_source.await? {
        return Ok(None);
    }
    let mut read = 0_u64;
    let from_target = each(target, Side::Target, kind, page, interrupt, |record| {
        read += 1;
        progress.at(|| format!("{kind}: comparing, {read} of the target read"));
        held.meet(&record, &mut compared);
    });
    if !from_target.await? {
        return Ok(None);
    }
    held.rest(&mut compared);
    Ok(Some(compared))
}

/// What a target holds of a kind before an import: the content of each place. None of clients, of which
/// there are few and parts may be missing.
pub(super) async fn there(
    target: &dyn Store,
    kind: RecordKind,
    page: u32,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Sided<HashMap<Half, Half>> {
    let mut there = HashMap::new();
    if kind != RecordKind::Clients {
        let all = each(target, Side::Target, kind, page, interrupt, |record| {
            let print = Print::of(&record);
            there.insert(print.place, print.content);
            progress.at(|| format!("{kind}: {} of the target read", there.len()));
        });
        all.await?;
    }
    Ok(there)
}

/// Calls `take` with each record of a kind and tells whether it came to the end.
async fn each(
    store: &dyn Store,
    side: Side,
    kind: RecordKind,
    limit: u32,
    interrupt: &Interrupt,
    mut take: impl FnMut(Record),
) -> Sided<bool> {
    let mut after: Option<String> = None;
    loop {
        let after_this = after.as_deref();
        let page = patiently(async || store.export_records(kind, after_this, limit).await).await;
        let page = page.map_err(|error| (side, resumable(error)))?;
        page.records.into_iter().for_each(&mut take);
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
        if interrupt.requested().is_some() {
            return Ok(false);
        }
    }
}

/// What of the source's records has not been met in the target yet.
#[derive(Debug, Default)]
struct Held {
    prints: HashMap<Half, Print>,
    /// Clients, of which there are few, are compared by their parts.
    clients: Vec<ClientWithDeployments>,
}

impl Held {
    fn keep(&mut self, record: Record) {
        match record {
            Record::Client(client) => self.clients.push(client),
            record => {
                let print = Print::of(&record);
                self.prints.insert(print.place, print);
            }
        }
    }

    /// Strikes out what `stored`, a record of the target, has the place of.
    fn meet(&mut self, stored: &Record, compared: &mut Compared) {
        if let Record::Client(stored) = stored {
            self.meet_client(stored, compared);
            return;
        }
        let print = Print::of(stored);
        match self.prints.remove(&print.place) {
            None => {}
            Some(held) if held.content == print.content => compared.same += 1,
            Some(_) => {
                compared.differs += 1;
                compared.names.extend(name(stored));
            }
        }
    }

    fn meet_client(&mut self, stored: &ClientWithDeployments, compared: &mut Compared) {
        let same_place = |held: &mut ClientWithDeployments| {
            let (held, stored): (&Client, &Client) = (&held.client, &stored.client);
            held.id == stored.id || (held.iss == stored.iss && held.client_id == stored.client_id)
        };
        for held in self.clients.extract_if(.., same_place) {
            match Placement::missing_deployments(stored, &held) {
                Err(Placement::Present) => compared.same += 1,
                Ok(_) => compared.missing += 1,
                Err(_) => {
                    compared.differs += 1;
                    compared.names.extend(name(&Record::Client(held)));
                }
            }
        }
    }

    /// What was not met is missing, unless it has expired meanwhile.
    fn rest(self, compared: &mut Compared) {
        let now = SystemClock.now();
        compared.missing += self.clients.len() as u64;
        for print in self.prints.values() {
            if print.expires_at.is_some_and(|at| at <= now) {
                compared.read -= 1;
            } else {
                compared.missing += 1;
            }
        }
    }
}
