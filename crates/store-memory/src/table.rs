//! Rows that expire, with an index by when they do.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use store_core::{Expiring, Timestamp};

/// Rows by key. Those that have expired are not seen, though they stay until they are reaped.
pub(crate) struct Table<K, V> {
    rows: HashMap<K, Expiring<V>>,
    /// When each row expires, soonest first.
    expiries: BTreeSet<(Timestamp, K)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            expiries: BTreeSet::new(),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord, V> Table<K, V> {
    /// The live row with this key.
    pub(crate) fn get<Q>(&self, key: &Q, now: Timestamp) -> Option<&Expiring<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.rows.get(key).filter(|row| row.expires_at > now)
    }

    /// The value of the live row with this key, to change.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q, now: Timestamp) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let row = self.rows.get_mut(key).filter(|row| row.expires_at > now);
        row.map(|row| &mut row.value)
    }

    /// The keys of all live rows, in no order.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = &K> {
        let rows = self.rows.iter();
        rows.filter(move |(_, row)| row.expires_at > now)
            .map(|(key, _)| key)
    }

    /// Adds a row, in place of an expired one with the same key, and tells whether it did: not if a
    /// live one has this key.
    #[must_use]
    pub(crate) fn add(&mut self, key: K, value: V, expires_at: Timestamp, now: Timestamp) -> bool {
        if self.get(&key, now).is_some() {
            return false;
        }
        self.remove(&key);
        self.expiries.insert((expires_at, key.clone()));
        self.rows.insert(key, Expiring { value, expires_at });
        true
    }

    /// Lets a row expire at another time.
    pub(crate) fn set_expiry<Q>(&mut self, key: &Q, expires_at: Timestamp)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((key, row)) = self.rows.remove_entry(key) {
            self.expiries.remove(&(row.expires_at, key.clone()));
            self.expiries.insert((expires_at, key.clone()));
            let value = row.value;
            self.rows.insert(key, Expiring { value, expires_at });
        }
    }

    /// Removes the row with this key, live or expired.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<Expiring<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (key, row) = self.rows.remove_entry(key)?;
        self.expiries.remove(&(row.expires_at, key));
        Some(row)
    }

    /// Removes the row with this key and returns its value if it was live.
    pub(crate) fn take<Q>(&mut self, key: &Q, now: Timestamp) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let row = self.remove(key).filter(|row| row.expires_at > now);
        row.map(|row| row.value)
    }

    /// The key of the row that expired first.
    pub(crate) fn first_expired(&self, now: Timestamp) -> Option<K> {
        let (expires_at, key) = self.expiries.first()?;
        (*expires_at <= now).then(|| key.clone())
    }

    /// Removes up to `limit` expired rows, those that expired first, and tells how many.
    pub(crate) fn reap(&mut self, now: Timestamp, limit: u32) -> u64 {
        let mut reaped = 0;
        while reaped < u64::from(limit) {
            let Some(key) = self.first_expired(now) else {
                break;
            };
            self.remove(&key);
            reaped += 1;
        }
        reaped
    }

    /// How many rows there are, live and expired.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.rows.len(), self.expiries.len());
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    #[test]
    fn a_row_is_seen_until_it_expires_and_can_be_replaced_then() {
        let mut table = Table::default();
        assert!(table.add(1, "a", at(10), at(0)));
        assert!(!table.add(1, "b", at(20), at(9)));
        assert_eq!(table.get(&1, at(9)).unwrap().value, "a");
        assert!(table.get(&1, at(10)).is_none());
        assert!(table.get_mut(&1, at(10)).is_none());
        assert!(table.add(1, "b", at(20), at(10)));
        assert_eq!(table.len(), 1);
        assert_eq!(table.take(&1, at(20)), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_expired_first_is_reaped_first() {
        let mut table = Table::default();
        for key in 0..5 {
            assert!(table.add(key, (), at(100 - key), at(0)));
        }
        table.set_expiry(&4, at(200));
        assert_eq!(table.first_expired(at(96)), None);
        assert_eq!(table.first_expired(at(100)), Some(3));
        assert_eq!(table.reap(at(99), 2), 2);
        assert_eq!(table.first_expired(at(100)), Some(1));
        assert_eq!(table.reap(at(100), 9), 2);
        assert_eq!(table.len(), 1);
    }
}
