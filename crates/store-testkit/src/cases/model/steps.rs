//! The steps that a sequence is made of, and which make sense when.

use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use store_core::CleanupKind;

use crate::world::{ms, secs};

/// A step on one of a few things, so that steps meet. Handles count what has appeared so far, modulo
/// how much there is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Advance(Duration),
    Rewind(Duration),
    Cleanup(CleanupKind),
    AddClient(u64),
    UpdateClient {
        client: usize,
        to: u64,
    },
    DeleteClient(usize),
    GetClient(usize),
    ListClients,
    AddDeployment {
        client: usize,
        n: u64,
    },
    RenameDeployment {
        client: usize,
        deployment: usize,
        to: u64,
    },
    DeleteDeployment {
        client: usize,
        deployment: usize,
    },
    GetLaunchConfig {
        n: u64,
        deployment: u64,
    },
    SaveLaunchConfig {
        n: u64,
        deployment: u64,
        endpoints: u64,
    },
    AddLti {
        n: u64,
        lifetime: Duration,
    },
    GetLti(u64),
    DeleteLti(u64),
    StoreNonce {
        n: u64,
        lifetime: Duration,
    },
    ConsumeNonce(u64),
    SetRegistration {
        n: u64,
        lifetime: Duration,
    },
    GetRegistration(u64),
    TakeRegistration(u64),
    DeleteRegistration(u64),
    CreateJts {
        prn: u64,
        limit: u32,
        lifetime: Duration,
    },
    GetJts(usize),
    Validate(usize),
    Rotate {
        session: usize,
        proof: usize,
    },
    RotateCurrent(usize),
    Renew(usize),
    Touch(usize),
    DeleteJts(usize),
    DeletePrincipal(u64),
    DeleteOldest(u64),
    ListJts(u64),
    CreateLogin {
        n: u64,
        lifetime: Duration,
    },
    LoadLogin(u64),
    SaveLoaded {
        n: u64,
        lifetime: Option<Duration>,
        fence: Option<usize>,
    },
    Set {
        n: u64,
        property: u8,
        value: u8,
        fence: Option<usize>,
    },
    Unset {
        n: u64,
        property: u8,
        fence: Option<usize>,
    },
    Extend {
        n: u64,
        lifetime: Duration,
    },
    Destroy(u64),
    Lock {
        n: u64,
        expected: u8,
    },
    Unlock {
        n: u64,
        token: usize,
    },
}

impl Step {
    /// How long what it writes will live.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        match self {
            Self::AddLti { lifetime, .. }
            | Self::StoreNonce { lifetime, .. }
            | Self::SetRegistration { lifetime, .. }
            | Self::CreateJts { lifetime, .. }
            | Self::CreateLogin { lifetime, .. }
            | Self::Extend { lifetime, .. } => Some(*lifetime),
            Self::SaveLoaded { lifetime, .. } => *lifetime,
            _ => None,
        }
    }
}

/// What has been made so far, as far as it decides which steps make sense.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    clients: bool,
    deployments: bool,
    sessions: bool,
    logins: bool,
    tokens: bool,
}

/// The machine whose steps are about one kind of state.
pub(super) struct Machine<const FOCUS: u8>;

pub(super) const LTI: u8 = 0;
pub(super) const JTS: u8 = 1;
pub(super) const LOGIN: u8 = 2;

type Choices = Vec<(u32, BoxedStrategy<Step>)>;

impl<const FOCUS: u8> ReferenceStateMachine for Machine<FOCUS> {
    type State = Made;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Made> {
        Just(Made::default()).boxed()
    }

    fn transitions(made: &Made) -> BoxedStrategy<Step> {
        let mut choices: Choices = vec![
            (6, time().prop_map(Step::Advance).boxed()),
            (
                1,
                (1_000..70_000_u64)
                    .prop_map(|by| Step::Rewind(ms(by)))
                    .boxed(),
            ),
            (
                1,
                prop::sample::select(&CleanupKind::ALL[..])
                    .prop_map(Step::Cleanup)
                    .boxed(),
            ),
        ];
        match FOCUS {
            LTI => lti(made, &mut choices),
            JTS => jts(made, &mut choices),
            _ => login(made, &mut choices),
        }
        prop::strategy::Union::new_weighted(choices).boxed()
    }

