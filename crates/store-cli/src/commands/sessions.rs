//! `storectl sessions`.

use clap::Subcommand;
use serde_json::json;
use store::{JtsSession, JtsSessionStore};

use crate::answer::Answer;
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::table::{count, rendered, table, visible};
use crate::views::SessionView;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the live sessions of a principal, most recently active first. Proofs are never shown.
    List {
        /// Whose sessions (`prn`).
        #[arg(long)]
        principal: String,
    },
    /// Revoke all sessions of a principal, or one session. Asks first.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// All sessions of this principal (`prn`).
    #[arg(long)]
    principal: Option<String>,
    /// The session with this anchor id.
    #[arg(long)]
    aid: Option<String>,
}

pub(crate) async fn run(
    store: &(impl JtsSessionStore + ?Sized),
    command: Command,
) -> Result<Answer> {
    match command {
        Command::List { principal } => list(store, &principal).await,
        Command::Revoke { which, yes } => match (which.principal, which.aid) {
            (Some(principal), _) => revoke_all(store, &principal, yes).await,
            (None, Some(aid)) => revoke(store, &aid, yes).await,
            (None, None) => Err(Failure::usage("neither --principal nor --aid is given")),
        },
    }
}

async fn list(store: &(impl JtsSessionStore + ?Sized), principal: &str) -> Result<Answer> {
    let sessions = store.list_jts_sessions(principal).await?;
    let mut rows = table(&[
        "aid",
        "last active",
        "created",
        "expires",
        "address",
        "user agent",
    ]);
    let text_of = |text: Option<&str>| text.map(visible).unwrap_or_default();
    for session in &sessions {
        rows.add_row([
            visible(session.aid.as_str()),
            session.last_active.to_string(),
            session.created_at.to_string(),
            session.expires_at.to_string(),
            text_of(session.ip_address.as_ref().map(|text| text.as_str())),
            shortened(&text_of(
                session.user_agent.as_ref().map(|text| text.as_str()),
            )),
        ]);
    }
    let text = if sessions.is_empty() {
        format!("{} has no live session", visible(principal))
    } else {
        rendered(rows, None)
    };
    let views: Vec<SessionView<'_>> = sessions.iter().map(Into::into).collect();
    Ok(Answer::new(&json!({ "sessions": views }), text))
}

/// A user agent as far as a table has room for it; `--json` has all of it.
fn shortened(text: &str) -> String {
    const ROOM: usize = 40;
    if text.chars().count() <= ROOM {
        return text.to_owned();
    }
    text.chars().take(ROOM - 1).chain(['…']).collect()
}

async fn revoke_all(
    store: &(impl JtsSessionStore + ?Sized),
    principal: &str,
    yes: bool,
) -> Result<Answer> {
    let name = visible(principal);
    if !yes {
        let number = store.count_jts_sessions(principal).await?;
        if number > 0 {
            let sessions = count(number, "session", "sessions");
            confirm(&format!("Revoke {sessions} of {name}?"), yes).await?;
        }
    }
    let revoked = store.delete_jts_sessions(principal).await?;
    let text = format!(
        "{} of {name} revoked",
        count(revoked, "session", "sessions")
    );
    Ok(Answer::new(&json!({ "revoked": revoked }), text))
}

async fn revoke(store: &(impl JtsSessionStore + ?Sized), aid: &str, yes: bool) -> Result<Answer> {
    let shown = visible(aid);
    let missing = || Failure::not_found(format!("there is no live session {shown}"));
    if !yes {
        let session = store.get_jts_session(aid).await?;
        let JtsSession { prn, .. } = session.ok_or_else(missing)?;
        let whose = visible(prn.as_str());
        confirm(&format!("Revoke the session {shown} of {whose}?"), yes).await?;
    }
    if !store.delete_jts_session(aid).await? {
        return Err(missing());
    }
    Ok(Answer::new(
        &json!({ "revoked": 1 }),
        format!("session {shown} revoked"),
    ))
}

#[cfg(test)]
mod tests {
    use store::memory::MemoryStore;
    use store::{NewJtsSession, SessionPolicy, Settings};

    use super::*;

    #[tokio::test]
    async fn sessions_are_listed_without_proofs_and_revoked() {
        let store = MemoryStore::new(Settings::default());
        let mut proofs = Vec::new();
        for agent in ["curl/8", "evil\u{1b}[2J"] {
            let mut new = NewJtsSession::of("alice".parse().unwrap());
            new.user_agent = Some(agent.parse().unwrap());
            let created = store
                .create_jts_session(new, SessionPolicy::AllowAll)
                .await
                .unwrap();
            proofs.push(created.session.current_state_proof);
        }
        let answer = list(&store, "alice").await.unwrap();
        let shown = format!("{}{}", answer.text(), answer.document());
        assert!(shown.contains("curl/8") && !answer.text().contains('\u{1b}'));
        assert!(proofs.iter().all(|proof| !shown.contains(proof.as_str())));

        let aid = answer.document()["sessions"][0]["aid"].as_str().unwrap();
        assert!(revoke(&store, aid, true).await.is_ok());
        assert_eq!(
            &*revoke(&store, aid, true).await.unwrap_err().kind,
            "not_found"
        );
        let answer = revoke_all(&store, "alice", true).await.unwrap();
        assert_eq!(answer.document()["revoked"], 1);
        assert!(
            list(&store, "alice")
                .await
                .unwrap()
                .text()
                .contains("no live session")
        );
    }
}
