//! What is stored before anything is measured, and what each task does next with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::json;
use store_core::{
    LaunchConfig, LoginData, LoginSession, LoginSessionId, LtiSession, LtiSessionData,
    MAX_PAYLOAD_BYTES, StateProof, Timestamp, encode,
};
use uuid::Uuid;

/// How many platforms there are, each with a deployment.
const PLATFORMS: usize = 100;

/// An LTI session that is stored.
#[derive(Debug)]
pub(crate) struct LtiKey {
    pub(crate) uuid: Uuid,
    pub(crate) text: String,
}

/// A JTS session that is stored, and its current proof.
#[derive(Debug)]
pub(crate) struct JtsKey {
    pub(crate) aid: String,
    proof: Mutex<String>,
}

impl JtsKey {
    pub(crate) fn new(aid: impl Into<String>, proof: impl Into<String>) -> Self {
        Self {
            aid: aid.into(),
            proof: Mutex::new(proof.into()),
        }
    }

    pub(crate) fn proof(&self) -> String {
        locked(&self.proof).clone()
    }

    pub(crate) fn set_proof(&self, proof: &str) {
        proof.clone_into(&mut locked(&self.proof));
    }
}

/// A login session that is stored, and its version.
#[derive(Debug)]
pub(crate) struct LoginKey {
    pub(crate) id: LoginSessionId,
    version: Mutex<u64>,
}

impl LoginKey {
    pub(crate) fn version(&self) -> u64 {
        *locked(&self.version)
    }

