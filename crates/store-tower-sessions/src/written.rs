//! What requests that are under way have saved already.
//!
//! A request can save more than once, and its record still tells only how it was loaded. A property
//! that was changed, saved and changed back looks untouched then, unless somebody remembers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tower_sessions_core::session::Id;

/// How many requests are remembered. That many others would have to save between two saves of one
/// request for it to be forgotten.
const REQUESTS: usize = 10_000;

/// What a request has saved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Written {
    /// The version that it made, if what it stored was just what it had.
    pub(crate) version: Option<u64>,
    /// The names of the properties that it changed.
    pub(crate) names: BTreeSet<String>,
}

/// What each request has saved, the newest requests only.
#[derive(Default)]
pub(crate) struct WrittenByRequest(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_token: HashMap<Id, Written>,
    oldest_first: VecDeque<Id>,
}

impl WrittenByRequest {
    pub(crate) fn get(&self, token: Id) -> Option<Written> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_token.get(&token).cloned()
    }

    pub(crate) fn set(&self, token: Id, written: Written) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.by_token.insert(token, written).is_none() {
            entries.oldest_first.push_back(token);
        }
        if entries.oldest_first.len() > REQUESTS
            && let Some(oldest) = entries.oldest_first.pop_front()
        {
            entries.by_token.remove(&oldest);
        }
    }
}

impl fmt::Debug for WrittenByRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenByRequest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let all = WrittenByRequest::default();
        let version = |n: i128| Written {
            version: u64::try_from(n).ok(),
            names: BTreeSet::new(),
        };
        let count = i128::try_from(REQUESTS).unwrap();
        for n in 0..=count {
            all.set(Id(n), version(n));
        }
        all.set(Id(1), version(7));
        assert_eq!(all.get(Id(0)), None);
        assert_eq!(all.get(Id(1)), Some(version(7)));
        assert_eq!(all.get(Id(count)), Some(version(count)));
        let entries = all.0.lock().unwrap();
        assert_eq!(entries.by_token.len(), REQUESTS);
        assert_eq!(entries.oldest_first.len(), REQUESTS);
    }
}
