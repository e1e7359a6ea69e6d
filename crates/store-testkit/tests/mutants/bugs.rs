//! The bugs, each seen in some store, and what the cases that should notice are about.

/// One way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    SaveUpserts,
    SaveWithoutVersion,
    SaveUndoesExtension,
    CreateOverwrites,
    SetReplacesAll,
    SetLosesUpdates,
    ExtendRevives,
    ExpiredIsLoaded,
    UnlockFreesAnyones,
    FenceIsIgnored,
    LockNeverExpires,
    LockForTwo,
    SupersededIgnored,
    RotateWithoutSwap,
    RenewRotatesTwice,
    OlderProofIsUnknown,
    ReplayRevokesNothing,
    NegativeElapsedIsGrace,
    GraceIsLonger,
    ExpiredIsListed,
    TouchRevives,
    TouchMovesBack,
    MaxIsNotAtomic,
    MaxDeletesAll,
    MaxCountsExpired,
    RevokedInWrongOrder,
    PrincipalInAnyCase,
    PolicyHalfApplied,
    NonceConsumedTwice,
    NonceStoredAgain,
    NonceTrimmed,
    ErrorTellsNonce,
    EventTellsNonce,
    RegistrationTakenTwice,
    ExpiredIsFound,
    AddOverwrites,
    UnknownFieldsDropped,
    ExpiryInSeconds,
    LimitIsNotChecked,
    MalformedIdIsAnError,
    AnySpellingOfAnId,
    NoFallback,
    LaunchConfigIsCopied,
    SaveLaunchConfigRaces,
    OrphanedDeployments,
    DeleteHalfApplied,
    CleanupTakesLive,
    CleanupIgnoresLimit,
    CleanupForgetsUsedNonces,
    CloseDoesNothing,
    ImportOverwrites,
    ImportForgetsRetiredProofs,
    ImportForgetsUse,
    ExportRepeatsItself,
    ExpiredIsExported,
    ExpiredIsImported,
}

