//! The launch that the story is about.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::Value;
use store_core::LtiSession;

const OUR_OWN: &str = include_str!("../../demo/launch.json");
const OUR_OWN_PATH: &str = "xtask/demo/launch.json";

/// The claims without which a payload is no launch.
const REQUIRED: &[&str] = &[
    "iss",
    "aud",
    "https://purl.imsglobal.org/spec/lti/claim/deployment_id",
    "https://purl.imsglobal.org/spec/lti/claim/target_link_uri",
];

/// The payload of a launch's ID token.
#[derive(Debug)]
pub(super) struct Launch {
    /// The file it comes from.
    pub(super) source: String,
    /// The payload as it came.
    pub(super) payload: String,
    /// What a session made from it holds.
    pub(super) session: LtiSession,
    pub(super) nonce: String,
}

impl Launch {
    /// Reads the user's file, or takes our own.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Self::parse(OUR_OWN_PATH, OUR_OWN.to_owned());
        };
        let source = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&source, text),
            Err(error) => bail!("{source} can't be read: {error}.\n{}", remedy()),
        }
    }

    fn parse(source: &str, payload: String) -> Result<Self> {
        let claims = match serde_json::from_str::<Value>(&payload) {
            Ok(Value::Object(claims)) => claims,
            Ok(_) => bail!("{source} holds no JSON object.\n{}", remedy()),
            Err(_) if is_token(&payload) => bail!(
                "{source} is an ID token, not its payload: decode what stands between its two dots from base64url.\n{}",
                remedy()
            ),
            Err(error) => bail!("{source} is not JSON: {error}.\n{}", remedy()),
        };
        let missing: Vec<_> = REQUIRED
            .iter()
            .copied()
            .filter(|name| !claims.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            bail!(
                "{source} lacks what every LTI 1.3 launch has: {}.\n{}",
                missing.join(", "),
                remedy()
            );
        }
        let session = match LtiSession::from_launch_payload(&payload) {
            Ok(session) => session,
            Err(error) => bail!("{source}: {error}.\n{}", remedy()),
        };
        let nonce = claims.get("nonce").and_then(Value::as_str);
        Ok(Self {
            source: source.to_owned(),
            session,
            nonce: nonce.unwrap_or("n-of-a-launch-without").to_owned(),
            payload,
        })
    }
}

fn remedy() -> String {
    format!(
        "Give --launch a JSON file with the payload of a launch's ID token, its claims; {OUR_OWN_PATH} is one."
    )
}

/// Three parts of base64url, as a signed token has.
fn is_token(text: &str) -> bool {
    let text = text.trim();
    let is_base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.starts_with("eyJ")
        && text.split('.').count() == 3
        && text.split('.').all(|part| part.chars().all(is_base64url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(text: &str) -> String {
        let error = Launch::parse("mine.json", text.to_owned()).unwrap_err();
        let (what, remedy) = error
            .to_string()
            .split_once('\n')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert!(remedy.starts_with("Give --launch a JSON file"), "{remedy}");
        what
    }

    #[test]
    fn our_own_launch_is_a_complete_one() {
        let session = Launch::read(None).unwrap().session;
        let services = session.services.as_ref().unwrap();
        assert!(services.ags.is_some() && services.nrps.is_some());
        assert!(services.deep_linking.is_some());
        assert!(session.is_instructor && session.resource_link.is_some());
        assert!(!session.context.title.is_empty() && !session.custom_parameters.is_empty());
    }

    #[test]
    fn what_is_no_launch_is_refused_with_a_reason() {
        assert!(refusal("{").starts_with("mine.json is not JSON: EOF"));
        assert_eq!(refusal("[]"), "mine.json holds no JSON object.");
        assert!(refusal("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIifQ.c2ln\n").contains("is an ID token"));
        let missing = refusal(&json!({"iss": "https://lms.example", "aud": "c"}).to_string());
        assert!(missing.ends_with(
            "claim/deployment_id, https://purl.imsglobal.org/spec/lti/claim/target_link_uri."
        ));
        let mut claims: Value = serde_json::from_str(OUR_OWN).unwrap();
        claims["sub"] = json!(5);
        assert!(refusal(&claims.to_string()).contains("of the wrong type"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Launch::read(Some(Path::new("no/such/launch.json"))).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no/such/launch.json can't be read: ")
        );
    }
}
