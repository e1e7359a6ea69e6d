//! The cases, grouped by what they are about. Each is a function that panics if its promise is broken.
//!
//! [`all`] is the only way to them and a function that is missing from its module's list is dead code,
//! which the compiler warns of, so that no case is left out by accident.

// A case says what it expects by unwrapping it.
#![allow(clippy::unwrap_used)]

mod cancellation;
mod cancelled_jts;
mod cancelled_logins;
mod cleanup;
mod clients;
mod deployments;
mod jts_lists;
mod jts_policies;
mod jts_renewal;
mod jts_rotation;
mod jts_sessions;
mod jts_validation;
mod launch_config_saves;
mod launch_configs;
mod lifecycle;
mod lock_fences;
mod lock_races;
mod locks;
mod login_lifetimes;
mod login_properties;
mod login_saves;
mod login_sessions;
mod lti_sessions;
mod model;
mod nonces;
mod registration_sessions;
mod schema;
mod secrets;
mod text;
mod transfer;

use std::pin::Pin;

use crate::world::World;

/// A promise, and the function that checks it.
pub(crate) struct Case {
    /// `<module>::<function>`.
    pub(crate) name: &'static str,
    /// What the backend must be able to do.
    pub(crate) need: Need,
    /// Checks the promise.
    pub(crate) run: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// What a backend must be able to do for a case to make sense.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// Nothing beyond the contract.
    Nothing,
    /// It has tables.
    Schema,
    /// What is written survives the process.
    Durable,
    /// It revokes any number of sessions in one step.
    AtomicRevocation,
    /// A store sees at once what another wrote.
    Uncached,
}

/// The list of a module's cases: `cases!(module: case, case, ...; needing Need: case, ...)`.
macro_rules! cases {
    ($module:ident: $($case:ident),* $(,)? $(; needing $need:ident: $($other:ident),* $(,)?)*) => {
        pub(crate) const CASES: &[$crate::cases::Case] = &[
            $($crate::cases::cases!(@ $module, $case, Nothing),)*
            $($($crate::cases::cases!(@ $module, $other, $need),)*)*
        ];
    };
    (@ $module:ident, $case:ident, $need:ident) => {
        $crate::cases::Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            need: $crate::cases::Need::$need,
            run: |world| Box::pin($case(world)),
        }
    };
}
pub(crate) use cases;

/// The lists of all modules.
const ALL: &[&[Case]] = &[
    cancellation::CASES,
    cancelled_jts::CASES,
    cancelled_logins::CASES,
    cleanup::CASES,
    clients::CASES,
    deployments::CASES,
    jts_lists::CASES,
    jts_policies::CASES,
    jts_renewal::CASES,
    jts_rotation::CASES,
    jts_sessions::CASES,
    jts_validation::CASES,
    launch_config_saves::CASES,
    launch_configs::CASES,
    lifecycle::CASES,
    lock_fences::CASES,
    lock_races::CASES,
    locks::CASES,
    login_lifetimes::CASES,
    login_properties::CASES,
    login_saves::CASES,
    login_sessions::CASES,
    lti_sessions::CASES,
    model::CASES,
    nonces::CASES,
    registration_sessions::CASES,
    schema::CASES,
    secrets::CASES,
    text::CASES,
    transfer::CASES,
];

/// All cases.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    ALL.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = all().map(|case| case.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