/// Each bug, in words, and the modules of cases to run against it.
pub(crate) const MUTANTS: &[(Bug, &str, &[&str])] = {
    use Bug::*;
    &[
        (
            SaveUpserts,
            "save re-creates a session that is gone",
            &["login_sessions", "login_saves"],
        ),
        (
            SaveWithoutVersion,
            "save does not compare versions",
            &["login_saves", "login_properties"],
        ),
        (
            SaveUndoesExtension,
            "save writes its caller's expiry",
            &["login_saves", "login_lifetimes"],
        ),
        (
            CreateOverwrites,
            "create overwrites a live login session",
            &["login_sessions"],
        ),
        (
            SetReplacesAll,
            "set replaces all properties",
            &["login_properties"],
        ),
        (
            SetLosesUpdates,
            "set reads, and writes a moment later",
            &["login_properties"],
        ),
        (
            ExtendRevives,
            "extend revives an expired session",
            &["login_lifetimes", "login_sessions"],
        ),
        (
            ExpiredIsLoaded,
            "load: expired means expires_at < now",
            &["login_lifetimes"],
        ),
        (
            UnlockFreesAnyones,
            "unlock frees anyone's lock",
            &["lock_fences"],
        ),
        (
            FenceIsIgnored,
            "set under a lock does not look at the token",
            &["lock_fences"],
        ),
        (LockNeverExpires, "a lock never expires", &["locks"]),
        (
            LockForTwo,
            "lock reads, and writes a moment later",
            &["lock_races"],
        ),
        (
            SupersededIgnored,
            "lock does not compare the verification property",
            &["locks", "lock_races"],
        ),
        (
            RotateWithoutSwap,
            "rotation does not compare the proof",
            &["jts_rotation"],
        ),
        (
            RenewRotatesTwice,
            "the previous proof rotates again within grace",
            &["jts_renewal"],
        ),
        (
            OlderProofIsUnknown,
            "only one previous proof is remembered",
            &["jts_validation", "jts_renewal"],
        ),
        (
            ReplayRevokesNothing,
            "a replay is told but revokes nothing",
            &["jts_renewal"],
        ),
        (
            NegativeElapsedIsGrace,
            "negative elapsed time is within grace",
            &["jts_validation"],
        ),
        (
            GraceIsLonger,
            "grace: elapsed <= window",
            &["jts_validation", "jts_renewal"],
        ),
        (
            ExpiredIsListed,
            "expired sessions are listed and counted",
            &["jts_lists"],
        ),
        (
            TouchRevives,
            "touch updates expired sessions",
            &["jts_sessions"],
        ),
        (
            TouchMovesBack,
            "touch moves last_active back",
            &["jts_sessions"],
        ),
        (
            MaxIsNotAtomic,
            "the policy lists, deletes, then creates",
            &["jts_policies"],
        ),
        (
            MaxDeletesAll,
            "the policy deletes all sessions at its limit",
            &["jts_policies"],
        ),
        (
            MaxCountsExpired,
            "the policy counts expired sessions",
            &["jts_policies"],
        ),
        (
            RevokedInWrongOrder,
            "revoked sessions are told newest first",
            &["jts_policies"],
        ),
        (
            PrincipalInAnyCase,
            "principals compare in any case",
            &["jts_policies"],
        ),
        (
            PolicyHalfApplied,
            "a dropped creation leaves the old ones revoked",
            &["cancelled_jts"],
        ),
        (
            NonceConsumedTwice,
            "consume reads, and writes a moment later",
            &["nonces"],
        ),
        (
            NonceStoredAgain,
            "a consumed nonce can be stored again",
            &["nonces", "cleanup"],
        ),
        (
            NonceTrimmed,
            "nonces compare without trailing spaces",
            &["text"],
        ),
        (ErrorTellsNonce, "an error tells the nonce", &["secrets"]),
        (EventTellsNonce, "an event tells the nonce", &["secrets"]),
        (
            RegistrationTakenTwice,
            "take reads, and deletes a moment later",
            &["registration_sessions"],
        ),
        (
            ExpiredIsFound,
            "expired LTI sessions are found",
            &["lti_sessions"],
        ),
        (
            AddOverwrites,
            "add overwrites a live LTI session",
            &["lti_sessions"],
        ),
        (
            UnknownFieldsDropped,
            "fields that are not known are dropped",
            &["lti_sessions"],
        ),
        (
            ExpiryInSeconds,
            "expiries are kept in whole seconds",
            &["lti_sessions"],
        ),
        (
            LimitIsNotChecked,
            "a session over the limit is dropped silently",
            &["lti_sessions"],
        ),
        (
            MalformedIdIsAnError,
            "a malformed id is an error",
            &["text"],
        ),
        (
            AnySpellingOfAnId,
            "ids are found in upper case too",
            &["text"],
        ),
        (
            NoFallback,
            "no fallback to the default deployment",
            &["launch_configs"],
        ),
        (
            LaunchConfigIsCopied,
            "launch configs are copied, not derived",
            &["launch_configs"],
        ),
        (
            SaveLaunchConfigRaces,
            "saving a launch config races with itself",
            &["launch_config_saves"],
        ),
        (
            OrphanedDeployments,
            "deployments outlive their client",
            &["clients"],
        ),
        (
            DeleteHalfApplied,
            "a dropped delete leaves half of a client",
            &["cancellation"],
        ),
        (CleanupTakesLive, "cleanup deletes live rows", &["cleanup"]),
        (
            CleanupIgnoresLimit,
            "cleanup ignores its limit",
            &["cleanup"],
        ),
        (
            CleanupForgetsUsedNonces,
            "cleanup deletes consumed nonces",
            &["cleanup"],
        ),
        (CloseDoesNothing, "close does nothing", &["lifecycle"]),
        (
            ImportOverwrites,
            "an import overwrites what is there",
            &["transfer"],
        ),
        (
            ImportForgetsRetiredProofs,
            "replays are unknown after a move",
            &["transfer"],
        ),
        (
            ImportForgetsUse,
            "consumed nonces can be consumed again after a move",
            &["transfer"],
        ),
        (
            ExportRepeatsItself,
            "a page begins with the last record of the one before",
            &["transfer"],
        ),
        (
            ExpiredIsExported,
            "an export tells what has expired",
            &["transfer"],
        ),
        (
            ExpiredIsImported,
            "an import adds what has expired",
            &["transfer"],
        ),
    ]
};

/// Bugs that random sequences must find as well.
pub(crate) const FOUND_BY_THE_MODEL: [Bug; 20] = {
    use Bug::*;
    [
        SaveUpserts,
        SaveWithoutVersion,
        SaveUndoesExtension,
        CreateOverwrites,
        SetReplacesAll,
        ExtendRevives,
        UnlockFreesAnyones,
        FenceIsIgnored,
        LockNeverExpires,
        SupersededIgnored,
        RotateWithoutSwap,
        RenewRotatesTwice,
        OlderProofIsUnknown,
        ReplayRevokesNothing,
        MaxDeletesAll,
        MaxCountsExpired,
        NonceStoredAgain,
        ExpiredIsFound,
        NoFallback,
        LaunchConfigIsCopied,
    ]
};
