//! `Debug` for what a session holds: the names of the types, none of the values.

use std::fmt;

use super::{
    AgsService, DeepLinkingService, LtiContext, LtiLaunch, LtiPlatform, LtiResourceLink,
    LtiServices, LtiSession, LtiUser, NrpsService,
};

macro_rules! name_only {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }
    )*};
}

name_only!(
    AgsService,
    DeepLinkingService,
    LtiContext,
    LtiLaunch,
    LtiPlatform,
    LtiResourceLink,
    LtiServices,
    LtiSession,
    LtiUser,
    NrpsService
);
