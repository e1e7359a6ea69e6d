//! What leads to a JTS session: a pointer by its anchor id, and one by each proof that was ever given out.
//!
//! They never change while their session lives, so that the store remembers those that it read or wrote
//! lately, and goes to the session at once. What a session or a proof is worth is not remembered: that is
//! read each time. Where nothing is found at a remembered place, the pointer itself is asked.

use std::sync::Arc;

use quick_cache::sync::Cache;
use store_core::{Aid, JtsSession, Result, StateProof, Timestamp};

use super::DynamoStore;
use crate::execute::Operation;
use crate::mapping::{self, item, s};
use crate::queries::{self, Key};
use crate::write::Write;

/// How many places are remembered by anchor id, and how many by proof: some megabytes in all.
const REMEMBERED: usize = 10_000;

/// Where a proof leads.
#[derive(Clone)]
pub(super) struct Pointer {
    pub(super) partition: String,
    pub(super) aid: String,
    pub(super) expires_at: Timestamp,
}

impl Pointer {
    pub(super) fn key(&self) -> Key {
        queries::jts_session(&self.partition, &self.aid)
    }

    /// Lets the proof of this digest lead there, and names the proof that the session had before it, so
    /// that all of them can be found when the session is moved to another store.
    pub(super) fn write(&self, digest: &str, prior: Option<&str>) -> Write {
        let mut pointer = item([
            ("home", s(&self.partition)),
            ("aid", s(&self.aid)),
            ("expires_at", mapping::at(self.expires_at)),
            (queries::REAP_AT, queries::reap_at(self.expires_at)),
        ]);
        if let Some(prior) = prior {
            pointer.insert(queries::PRIOR.to_owned(), s(prior));
        }
        Write::put(queries::proof_of_digest(digest), pointer)
    }
}

/// The places that are remembered.
pub(super) struct Places {
    /// The principal's partition, by anchor id.
    anchors: Cache<Box<str>, Arc<str>>,
    /// By the digest of the proof.
    proofs: Cache<Box<str>, Arc<Pointer>>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            anchors: Cache::new(REMEMBERED),
            proofs: Cache::new(REMEMBERED),
        }
    }

    /// Remembers where a proof of this digest leads.
    pub(super) fn remember(&self, digest: &str, pointer: Arc<Pointer>) {
        self.proofs.insert(digest.into(), pointer);
    }
}

/// A place, and whether it was remembered, not read just now.
pub(super) struct Found<P> {
    pub(super) place: P,
    pub(super) remembered: bool,
}

impl DynamoStore {
    /// Where the session with an anchor id is, if there ever was one.
    pub(super) async fn locate(
        &self,
        operation: &Operation,
        aid: &str,
    ) -> Result<Option<Found<Key>>> {
        if !Aid::accepts(aid) {
            return Ok(None);
        }
        let anchors = &self.inner.places.anchors;
        if let Some(partition) = anchors.get(aid) {
            return Ok(Some(Found {
                place: queries::jts_session(&partition, aid),
                remembered: true,
            }));
        }
        let Some(mut anchor) = operation.get(queries::anchor(aid)).await? else {
            return Ok(None);
        };
        let partition = mapping::take(&mut anchor, "home")?;
        let place = queries::jts_session(&partition, aid);
        anchors.insert(aid.into(), partition.into());
        Ok(Some(Found {
            place,
            remembered: false,
        }))
    }

    /// Where a proof leads, if it was ever given out.
    pub(super) async fn follow(
        &self,
        operation: &Operation,
        proof: &str,
    ) -> Result<Option<Found<Arc<Pointer>>>> {
        if !StateProof::accepts(proof) {
            return Ok(None);
        }
        let digest = queries::spelt_digest(proof);
        if let Some(place) = self.inner.places.proofs.get(&*digest) {
            return Ok(Some(Found {
                place,
                remembered: true,
            }));
        }
        let found = operation.get(queries::proof_of_digest(&digest)).await?;
        let Some(mut item) = found else {
            return Ok(None);
        };
        let place = Arc::new(Pointer {
            partition: mapping::take(&mut item, "home")?,
            aid: mapping::take(&mut item, "aid")?,
            expires_at: mapping::instant(&item, "expires_at")?,
        });
        self.inner.places.remember(&digest, Arc::clone(&place));
        Ok(Some(Found {
            place,
            remembered: false,
        }))
    }

    /// Remembers where a session that was created is.
    pub(super) fn remember_new(&self, session: &JtsSession, partition: &str) {
        let aid = session.aid.as_str();
        let places = &self.inner.places;
        places.anchors.insert(aid.into(), partition.into());
        let pointer = Pointer {
            partition: partition.to_owned(),
            aid: aid.to_owned(),
            expires_at: session.expires_at,
        };
        let digest = queries::spelt_digest(session.current_state_proof.as_str());
        places.remember(&digest, Arc::new(pointer));
    }

    /// Forgets where an anchor id led, because nothing is there, and tells whether that was only
    /// `remembered`, so that the pointer is to be asked.
    pub(super) fn forget_anchor(&self, aid: &str, remembered: bool) -> bool {
        self.inner.places.anchors.remove(aid);
        remembered
    }

    /// The same for where a proof led.
    pub(super) fn forget_proof(&self, proof: &str, remembered: bool) -> bool {
        let digest = queries::spelt_digest(proof);
        self.inner.places.proofs.remove(&*digest);
        remembered
    }
}
