//! What a record remembers of how it was loaded, so that saving can tell what the request changed.
//!
//! tower-sessions gives a store nothing to remember a session by but the record, whose properties are
//! reached by name only. So a property of a reserved name in the record, which is never stored, holds
//! the version and the properties that were loaded.

use std::collections::HashMap;

use serde_json::{Map, Value};
use store_core::LoginData;
use tower_sessions_core::session::Id;

/// The reserved name.
const LOADED: &str = "__store_loaded";

const TOKEN: &str = "token";
const VERSION: &str = "version";
const DATA: &str = "data";

/// How a record was loaded.
#[derive(Debug, PartialEq)]
pub(crate) struct Loaded<'a> {
    /// Which load it was.
    pub(crate) token: Id,
    pub(crate) version: u64,
    pub(crate) data: &'a LoginData,
}

/// A record's properties, of a session that was just read or written.
pub(crate) fn joined(data: LoginData, version: u64) -> HashMap<String, Value> {
    let mut loaded = Map::new();
    loaded.insert(TOKEN.to_owned(), Id::default().to_string().into());
    loaded.insert(VERSION.to_owned(), version.into());
    loaded.insert(DATA.to_owned(), data.clone().into());
    let mut joined: HashMap<String, Value> = data.into_iter().collect();
    joined.insert(LOADED.to_owned(), loaded.into());
    joined
}

/// The properties of a record as they are to be stored, and how it was loaded. A record that was
/// cleared no longer knows.
pub(crate) fn split(joined: &HashMap<String, Value>) -> (LoginData, Option<Loaded<'_>>) {
    let own = joined.iter().filter(|(name, _)| *name != LOADED);
    let data = own.map(|(name, value)| (name.clone(), value.clone()));
    (data.collect(), joined.get(LOADED).and_then(parse))
}

fn parse(loaded: &Value) -> Option<Loaded<'_>> {
    Some(Loaded {
        token: loaded.get(TOKEN)?.as_str()?.parse().ok()?,
        version: loaded.get(VERSION)?.as_u64()?,
        data: loaded.get(DATA)?.as_object()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_remembers_how_it_was_loaded() {
        let data = json!({"user": "alice", "": [1, null]});
        let data = data.as_object().unwrap();
        let mut record = joined(data.clone(), 7);
        assert_eq!(record.len(), 3);
        record.insert("cart".to_owned(), json!(1));
        record.remove("user");

        let (mine, loaded) = split(&record);
        assert_eq!(Value::from(mine), json!({"": [1, null], "cart": 1}));
        let loaded = loaded.unwrap();
        assert_eq!((loaded.version, loaded.data), (7, data));
    }

    #[test]
    fn a_cleared_record_does_not_and_no_two_loads_are_the_same() {
        assert_eq!(split(&HashMap::new()), (LoginData::new(), None));
        let token = |record: &HashMap<_, _>| split(record).1.map(|loaded| loaded.token);
        let (one, other) = (joined(Map::new(), 1), joined(Map::new(), 1));
        assert_ne!(token(&one), token(&other));
    }

    #[test]
    fn a_property_that_only_has_the_name_is_dropped() {
        let record = HashMap::from([(LOADED.to_owned(), json!("mine"))]);
        assert_eq!(split(&record), (LoginData::new(), None));
    }
}
