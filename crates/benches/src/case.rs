//! What is measured: the scenarios, and the cases that each consists of.

use clap::ValueEnum;

/// A group of cases, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// An LTI session by its id.
    #[value(name = "S1")]
    S1,
    /// A new LTI session.
    #[value(name = "S2")]
    S2,
    /// A nonce is stored, then consumed.
    #[value(name = "S3")]
    S3,
    /// A launch config, without a cache and with it.
    #[value(name = "S4")]
    S4,
    /// A JTS session by its state proof.
    #[value(name = "S5")]
    S5,
    /// A state proof is rotated, and renewed.
    #[value(name = "S6")]
    S6,
    /// A JTS session is touched.
    #[value(name = "S7")]
    S7,
    /// What has expired is cleaned up while sessions are read.
    #[value(name = "S8")]
    S8,
    /// A login session is loaded, saved, and locked, saved and unlocked.
    #[value(name = "S9")]
    S9,
    /// From a process's start to its first answer, without TLS and with it.
    #[value(name = "S10")]
    S10,
    /// S1 to S7 with ever more sessions.
    #[value(name = "S11")]
    S11,
    /// The memory of a process with 64 tasks.
    #[value(name = "S12")]
    S12,
}

/// What one operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    GetLtiSession,
    GetLaunchConfig,
    GetCachedLaunchConfig,
    ValidateProof,
    LoadLogin,
    TouchJts,
    RotateProof,
    RenewProof,
    SaveLogin,
    LockLogin,
    Nonce,
    AddLtiSession,
}

/// How a case is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// Answered without asking a server.
    Cached,
}

impl Case {
    /// In the order in which they run: reads first, and those that add rows last.
    pub(crate) const ALL: [Self; 12] = [
        Self::GetLtiSession,
        Self::GetLaunchConfig,
        Self::GetCachedLaunchConfig,
        Self::ValidateProof,
        Self::LoadLogin,
        Self::TouchJts,
        Self::RotateProof,
        Self::RenewProof,
        Self::SaveLogin,
        Self::LockLogin,
        Self::Nonce,
        Self::AddLtiSession,
    ];

    /// What it is called in tables and files.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::GetLtiSession => "S1",
            Self::AddLtiSession => "S2",
            Self::Nonce => "S3",
            Self::GetLaunchConfig => "S4",
            Self::GetCachedLaunchConfig => "S4-cached",
            Self::ValidateProof => "S5",
            Self::RotateProof => "S6-rotate",
            Self::RenewProof => "S6-renew",
            Self::TouchJts => "S7",
            Self::LoadLogin => "S9-load",
            Self::SaveLogin => "S9-save",
            Self::LockLogin => "S9-lock",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::GetLtiSession => "LTI session by id",
            Self::AddLtiSession => "LTI session create",
            Self::Nonce => "nonce store, then consume",
            Self::GetLaunchConfig => "launch config",
            Self::GetCachedLaunchConfig => "launch config, cached",
            Self::ValidateProof => "JTS validate by state proof",
            Self::RotateProof => "JTS rotate",
            Self::RenewProof => "JTS renew",
            Self::TouchJts => "JTS touch",
            Self::LoadLogin => "login session load",
            Self::SaveLogin => "login session save",
            Self::LockLogin => "login session lock, save, unlock",
        }
    }

    pub(crate) fn scenario(self) -> Scenario {
        match self {
            Self::GetLtiSession => Scenario::S1,
            Self::AddLtiSession => Scenario::S2,
            Self::Nonce => Scenario::S3,
            Self::GetLaunchConfig | Self::GetCachedLaunchConfig => Scenario::S4,
            Self::ValidateProof => Scenario::S5,
            Self::RotateProof | Self::RenewProof => Scenario::S6,
            Self::TouchJts => Scenario::S7,
            Self::LoadLogin | Self::SaveLogin | Self::LockLogin => Scenario::S9,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::GetLtiSession | Self::GetLaunchConfig | Self::ValidateProof | Self::LoadLogin => {
                Kind::Read
            }
            Self::GetCachedLaunchConfig => Kind::Cached,
            Self::AddLtiSession
            | Self::Nonce
            | Self::RotateProof
            | Self::RenewProof
            | Self::TouchJts
            | Self::SaveLogin
            | Self::LockLogin => Kind::Write,
        }
    }

    pub(crate) fn by_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.id() == id)
    }
}
