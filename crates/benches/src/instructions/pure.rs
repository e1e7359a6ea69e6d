//! Paths that ask no server: what every backend does around its requests.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use store_core::{
    CacheOptions, Cached, JtsSession, LaunchConfigStore, LoginData, LtiSession, LtiSessionData,
    MAX_PAYLOAD_BYTES, NewJtsSession, Nonce, Settings, StateProof, SystemClock, Timestamp, encode,
    judge_proof, judged_at, proof_digest,
};
use store_memory::MemoryStore;

use crate::world::World;

/// Keys of DynamoDB's items and rows of the drivers are made inside of the backends and can't be reached from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pure {
    DecodeLtiSession,
    EncodeLtiSession,
    LaunchToLtiSession,
    DecodeLogin,
    EncodeLogin,
    JudgeCurrentProof,
    JudgePreviousProof,
    DigestProof,
    CheckNonce,
    CachedLaunchConfig,
}

impl Pure {
    pub(super) const ALL: [Self; 10] = [
        Self::DecodeLtiSession,
        Self::EncodeLtiSession,
        Self::LaunchToLtiSession,
        Self::DecodeLogin,
        Self::EncodeLogin,
        Self::JudgeCurrentProof,
        Self::JudgePreviousProof,
        Self::DigestProof,
        Self::CheckNonce,
        Self::CachedLaunchConfig,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DecodeLtiSession => "decode-lti-session",
            Self::EncodeLtiSession => "encode-lti-session",
            Self::LaunchToLtiSession => "launch-to-lti-session",
            Self::DecodeLogin => "decode-login",
            Self::EncodeLogin => "encode-login",
            Self::JudgeCurrentProof => "judge-current-proof",
            Self::JudgePreviousProof => "judge-previous-proof",
            Self::DigestProof => "digest-proof",
            Self::CheckNonce => "check-nonce",
            Self::CachedLaunchConfig => "cached-launch-config",
        }
    }

    /// Goes the path so often.
    pub(crate) fn repeat(self, times: u64) -> Result<()> {
        let world = World::new(1)?;
        let key = &world.lti[0];
        match self {
            Self::DecodeLtiSession => {
                let json = world.lti_json.as_bytes();
                for _ in 0..times {
                    black_box(LtiSession::from_data(key.uuid, black_box(json))?);
                }
            }
            Self::EncodeLtiSession => {
                let data = LtiSessionData(&world.lti_session);
                for _ in 0..times {
                    black_box(encode("session", black_box(&data), MAX_PAYLOAD_BYTES)?);
                }
            }
            Self::LaunchToLtiSession => {
                let launch = include_str!("../../data/launch.json");
                for _ in 0..times {
                    black_box(LtiSession::from_launch_payload(black_box(launch))?);
                }
            }
            Self::DecodeLogin => {
                for _ in 0..times {
                    let data: LoginData = serde_json::from_str(black_box(&world.login_json))?;
                    black_box(data);
                }
            }
            Self::EncodeLogin => {
                for _ in 0..times {
                    let data = black_box(&world.login_data);
                    black_box(encode("data", data, MAX_PAYLOAD_BYTES)?);
                }
            }
            Self::JudgeCurrentProof | Self::JudgePreviousProof => judge(self, times)?,
            Self::DigestProof => {
                let proof = StateProof::generate();
                for _ in 0..times {
                    black_box(proof_digest(black_box(proof.as_str())));
                }
            }
            Self::CheckNonce => {
                for _ in 0..times {
                    black_box(Nonce::new(black_box("n-5vT8kq2LxYw0RbZ1Q7cJd4Hs9uEaPfGm"))?);
                }
            }
            Self::CachedLaunchConfig => cached(&world, times)?,
        }
        Ok(())
    }
}

fn judge(pure: Pure, times: u64) -> Result<()> {
    let grace = Duration::from_secs(10);
    let now = Timestamp::from_unix_millis(1_893_456_000_000);
    let new = NewJtsSession::of("user-1@maplegrove.example".parse()?);
    let session = new.start(now, Timestamp::MAX);
    let previous = StateProof::generate();
    let presented = match pure {
        Pure::JudgeCurrentProof => session.current_state_proof.as_str().to_owned(),
        _ => previous.as_str().to_owned(),
    };
    let session = JtsSession {
        previous_state_proof: Some(previous),
        rotation_timestamp: Some(now),
        ..session
    };
    for _ in 0..times {
        let session = black_box(&session);
        let at = judged_at(session, now, now);
        black_box(judge_proof(session, black_box(&presented), at, grace));
    }
    Ok(())
}

fn cached(world: &World, times: u64) -> Result<()> {
    let store = Arc::new(MemoryStore::new(Settings::default()));
    let cached = Cached::new(store, Arc::new(SystemClock), CacheOptions::default());
    let config = &world.launch_configs[0];
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        cached.save_launch_config(config).await?;
        for _ in 0..times {
            let found = cached.get_launch_config(
                config.iss.as_str(),
                config.client_id.as_str(),
                config.deployment_id.as_str(),
            );
            black_box(found.await?.context("the launch config is not there")?);
        }
        Ok(())
    })
}
