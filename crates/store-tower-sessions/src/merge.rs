//! Which properties a request changed, and how they join what others changed meanwhile.

use std::collections::BTreeSet;

use store_core::LoginData;

/// The names of the properties that differ: added, changed or removed.
pub(crate) fn changed(before: &LoginData, after: &LoginData) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    let differ = names.filter(|name| before.get(*name) != after.get(*name));
    differ.cloned().collect()
}

/// What is stored now, with the properties of these names as `mine` has them.
pub(crate) fn merged(
    mut stored: LoginData,
    mine: &LoginData,
    names: &BTreeSet<String>,
) -> LoginData {
    for name in names {
        match mine.get(name) {
            Some(value) => {
                stored.insert(name.clone(), value.clone());
            }
            None => {
                stored.remove(name);
            }
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn data(value: Value) -> LoginData {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn changes_are_additions_other_values_and_removals() {
        let before = data(json!({"same": [1], "other": 1, "gone": null}));
        let after = data(json!({"same": [1], "other": 2, "new": null}));
        let names: Vec<_> = changed(&before, &after).into_iter().collect();
        assert_eq!(names, ["gone", "new", "other"]);
        assert!(changed(&before, &before).is_empty());
    }

    #[test]
    fn only_what_was_changed_here_replaces_what_is_stored() {
        let before = data(json!({"a": 1, "b": 1, "c": 1, "d": 1}));
        let mine = data(json!({"a": 2, "b": 1, "d": 1}));
        let stored = data(json!({"a": 3, "b": 3, "c": 3, "e": 3}));
        let names = changed(&before, &mine);
        let expected = data(json!({"a": 2, "b": 3, "e": 3}));
        assert_eq!(merged(stored, &mine, &names), expected);
    }
}