    pub(crate) fn set_version(&self, version: u64) {
        *locked(&self.version) = version;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that is stored. The same for every implementation that is measured.
pub(crate) struct World {
    pub(crate) rows: usize,
    pub(crate) lti: Vec<LtiKey>,
    pub(crate) jts: Vec<JtsKey>,
    pub(crate) logins: Vec<LoginKey>,
    pub(crate) launch_configs: Vec<LaunchConfig>,
    /// The session that every row is a copy of, and its JSON.
    pub(crate) lti_session: LtiSession,
    pub(crate) lti_json: String,
    pub(crate) login_data: LoginData,
    pub(crate) login_json: String,
    /// Where ids come from, for each kind.
    ids: [fastrand::Rng; 3],
}

impl World {
    /// A world of `rows` sessions of each kind. A larger one begins with what a smaller one has, but for the state
    /// proofs.
    pub(crate) fn new(rows: usize) -> Result<Self> {
        let lti_session = LtiSession::from_launch_payload(include_str!("../data/launch.json"))?;
        let lti_json = encode("session", &LtiSessionData(&lti_session), MAX_PAYLOAD_BYTES)?;
        let login_data = login_data();
        let login_json = encode("data", &login_data, MAX_PAYLOAD_BYTES)?;
        let mut world = Self {
            rows: 0,
            lti: Vec::new(),
            jts: Vec::new(),
            logins: Vec::new(),
            launch_configs: (0..PLATFORMS).map(launch_config).collect::<Result<_>>()?,
            lti_session,
            lti_json,
            login_data,
            login_json,
            ids: [1, 2, 3].map(fastrand::Rng::with_seed),
        };
        world.grow(rows)?;
        Ok(world)
    }

    /// Adds sessions of each kind until there are `rows`.
    pub(crate) fn grow(&mut self, rows: usize) -> Result<()> {
        let [lti, jts, logins] = &mut self.ids;
        for _ in self.rows..rows {
            let uuid = uuid::Builder::from_random_bytes(lti.u128(..).to_be_bytes()).into_uuid();
            let text = uuid.to_string();
            self.lti.push(LtiKey { uuid, text });
            let aid = format!("aid_{:032x}", jts.u128(..));
            self.jts
                .push(JtsKey::new(aid, StateProof::generate().as_str()));
            self.logins.push(LoginKey {
                id: format!("login-{:032x}", logins.u128(..)).parse()?,
                version: Mutex::new(1),
            });
        }
        self.rows = rows;
        Ok(())
    }

    /// The value that locking a login session expects.
    pub(crate) fn refresh_token(&self) -> &str {
        let token = self.login_data.get("refresh_token");
        token
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }
}

fn launch_config(n: usize) -> Result<LaunchConfig> {
    Ok(LaunchConfig {
        iss: format!("https://lms-{n}.example").parse()?,
        client_id: format!("client-{n}").parse()?,
        deployment_id: format!("deployment-{n}").parse()?,
        auth_url: format!("https://lms-{n}.example/api/lti/authorize_redirect").parse()?,
        token_url: format!("https://lms-{n}.example/login/oauth2/token").parse()?,
        jwks_url: format!("https://lms-{n}.example/api/lti/security/jwks").parse()?,
    })
}

/// About 1 KB, as an OAuth client keeps it.
fn login_data() -> LoginData {
    let token = |name: &str| format!("{name}.{}", "a9Xk3".repeat(60));
    let data = json!({
        "access_token": token("access"),
        "refresh_token": token("refresh"),
        "token_type": "Bearer",
        "scope": "openid profile email offline_access",
        "expires_at": 1_893_459_600,
        "user": {"sub": "6f1c2a34", "name": "Ngaio Tamati-Brennan", "email": "ngaio@maplegrove.example"},
        "csrf": "0b9f2c1e70a4d6b8",
    });
    match data {
        serde_json::Value::Object(data) => data,
        _ => LoginData::new(),
    }
}

/// The columns of a JTS session that nothing depends on.
pub(crate) struct JtsDetails {
    pub(crate) prn: String,
    pub(crate) device_fingerprint: &'static str,
    pub(crate) user_agent: &'static str,
    pub(crate) ip_address: &'static str,
    pub(crate) metadata: &'static str,
}

impl JtsDetails {
    pub(crate) fn of(n: usize) -> Self {
        Self {
            prn: format!("user-{n}@maplegrove.example"),
            device_fingerprint: "fp-7a31bb0c9e2d4f68",
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ip_address: "2001:db8::8a2e:370:7334",
            metadata: r#"{"amr":["pwd","otp"]}"#,
        }
    }

    /// The same as a session to create.
    #[cfg(feature = "dynamo")]
    pub(crate) fn session(self) -> Result<store_core::NewJtsSession> {
        Ok(store_core::NewJtsSession {
            device_fingerprint: Some(self.device_fingerprint.parse()?),
            user_agent: Some(self.user_agent.parse()?),
            ip_address: Some(self.ip_address.parse()?),
            metadata: Some(store_core::Json::parse(self.metadata)?),
            ..store_core::NewJtsSession::of(self.prn.parse()?)
        })
    }
}

/// What one task does next. Tasks read any row, and change only rows of their own.
pub(crate) struct Turn {
    pub(crate) world: Arc<World>,
    pub(crate) rng: fastrand::Rng,
    task: usize,
    tasks: usize,
    /// A session to add: each time under a new id.
    pub(crate) lti_session: LtiSession,
    /// A session to save: each time as another.
    pub(crate) login: LoginSession,
}

impl Turn {
    pub(crate) fn new(world: &Arc<World>, task: usize, tasks: usize) -> Self {
        Self {
            rng: fastrand::Rng::new(),
            task,
            tasks,
            lti_session: world.lti_session.clone(),
            login: LoginSession {
                id: LoginSessionId::generate(),
                data: world.login_data.clone(),
                expires_at: Timestamp::MAX,
                version: 0,
            },
            world: Arc::clone(world),
        }
    }

    pub(crate) fn any(&mut self) -> usize {
        self.rng.usize(0..self.world.rows)
    }

    /// A row that no other task has.
    pub(crate) fn own(&mut self) -> usize {
        let each = (self.world.rows / self.tasks).max(1);
        (self.rng.usize(0..each) * self.tasks + self.task).min(self.world.rows - 1)
    }

    pub(crate) fn launch_config(&mut self) -> usize {
        self.rng.usize(0..self.world.launch_configs.len())
    }

    pub(crate) fn new_uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid()
    }

    pub(crate) fn new_nonce(&mut self) -> String {
        format!("n-{:032x}", self.rng.u128(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lti_session_is_2_5_kilobytes() {
        let world = World::new(1).unwrap();
        let length = world.lti_json.len();
        assert!((2_400..=2_600).contains(&length), "{length}");
    }

    #[test]
    fn a_world_grows() {
        let mut small = World::new(2).unwrap();
        small.grow(3).unwrap();
        let large = World::new(3).unwrap();
        for n in 0..3 {
            assert_eq!(small.lti[n].uuid, large.lti[n].uuid);
            assert_eq!(small.jts[n].aid, large.jts[n].aid);
            assert_eq!(small.logins[n].id, large.logins[n].id);
        }
    }

    #[test]
    fn tasks_change_rows_of_their_own() {
        let world = Arc::new(World::new(100).unwrap());
        for task in 0..16 {
            let mut turn = Turn::new(&world, task, 16);
            for _ in 0..100 {
                assert_eq!(turn.own() % 16, task);
            }
        }
    }
}
