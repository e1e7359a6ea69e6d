//! Everything expires, and nothing is left.

use std::time::Duration;

use anyhow::Result;
use store_core::{CleanupOptions, CleanupStoreExt, Client, LoginSessionId};
use uuid::Uuid;

use super::story::{Broken, Story, counted, seen};
use super::world::World;

/// What the chapters before made and could hand on.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) client: Option<Client>,
    pub(super) lti_session: Option<Uuid>,
    pub(super) login_session: Option<LoginSessionId>,
}

pub(super) async fn tell(story: &mut Story<'_>, world: &World, made: &Made) -> Result<(), Broken> {
    story.chapter("Everything expires");
    world.clock.advance(Duration::from_secs(8 * 24 * 3600));
    story.pause("8 days pass");
    look(story, world, made).await?;
    clean_up(story, world).await?;
    match &made.client {
        Some(client) => remove_platform(story, world, client).await,
        None => Ok(()),
    }
}

async fn look(story: &mut Story<'_>, world: &World, made: &Made) -> Result<(), Broken> {
    let store = &world.store;
    let look = async {
        let mut alive = Vec::new();
        if let Some(id) = made.lti_session
            && store.get_lti_session(&id.to_string()).await?.is_some()
        {
            alive.push("LTI session");
        }
        if store.count_jts_sessions(&world.principal()).await? > 0 {
            alive.push("JTS session");
        }
        if let Some(id) = &made.login_session
            && store.load_login_session(id.as_str()).await?.is_some()
        {
            alive.push("login session");
        }
        let text = match alive.as_slice() {
            [] => "nothing, though no row was deleted yet".to_owned(),
            alive => alive.join(", "),
        };
        Ok(seen(alive.is_empty(), text))
    };
    story.step("look for what lived", "nothing", look).await
}

/// In the order in which the kinds are cleaned up.
const LEFT: [(&str, u64); 5] = [
    ("nonces", 1),
    ("sessions", 1),
    ("registration_sessions", 1),
    ("jts_sessions", 1),
    ("login_sessions", 1),
];

async fn clean_up(story: &mut Story<'_>, world: &World) -> Result<(), Broken> {
    let store = &world.store;
    let clean_up = async {
        let options = CleanupOptions::default();
        let report = store.cleanup(&options, &mut |_| ()).await?;
        let deleted = report
            .deleted
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count));
        let counts: Vec<_> = deleted.collect();
        let mut seen = seen(
            report.finished && counts == LEFT,
            format!("{} deleted", counted(report.total(), "row")),
        );
        for (kind, count) in report.deleted {
            seen = seen.detail(kind.as_str(), count.to_string());
        }
        Ok(seen)
    };
    story
        .step("clean up", "5 rows deleted, one of each kind", clean_up)
        .await?;

    let again = async {
        let report = store
            .cleanup(&CleanupOptions::default(), &mut |_| ())
            .await?;
        let text = format!("{} deleted", counted(report.total(), "row"));
        Ok(seen(report.total() == 0, text))
    };
    story.step("clean up again", "0 rows deleted", again).await
}

async fn remove_platform(
    story: &mut Story<'_>,
    world: &World,
    client: &Client,
) -> Result<(), Broken> {
    let store = &world.store;
    let remove = async {
        let existed = store.delete_client(&client.id.to_string()).await?;
        let (iss, client_id) = (client.iss.as_str(), client.client_id.as_str());
        let deployment_id = &world.launch.session.platform.deployment_id;
        let config = store
            .get_launch_config(iss, client_id, deployment_id)
            .await?;
        let text = match (existed, &config) {
            (true, None) => "gone with its deployments",
            (true, Some(_)) => "a launch config is left",
            (false, _) => "it was not there",
        };
        Ok(seen(existed && config.is_none(), text))
    };
    story
        .step("remove the platform", "gone with its deployments", remove)
        .await
}
