//! What came of the records, kind by kind.

use std::collections::BTreeMap;

use serde::Serialize;
use store::RecordKind;

use super::verify::Compared;
use crate::table::{rendered, table, visible};

/// How many names of records that differ are kept.
const NAMED: usize = 10;

#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Counts(BTreeMap<RecordKind, KindCounts>);

/// What came of the records of a kind.
#[derive(Debug, Default, Serialize)]
pub(super) struct KindCounts {
    /// Live records of the source.
    pub(super) read: u64,
    pub(super) added: u64,
    /// They were there already.
    pub(super) present: u64,
    pub(super) replaced: u64,
    /// Something else is in their place.
    pub(super) differs: u64,
    /// They expired on the way.
    pub(super) expired: u64,
    /// The target takes no such record.
    pub(super) refused: u64,
    /// They are the same in both, as reading both once more showed; `null` if that was not done.
    pub(super) verified: Option<u64>,
    /// They are not in the target, as reading both once more showed; `null` if that was not done.
    pub(super) missing: Option<u64>,
    /// Some of the records that differ, if they have a name that is no secret: a client's issuer and
    /// client id, the anchor id of a JTS session.
    pub(super) examples: Vec<String>,
    /// Why the first record was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<String>,
}

impl KindCounts {
    pub(super) fn name(&mut self, name: Option<String>) {
        if let Some(name) = name
            && self.examples.len() < NAMED
            && !self.examples.contains(&name)
        {
            self.examples.push(name);
        }
    }

    /// Takes over what comparing showed, which is newer than what copying did.
    pub(super) fn take(&mut self, compared: Compared) {
        self.read = compared.read;
        self.verified = Some(compared.same);
        self.differs = compared.differs;
        self.missing = Some(compared.missing);
        self.examples.clear();
        for name in compared.names {
            self.name(Some(name));
        }
    }
}

impl Counts {
    pub(super) fn of(&mut self, kind: RecordKind) -> &mut KindCounts {
        self.0.entry(kind).or_default()
    }

    /// How many records are not as they should be.
    pub(super) fn wrong(&self, dry_run: bool) -> u64 {
        let kinds = self.0.values();
        kinds
            .map(|kind| {
                let missing = if dry_run {
                    0
                } else {
                    kind.missing.unwrap_or(0)
                };
                // What was refused is missing as well.
                kind.differs + missing.max(kind.refused)
            })
            .sum()
    }

    /// How many records were found to be the same, if both stores were compared altogether.
    pub(super) fn verified(&self) -> Option<u64> {
        self.0.values().map(|kind| kind.verified).sum()
    }

    /// A kind in one line.
    pub(super) fn line(&self, kind: RecordKind) -> String {
        let Some(counts) = self.0.get(&kind) else {
            return format!("{kind}: nothing");
        };
        let shown = [
            ("read", Some(counts.read)),
            ("added", Some(counts.added)),
            ("present", Some(counts.present)),
            ("replaced", Some(counts.replaced)),
            ("differ", Some(counts.differs)),
            ("expired", Some(counts.expired)),
            ("refused", Some(counts.refused)),
            ("verified", counts.verified),
            ("missing", counts.missing),
        ];
        let shown: Vec<String> = shown
            .into_iter()
            .filter_map(|(name, number)| Some((name, number?)))
            .filter(|(name, number)| *name == "read" || *number > 0)
            .map(|(name, number)| format!("{number} {name}"))
            .collect();
        format!("{kind}: {}", shown.join(", "))
    }

    pub(super) fn table(&self, dry_run: bool) -> String {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        if dry_run {
            let mut rows = table(&["kind", "source", "same", "missing", "differ"]);
            for (kind, counts) in &self.0 {
                rows.add_row([
                    kind.to_string(),
                    counts.read.to_string(),
                    number(counts.verified),
                    number(counts.missing),
                    counts.differs.to_string(),
                ]);
            }
            return rendered(rows, Some(1));
        }
        let mut rows = table(&[
            "kind", "read", "added", "present", "replaced", "expired", "refused", "verified",
            "missing", "differ",
        ]);
        for (kind, counts) in &self.0 {
            rows.add_row([
                kind.to_string(),
                counts.read.to_string(),
                counts.added.to_string(),
                counts.present.to_string(),
                counts.replaced.to_string(),
                counts.expired.to_string(),
                counts.refused.to_string(),
                number(counts.verified),
                number(counts.missing),
                counts.differs.to_string(),
            ]);
        }
        rendered(rows, Some(1))
    }

    /// The records that differ as far as they can be named, and why the first was refused.
    pub(super) fn examples(&self) -> String {
        let mut text = String::new();
        for (kind, counts) in &self.0 {
            for name in &counts.examples {
                text += &format!("{kind}: differs: {}\n", visible(name));
            }
            if let Some(refusal) = &counts.refusal {
                text += &format!("{kind}: refused: {refusal}\n");
            }
        }
        if text.is_empty() {
            text
        } else {
            format!("\n{text}")
        }
    }
}