    fn preconditions(made: &Made, step: &Step) -> bool {
        match step {
            Step::UpdateClient { .. }
            | Step::DeleteClient(_)
            | Step::GetClient(_)
            | Step::AddDeployment { .. } => made.clients,
            Step::RenameDeployment { .. } | Step::DeleteDeployment { .. } => made.deployments,
            Step::GetJts(_)
            | Step::Validate(_)
            | Step::Rotate { .. }
            | Step::RotateCurrent(_)
            | Step::Renew(_)
            | Step::Touch(_)
            | Step::DeleteJts(_) => made.sessions,
            Step::SaveLoaded { fence, .. } => made.logins && (made.tokens || fence.is_none()),
            Step::Set { fence, .. } | Step::Unset { fence, .. } => made.tokens || fence.is_none(),
            Step::Unlock { .. } => made.tokens,
            _ => true,
        }
    }

    fn apply(mut made: Made, step: &Step) -> Made {
        match step {
            Step::AddClient(_) => made.clients = true,
            Step::AddDeployment { .. } => made.deployments = true,
            Step::CreateJts { .. } => made.sessions = true,
            Step::CreateLogin { .. } => made.logins = true,
            Step::Lock { .. } => made.tokens |= made.logins,
            _ => {}
        }
        made
    }
}

fn time() -> BoxedStrategy<Duration> {
    let usual = [
        1, 999, 1_000, 5_000, 9_999, 10_000, 60_000, 599_999, 600_000, 3_600_000,
    ];
    prop::sample::select(usual.to_vec()).prop_map(ms).boxed()
}

fn lifetime() -> BoxedStrategy<Duration> {
    prop::sample::select(vec![ms(1), secs(10), secs(600), secs(3600), secs(86_400)]).boxed()
}

const HANDLE: std::ops::Range<usize> = 0..1_000;

fn lti(made: &Made, choices: &mut Choices) {
    let n = 0..3_u64;
    choices.extend([
        (3, n.clone().prop_map(Step::AddClient).boxed()),
        (1, Just(Step::ListClients).boxed()),
        (
            7,
            (n.clone(), 0..4_u64)
                .prop_map(|(n, deployment)| Step::GetLaunchConfig { n, deployment })
                .boxed(),
        ),
        (
            5,
            (n.clone(), 0..4_u64, n.clone())
                .prop_map(|(n, deployment, endpoints)| Step::SaveLaunchConfig {
                    n,
                    deployment,
                    endpoints,
                })
                .boxed(),
        ),
        (
            2,
            (n.clone(), lifetime())
                .prop_map(|(n, lifetime)| Step::AddLti { n, lifetime })
                .boxed(),
        ),
        (2, n.clone().prop_map(Step::GetLti).boxed()),
        (1, n.clone().prop_map(Step::DeleteLti).boxed()),
        (
            2,
            (n.clone(), lifetime())
                .prop_map(|(n, lifetime)| Step::StoreNonce { n, lifetime })
                .boxed(),
        ),
        (2, n.clone().prop_map(Step::ConsumeNonce).boxed()),
        (
            2,
            (n.clone(), lifetime())
                .prop_map(|(n, lifetime)| Step::SetRegistration { n, lifetime })
                .boxed(),
        ),
        (1, n.clone().prop_map(Step::GetRegistration).boxed()),
        (1, n.clone().prop_map(Step::TakeRegistration).boxed()),
        (1, n.clone().prop_map(Step::DeleteRegistration).boxed()),
    ]);
    if made.clients {
        choices.extend([
            (
                2,
                (HANDLE, n.clone())
                    .prop_map(|(client, to)| Step::UpdateClient { client, to })
                    .boxed(),
            ),
            (1, HANDLE.prop_map(Step::DeleteClient).boxed()),
            (2, HANDLE.prop_map(Step::GetClient).boxed()),
            (
                4,
                (HANDLE, 0..4_u64)
                    .prop_map(|(client, n)| Step::AddDeployment { client, n })
                    .boxed(),
            ),
        ]);
    }
    if made.deployments {
        let both = (HANDLE, HANDLE);
        choices.extend([
            (
                1,
                (both.clone(), 0..4_u64)
                    .prop_map(|((client, deployment), to)| Step::RenameDeployment {
                        client,
                        deployment,
                        to,
                    })
                    .boxed(),
            ),
            (
                2,
                both.prop_map(|(client, deployment)| Step::DeleteDeployment { client, deployment })
                    .boxed(),
            ),
        ]);
    }
}

