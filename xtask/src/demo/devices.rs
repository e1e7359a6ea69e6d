//! JTS sessions: a limit on devices, parallel tabs, and a stolen proof.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, bail};
use store_core::{
    DeviceFingerprint, JtsErrorCode, JtsSession, NewJtsSession, Renewal, SessionPolicy,
};

use super::story::{Broken, Story, masked, seen};
use super::world::{World, at_once};

const TWO: SessionPolicy = SessionPolicy::Max(NonZeroU32::new(2).expect("2 is not 0"));

pub(super) async fn tell(story: &mut Story<'_>, world: &World) -> Result<(), Broken> {
    story.chapter("The same person signs in on three devices, where two are allowed");
    let laptop = log_in(story, world, "laptop").await?;
    let phone = log_in(story, world, "phone").await?;
    tablet(story, world, &laptop).await?;
    told_off(story, world, &laptop).await?;

    story.chapter("The phone renews its session, and somebody has copied its proof");
    let renewed = two_tabs(story, world, &phone).await?;
    world.clock.advance(Duration::from_secs(11));
    story.pause("11 seconds pass: the old proof's grace is over");
    replay(story, world, &phone, &renewed).await
}

fn device(world: &World, name: &str) -> Result<NewJtsSession> {
    Ok(NewJtsSession {
        device_fingerprint: Some(DeviceFingerprint::new(name)?),
        ..NewJtsSession::of(world.principal().parse()?)
    })
}

/// What a device is called, from the sessions that were opened on it.
fn name(session: &JtsSession) -> &str {
    let fingerprint = session.device_fingerprint.as_ref();
    fingerprint.map_or("?", DeviceFingerprint::as_str)
}

async fn log_in(
    story: &mut Story<'_>,
    world: &World,
    on: &'static str,
) -> Result<JtsSession, Broken> {
    let log_in = async {
        let created = world
            .store
            .create_jts_session(device(world, on)?, TWO)
            .await?;
        let proof = masked(created.session.current_state_proof.as_str());
        let text = match created.revoked.len() {
            0 => format!("proof {proof}; no other session is revoked"),
            revoked => format!("{revoked} other sessions are revoked"),
        };
        Ok(seen(created.revoked.is_empty(), text).giving(created.session))
    };
    let step = match on {
        "laptop" => "sign in on the laptop",
        _ => "sign in on the phone",
    };
    let session = story.step(step, "nothing else is revoked", log_in).await?;
    world.clock.advance(Duration::from_secs(60));
    Ok(session)
}

async fn tablet(story: &mut Story<'_>, world: &World, oldest: &JtsSession) -> Result<(), Broken> {
    let store = &world.store;
    let log_in = async {
        let created = store
            .create_jts_session(device(world, "tablet")?, TWO)
            .await?;
        let oldest_only = created.revoked == [oldest.aid.clone()];
        let text = match created.revoked.as_slice() {
            [] => "nothing is revoked".to_owned(),
            [_] if oldest_only => "the laptop, the oldest, is revoked".to_owned(),
            others => format!("{} sessions are revoked", others.len()),
        };
        Ok(seen(oldest_only, text))
    };
    story
        .step(
            "sign in on the tablet",
            "the laptop, the oldest, is revoked",
            log_in,
        )
        .await?;

    let list = async {
        let sessions = store.list_jts_sessions(&world.principal()).await?;
        let names: Vec<_> = sessions.iter().map(name).collect();
        Ok(seen(names == ["tablet", "phone"], names.join(", ")))
    };
    story
        .step("list the devices", "tablet, phone: the latest first", list)
        .await
}

/// What the device that was signed out is told.
async fn told_off(story: &mut Story<'_>, world: &World, laptop: &JtsSession) -> Result<(), Broken> {
    let ask = async {
        let session = world.store.get_jts_session(laptop.aid.as_str()).await?;
        let text = match session {
            None => format!("{} session terminated", JtsErrorCode::SessionTerminated),
            Some(_) => "its session lives".to_owned(),
        };
        Ok(seen(session.is_none(), text))
    };
    story
        .step("ask with the laptop", "JTS-401-04 session terminated", ask)
        .await
}

async fn two_tabs(
    story: &mut Story<'_>,
    world: &World,
    phone: &JtsSession,
) -> Result<JtsSession, Broken> {
    let renew = async {
        let renewals = at_once(2, || {
            let (store, proof) = (world.store.clone(), phone.current_state_proof.clone());
            async move { store.renew_state_proof(proof.as_str()).await }
        });
        let renewals = renewals.await?.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (mut rotated, mut converged) = (Vec::new(), Vec::new());
        for renewal in renewals {
            match renewal {
                Renewal::Rotated(session) => rotated.push(*session),
                Renewal::Converged(session) => converged.push(*session),
                Renewal::Compromised { .. } => bail!("a tab was taken for a thief"),
                Renewal::Unknown => bail!("a tab's proof is unknown"),
            }
        }
        let ([first], [second]) = (rotated.as_slice(), converged.as_slice()) else {
            bail!("{} of 2 tabs rotated the proof", rotated.len());
        };
        let same = first.current_state_proof == second.current_state_proof;
        let changed = first.current_state_proof != phone.current_state_proof;
        let text = format!(
            "one rotates, the other is given {} as well",
            masked(first.current_state_proof.as_str())
        );
        Ok(seen(same && changed, text).giving(first.clone()))
    };
    story
        .step(
            "renew in two tabs at once",
            "one rotates, both end on the same proof",
            renew,
        )
        .await
}

async fn replay(
    story: &mut Story<'_>,
    world: &World,
    phone: &JtsSession,
    renewed: &JtsSession,
) -> Result<(), Broken> {
    let store = &world.store;
    let replay = async {
        let old = phone.current_state_proof.as_str();
        let renewal = store.renew_state_proof(old).await?;
        let code = renewal
            .error_code()
            .map_or("accepted", JtsErrorCode::as_str);
        let named = matches!(&renewal, Renewal::Compromised { aid, .. } if *aid == phone.aid);
        let text = match renewal {
            Renewal::Compromised { .. } => format!("{code} session compromised: it is revoked"),
            Renewal::Unknown => format!("{code} state proof unknown"),
            Renewal::Rotated(_) | Renewal::Converged(_) => code.to_owned(),
        };
        Ok(seen(named, text))
    };
    let expected = "JTS-401-05 session compromised: it is revoked";
    story.step("replay the old proof", expected, replay).await?;

    let locked_out = async {
        let current = renewed.current_state_proof.as_str();
        let renewal = store.renew_state_proof(current).await?;
        let text = match renewal.error_code() {
            Some(code) => format!("{code} state proof unknown"),
            None => "renewed".to_owned(),
        };
        Ok(seen(renewal == Renewal::Unknown, text))
    };
    let expected = "JTS-401-03 state proof unknown";
    story
        .step("renew with the current proof", expected, locked_out)
        .await?;

    let list = async {
        let sessions = store.list_jts_sessions(&world.principal()).await?;
        let names: Vec<_> = sessions.iter().map(name).collect();
        Ok(seen(names == ["tablet"], names.join(", ")))
    };
    story.step("list what is left", "tablet", list).await
}
