//! Bugs in JTS sessions.

use async_trait::async_trait;
use store_core::*;

use crate::bugs::Bug;
use crate::mutant::{Mutant, a_moment};

impl Mutant {
    /// Revokes what a policy wants revoked, and creates, in several steps.
    async fn create_in_steps(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        let prn = session.prn.as_str();
        let mut others = self.inner.list_jts_sessions(prn).await?;
        others.sort_by_key(|other| (other.created_at, other.aid.clone()));
        let limit = policy.limit().map_or(usize::MAX, |limit| limit as usize);
        let excess = (others.len() + 1).saturating_sub(limit);
        let excess = match self.bug {
            Bug::MaxDeletesAll if excess > 0 => others.len(),
            _ => excess,
        };
        if self.has(Bug::MaxIsNotAtomic) {
            a_moment().await;
        }
        let mut revoked = Vec::new();
        for other in others.drain(..excess) {
            if self.inner.delete_jts_session(other.aid.as_str()).await? {
                revoked.push(other.aid);
            }
        }
        if self.has(Bug::PolicyHalfApplied) {
            tokio::task::yield_now().await;
        }
        let created = self
            .inner
            .create_jts_session(session, SessionPolicy::AllowAll)
            .await?;
        Ok(CreatedJtsSession { revoked, ..created })
    }

    /// The principals that the same person might spell in another case.
    fn spellings(&self, prn: &str) -> Vec<Principal> {
        let notes = self.notes();
        let same = |known: &&Principal| known.as_str().eq_ignore_ascii_case(prn);
        notes.principals.iter().filter(same).cloned().collect()
    }
}

#[async_trait]
impl JtsSessionStore for Mutant {
    async fn create_jts_session(
        &self,
        session: NewJtsSession,
        policy: SessionPolicy,
    ) -> Result<CreatedJtsSession> {
        self.notes().principals.insert(session.prn.clone());
        match self.bug {
            Bug::MaxIsNotAtomic | Bug::MaxDeletesAll | Bug::PolicyHalfApplied => {
                return self.create_in_steps(session, policy).await;
            }
            Bug::MaxCountsExpired => {
                let prn = session.prn.clone();
                let mut counted = self.with_expired().list_jts_sessions(prn.as_str()).await?;
                counted.sort_by_key(|other| (other.created_at, other.aid.clone()));
                let excess = match policy.limit() {
                    Some(limit) => (counted.len() + 1).saturating_sub(limit as usize),
                    None => 0,
                };
                let mut created = self
                    .inner
                    .create_jts_session(session, SessionPolicy::AllowAll)
                    .await?;
                created.revoked = counted.into_iter().map(|s| s.aid).take(excess).collect();
                for aid in &created.revoked {
                    self.inner.delete_jts_session(aid.as_str()).await?;
                }
                return Ok(created);
            }
            Bug::PrincipalInAnyCase if policy != SessionPolicy::AllowAll => {
                for prn in self.spellings(session.prn.as_str()) {
                    if prn != session.prn {
                        self.inner.delete_jts_sessions(prn.as_str()).await?;
                    }
                }
            }
            _ => {}
        }
        let mut created = self.inner.create_jts_session(session, policy).await?;
        if self.has(Bug::RevokedInWrongOrder) {
            created.revoked.reverse();
        }
        Ok(created)
    }

    async fn get_jts_session(&self, aid: &str) -> Result<Option<JtsSession>> {
        let mut found = self.inner.get_jts_session(aid).await?;
        if let (Some(session), Some(touched)) = (&mut found, self.notes().touched.get(aid)) {
            session.last_active = *touched;
        }
        Ok(found)
    }