fn jts(made: &Made, choices: &mut Choices) {
    let prn = 0..2_u64;
    choices.extend([
        (
            4,
            (prn.clone(), 0..4_u32, lifetime())
                .prop_map(|(prn, limit, lifetime)| Step::CreateJts {
                    prn,
                    limit,
                    lifetime,
                })
                .boxed(),
        ),
        (2, prn.clone().prop_map(Step::ListJts).boxed()),
        (1, prn.clone().prop_map(Step::DeletePrincipal).boxed()),
        (1, prn.prop_map(Step::DeleteOldest).boxed()),
    ]);
    if made.sessions {
        choices.extend([
            (2, HANDLE.prop_map(Step::GetJts).boxed()),
            (4, HANDLE.prop_map(Step::Validate).boxed()),
            (
                1,
                (HANDLE, HANDLE)
                    .prop_map(|(session, proof)| Step::Rotate { session, proof })
                    .boxed(),
            ),
            (4, HANDLE.prop_map(Step::RotateCurrent).boxed()),
            (6, HANDLE.prop_map(Step::Renew).boxed()),
            (2, HANDLE.prop_map(Step::Touch).boxed()),
            (1, HANDLE.prop_map(Step::DeleteJts).boxed()),
        ]);
    }
}

fn login(made: &Made, choices: &mut Choices) {
    let n = 0..2_u64;
    let tokens = made.tokens;
    let fence = move || {
        if tokens {
            prop::option::of(HANDLE).boxed()
        } else {
            Just(None).boxed()
        }
    };
    choices.extend([
        (
            4,
            (n.clone(), lifetime())
                .prop_map(|(n, lifetime)| Step::CreateLogin { n, lifetime })
                .boxed(),
        ),
        (3, n.clone().prop_map(Step::LoadLogin).boxed()),
        (
            3,
            (n.clone(), 0..3_u8, 0..3_u8, fence())
                .prop_map(|(n, property, value, fence)| Step::Set {
                    n,
                    property,
                    value,
                    fence,
                })
                .boxed(),
        ),
        (
            2,
            (n.clone(), 0..3_u8, fence())
                .prop_map(|(n, property, fence)| Step::Unset { n, property, fence })
                .boxed(),
        ),
        (
            4,
            (n.clone(), lifetime())
                .prop_map(|(n, lifetime)| Step::Extend { n, lifetime })
                .boxed(),
        ),
        (1, n.clone().prop_map(Step::Destroy).boxed()),
        (
            6,
            (n.clone(), 0..3_u8)
                .prop_map(|(n, expected)| Step::Lock { n, expected })
                .boxed(),
        ),
    ]);
    if made.logins {
        choices.push((
            5,
            (n.clone(), prop::option::of(lifetime()), fence())
                .prop_map(|(n, lifetime, fence)| Step::SaveLoaded { n, lifetime, fence })
                .boxed(),
        ));
    }
    if made.tokens {
        choices.push((
            3,
            (n, HANDLE)
                .prop_map(|(n, token)| Step::Unlock { n, token })
                .boxed(),
        ));
    }
}
