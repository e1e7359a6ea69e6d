//! All traits of a store in one.

use crate::{
    CleanupStore, ClientStore, DeploymentStore, JtsSessionStore, LaunchConfigStore, Lifecycle,
    LoginSessionStore, LtiSessionStore, NonceStore, RegistrationSessionStore, SchemaStore,
    TransferStore,
};

/// What an LTI 1.3 tool keeps. Implemented by whatever implements its parts.
pub trait LtiStore:
    ClientStore
    + DeploymentStore
    + LaunchConfigStore
    + LtiSessionStore
    + NonceStore
    + RegistrationSessionStore
{
}

impl<S> LtiStore for S where
    S: ClientStore
        + DeploymentStore
        + LaunchConfigStore
        + LtiSessionStore
        + NonceStore
        + RegistrationSessionStore
        + ?Sized
{
}

/// Everything that every backend keeps and does; use it as `Arc<dyn Store>`. Implemented by whatever
/// implements its parts.
pub trait Store:
    LtiStore
    + JtsSessionStore
    + LoginSessionStore
    + CleanupStore
    + TransferStore
    + SchemaStore
    + Lifecycle
{
}

impl<S> Store for S where
    S: LtiStore
        + JtsSessionStore
        + LoginSessionStore
        + CleanupStore
        + TransferStore
        + SchemaStore
        + Lifecycle
        + ?Sized
{
}