    async fn validate_state_proof(&self, proof: &str) -> Result<StateProofStatus> {
        let store = match self.bug {
            Bug::GraceIsLonger => {
                self.with(|s| s.rotation_grace += std::time::Duration::from_millis(1))
            }
            _ => self.inner.clone(),
        };
        let status = store.validate_state_proof(proof).await?;
        let StateProofStatus::Compromised { aid, .. } = &status else {
            return Ok(status);
        };
        let Some(session) = self.inner.get_jts_session(aid.as_str()).await? else {
            return Ok(status);
        };
        let is_previous = session
            .previous_state_proof
            .as_ref()
            .is_some_and(|previous| previous.as_str() == proof);
        let ahead = session
            .rotation_timestamp
            .is_some_and(|rotated| rotated > self.now());
        Ok(match self.bug {
            Bug::OlderProofIsUnknown if !is_previous => StateProofStatus::Unknown,
            Bug::NegativeElapsedIsGrace if is_previous && ahead => {
                StateProofStatus::ValidWithinGrace(Box::new(session))
            }
            _ => status,
        })
    }

    async fn rotate_state_proof(&self, aid: &str, seen: &str) -> Result<JtsSession> {
        if self.has(Bug::RotateWithoutSwap)
            && let Some(session) = self.inner.get_jts_session(aid).await?
        {
            let current = session.current_state_proof.as_str();
            return self.inner.rotate_state_proof(aid, current).await;
        }
        self.inner.rotate_state_proof(aid, seen).await
    }

    async fn renew_state_proof(&self, proof: &str) -> Result<Renewal> {
        match self.bug {
            Bug::OlderProofIsUnknown
                if self.validate_state_proof(proof).await? == StateProofStatus::Unknown =>
            {
                return Ok(Renewal::Unknown);
            }
            Bug::ReplayRevokesNothing => {
                let status = self.inner.validate_state_proof(proof).await?;
                if let StateProofStatus::Compromised { aid, prn } = status {
                    return Ok(Renewal::Compromised { aid, prn });
                }
            }
            Bug::GraceIsLonger => {
                let longer = self.with(|s| s.rotation_grace += std::time::Duration::from_millis(1));
                return longer.renew_state_proof(proof).await;
            }
            _ => {}
        }
        let renewal = self.inner.renew_state_proof(proof).await?;
        match renewal {
            Renewal::Converged(session) if self.has(Bug::RenewRotatesTwice) => {
                let (aid, seen) = (session.aid.as_str(), session.current_state_proof.as_str());
                let rotated = self.inner.rotate_state_proof(aid, seen).await?;
                Ok(Renewal::Rotated(Box::new(rotated)))
            }
            renewal => Ok(renewal),
        }
    }

    async fn touch_jts_session(&self, aid: &str) -> Result<bool> {
        match self.bug {
            Bug::TouchRevives => {
                let live = self.inner.touch_jts_session(aid).await?;
                Ok(live || self.with_expired().touch_jts_session(aid).await?)
            }
            Bug::TouchMovesBack => {
                let live = self.inner.touch_jts_session(aid).await?;
                let now = self.now();
                self.notes().touched.insert(aid.to_owned(), now);
                Ok(live)
            }
            _ => self.inner.touch_jts_session(aid).await,
        }
    }

    async fn delete_jts_session(&self, aid: &str) -> Result<bool> {
        self.inner.delete_jts_session(aid).await
    }

    async fn delete_jts_sessions(&self, prn: &str) -> Result<u64> {
        if !self.has(Bug::PrincipalInAnyCase) {
            return self.inner.delete_jts_sessions(prn).await;
        }
        let mut deleted = 0;
        for prn in self.spellings(prn) {
            deleted += self.inner.delete_jts_sessions(prn.as_str()).await?;
        }
        Ok(deleted)
    }

    async fn list_jts_sessions(&self, prn: &str) -> Result<Vec<JtsSession>> {
        match self.bug {
            Bug::ExpiredIsListed => self.with_expired().list_jts_sessions(prn).await,
            _ => self.inner.list_jts_sessions(prn).await,
        }
    }

    async fn count_jts_sessions(&self, prn: &str) -> Result<u64> {
        match self.bug {
            Bug::ExpiredIsListed => self.with_expired().count_jts_sessions(prn).await,
            _ => self.inner.count_jts_sessions(prn).await,
        }
    }

    async fn delete_oldest_jts_session(&self, prn: &str) -> Result<bool> {
        self.inner.delete_oldest_jts_session(prn).await
    }
}
