//! State proofs: what one is worth, and giving out the next.

use std::sync::Arc;

use store_core::{
    Aid, Error, ErrorKind, JtsSession, MAX_CLOCK_SKEW, ProofStanding, Renewal, Result, StateProof,
    StateProofStatus, Timestamp, judge_proof, judged_at,
};

use super::DynamoStore;
use super::jts_pointers::Pointer;
use crate::execute::{Answer, Operation};
use crate::mapping::{self, Item, n, s};
use crate::queries;
use crate::write::Write;

/// What came of an attempt to rotate.
enum Rotation {
    Rotated(Box<JtsSession>),
    /// The proof is not current; with the session as it is, if it lives.
    Refused(Option<Box<JtsSession>>),
}

impl DynamoStore {
    pub(super) async fn validate(&self, proof: &str) -> Result<StateProofStatus> {
        let arrived = self.now();
        let operation = self.begin().await?;
        let judged = loop {
            let Some(found) = self.follow(&operation, proof).await? else {
                break None;
            };
            let presented = (proof, arrived);
            let judged = self
                .judge(&operation, &found.place, presented, None)
                .await?;
            if judged.is_some() || !self.forget_proof(proof, found.remembered) {
                break judged;
            }
        };
        Ok(match judged {
            None => StateProofStatus::Unknown,
            Some((ProofStanding::Current, session)) => StateProofStatus::Valid(session),
            Some((ProofStanding::WithinGrace, session)) => {
                StateProofStatus::ValidWithinGrace(session)
            }
            Some((ProofStanding::Retired | ProofStanding::FromTheFuture(_), session)) => {
                let JtsSession { aid, prn, .. } = *session;
                StateProofStatus::Compromised { aid, prn }
            }
        })
    }

    pub(super) async fn rotate(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        let operation = self.begin().await?;
        while Aid::accepts(aid)
            && let Some(found) = self.follow(&operation, seen).await?
            && found.place.aid == aid
        {
            match self.try_rotate(&operation, &found.place, seen).await? {
                Rotation::Rotated(session) => return Ok(*session),
                Rotation::Refused(Some(_)) => return Err(outrun()),
                Rotation::Refused(None) if self.forget_proof(seen, found.remembered) => {}
                Rotation::Refused(None) => return Err(terminated()),
            }
        }
        match self.by_aid(&operation, aid).await? {
            Some(_) => Err(outrun()),
            None => Err(terminated()),
        }
    }

    pub(super) async fn renew(&self, proof: &str) -> Result<Renewal> {
        let mut operation = self.begin().await?;
        let arrived = self.now();
        loop {
            let Some(found) = self.follow(&operation, proof).await? else {
                return Ok(Renewal::Unknown);
            };
            let pointer = found.place;
            let stored = match self.try_rotate(&operation, &pointer, proof).await? {
                Rotation::Rotated(session) => return Ok(Renewal::Rotated(session)),
                Rotation::Refused(None) if self.forget_proof(proof, found.remembered) => continue,
                Rotation::Refused(None) => return Ok(Renewal::Unknown),
                Rotation::Refused(stored) => stored,
            };
            match self
                .judge(&operation, &pointer, (proof, arrived), stored)
                .await?
            {
                None => return Ok(Renewal::Unknown),
                // The clock stepped between the two requests: once more.
                Some((ProofStanding::Current, _)) => operation.look_again().await?,
                Some((ProofStanding::WithinGrace, session)) => {
                    return Ok(Renewal::Converged(session));
                }
                Some((ProofStanding::Retired | ProofStanding::FromTheFuture(_), session)) => {
                    // A retired proof never becomes valid again, so nothing else needs to hold.
                    if !self.delete(&operation, pointer.key()).await? {
                        return Ok(Renewal::Unknown);
                    }
                    let JtsSession { aid, prn, .. } = *session;
                    return Ok(Renewal::Compromised { aid, prn });
                }
            }
        }
    }

    /// The compare-and-swap of the proof. The pointer of the new proof is written first: until the
    /// session has that proof, nobody knows it.
    async fn try_rotate(
        &self,
        operation: &Operation,
        from: &Arc<Pointer>,
        seen: &str,
    ) -> Result<Rotation> {
        if from.expires_at <= self.now() {
            return Ok(Rotation::Refused(None));
        }
        let fresh = StateProof::generate();
        let digest = queries::spelt_digest(fresh.as_str());
        let prior = queries::spelt_digest(seen);
        operation.write(from.write(&digest, Some(&prior))).await?;
        let mut refused = None;
        for (update, condition) in [
            (queries::ROTATE, queries::ROTATABLE),
            (queries::ROTATE_BEHIND, queries::ROTATABLE_BEHIND),
        ] {
            let now = self.now();
            let update = Write::update(from.key(), update)
                .when(condition)
                .now(now)
                .with(":seen", s(seen))
                .with(":fresh", s(fresh.as_str()))
                .with(":aid", s(&from.aid))
                .with(":one", n(1))
                .returning();
            let item = match operation.write(update).await? {
                Answer::Done(Some(item)) => {
                    let session = mapping::jts_session(item)?;
                    self.inner.places.remember(&digest, Arc::clone(from));
                    return Ok(Rotation::Rotated(Box::new(session)));
                }
                Answer::Refused(Some(item)) => Some(item),
                Answer::Done(None) | Answer::Refused(None) => operation.get(from.key()).await?,
            };
            refused = live_session(item, self.now())?;
            // The session was active later than this clock shows: it stays so.
            let behind = |session: &JtsSession| {
                session.current_state_proof.as_str() == seen && session.last_active > now
            };
            if !refused.as_deref().is_some_and(behind) {
                break;
            }
        }
        // Nobody knows the new proof, so that its pointer can stay where it can't be deleted.
        let unused = Write::delete(queries::proof_of_digest(&digest));
        drop(operation.write(unused).await);
        Ok(Rotation::Refused(refused))
    }

    /// How a proof stands to the session that it leads to, which is read unless it was already.
    ///
    /// A rotation by a server whose clock is a little ahead is waited out, so that its previous proof
    /// is not taken for a replay.
    async fn judge(
        &self,
        operation: &Operation,
        pointer: &Pointer,
        (proof, arrived): (&str, Timestamp),
        mut stored: Option<Box<JtsSession>>,
    ) -> Result<Option<(ProofStanding, Box<JtsSession>)>> {
        let mut waited = false;
        loop {
            let session = match stored.take() {
                Some(session) => Some(session),
                None => live_session(operation.get(pointer.key()).await?, self.now())?,
            };
            let Some(session) = session else {
                return Ok(None);
            };
            // The clock is read after the item, so that time can't seem to run backwards.
            let at = judged_at(&session, arrived, self.now());
            match judge_proof(&session, proof, at, self.settings().rotation_grace) {
                ProofStanding::FromTheFuture(gap) if gap <= MAX_CLOCK_SKEW && !waited => {
                    tokio::time::sleep(gap).await;
                    waited = true;
                }
                standing => return Ok(Some((standing, session))),
            }
        }
    }
}

fn live_session(item: Option<Item>, now: Timestamp) -> Result<Option<Box<JtsSession>>> {
    let item = mapping::live(item, now)?;
    let session = item.map(mapping::jts_session).transpose()?;
    Ok(session.map(Box::new))
}

fn outrun() -> Error {
    let message = "the state proof is not the current one: somebody else rotated it";
    Error::new(ErrorKind::Conflict, message)
}

fn terminated() -> Error {
    Error::new(ErrorKind::NotFound, "no live session has this aid")
}
