//! One side: a store, and how it spells the ids, proofs and tokens that have appeared.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::{Value, json};
use store_core::{
    Client, Deployment, JtsSession, LaunchConfig, LockOutcome, LockToken, LoginData, LoginSession,
    NewClient, NewDeployment, NewJtsSession, Renewal, Result, SessionPolicy, StateProofStatus,
    Store, Timestamp,
};

use super::steps::Step;
use crate::fixtures::{object, text};
use crate::world::World;

/// What has appeared of one sort, in order.
#[derive(Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The number under which this name first appeared.
    fn number(&mut self, name: &str) -> usize {
        match self.0.iter().position(|known| known == name) {
            Some(number) => number,
            None => {
                self.0.push(name.to_owned());
                self.0.len() - 1
            }
        }
    }

    pub(super) fn get(&self, handle: usize) -> &str {
        match self.0.len() {
            0 => "nothing has appeared",
            count => &self.0[handle % count],
        }
    }
}

pub(super) struct Side {
    pub(super) w: World,
    store: Arc<dyn Store>,
    /// Sequences share the store, so the keys of each are its own.
    run: u64,
    pub(super) clients: Names,
    pub(super) deployments: Names,
    aids: Names,
    proofs: Names,
    tokens: Names,
    /// The current proof of each session, as last seen.
    current: HashMap<String, String>,
    /// What each login session was when it was loaded last.
    loaded: HashMap<u64, LoginSession>,
}

/// What an outcome comes to, the same for both sides.
pub(super) fn told<T>(result: Result<T>, tell: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(outcome) => tell(outcome),
        Err(error) => json!({"error": error.kind().as_str()}),
    }
}

fn property(n: u8) -> &'static str {
    ["refresh_token", "user", "new"][usize::from(n)]
}

fn value(n: u8) -> Value {
    [json!("refresh-0"), json!("refresh-1"), json!(7)][usize::from(n)].clone()
}

impl Side {
    pub(super) fn new(w: &World, store: Arc<dyn Store>, run: u64) -> Self {
        Self {
            w: w.clone(),
            store,
            run,
            clients: Names::default(),
            deployments: Names::default(),
            aids: Names::default(),
            proofs: Names::default(),
            tokens: Names::default(),
            current: HashMap::new(),
            loaded: HashMap::new(),
        }
    }

    /// The number of a thing of this sequence.
    pub(super) fn key(&self, n: u64) -> u64 {
        1_000 * self.run + n
    }

    pub(super) fn new_client(&self, n: u64) -> NewClient {
        self.w.make().client(self.key(n))
    }

    pub(super) fn new_deployment(&self, n: u64) -> NewDeployment {
        if n == 0 {
            return self.w.make().default_deployment();
        }
        self.w.make().deployment(n)
    }

    pub(super) fn launch_config(&self, n: u64, deployment: u64, endpoints: u64) -> LaunchConfig {
        let endpoints = self.w.make().client(endpoints);
        LaunchConfig {
            deployment_id: self.new_deployment(deployment).deployment_id,
            auth_url: endpoints.auth_url,
            token_url: endpoints.token_url,
            jwks_url: endpoints.jwks_url,
            ..self.w.make().launch_config(self.key(n))
        }
    }

    fn principal(&self, n: u64) -> String {
        self.w.make().principal(self.key(n)).as_str().to_owned()
    }

    pub(super) fn client(&mut self, client: Client) -> Value {
        let mut told = json!(client);
        told["id"] = json!(self.clients.number(&client.id.to_string()));
        told
    }

    pub(super) fn deployment(&mut self, deployment: Deployment) -> Value {
        let mut told = json!(deployment);
        told["id"] = json!(self.deployments.number(&deployment.id.to_string()));
        told
    }

    fn session(&mut self, session: JtsSession) -> Value {
        let mut told = json!(session);
        let current = session.current_state_proof.as_str();
        told["aid"] = json!(self.aids.number(session.aid.as_str()));
        told["currentStateProof"] = json!(self.proofs.number(current));
        if let Some(previous) = &session.previous_state_proof {
            told["previousStateProof"] = json!(self.proofs.number(previous.as_str()));
        }
        self.current
            .insert(session.aid.as_str().to_owned(), current.to_owned());
        told
    }

    fn token(&self, handle: Option<usize>) -> Option<LockToken> {
        handle.map(|handle| text(self.tokens.get(handle)))
    }

    /// Does a step and tells what came of it.
    pub(super) async fn perform(&mut self, step: &Step) -> Value {
        let store = Arc::clone(&self.store);
        match step {
            Step::Advance(_) | Step::Rewind(_) => Value::Null,
            // How much is left to delete depends on what was reaped before.
            Step::Cleanup(kind) => told(store.delete_expired(*kind, 2).await, |_| Value::Null),
            Step::CreateJts { .. }
            | Step::GetJts(_)
            | Step::Validate(_)
            | Step::Rotate { .. }
            | Step::RotateCurrent(_)
            | Step::Renew(_)
            | Step::Touch(_)
            | Step::DeleteJts(_)
            | Step::DeletePrincipal(_)
            | Step::DeleteOldest(_)
            | Step::ListJts(_) => self.perform_jts(&*store, step).await,
            Step::CreateLogin { .. }
            | Step::LoadLogin(_)
            | Step::SaveLoaded { .. }
            | Step::Set { .. }
            | Step::Unset { .. }
            | Step::Extend { .. }
            | Step::Destroy(_)
            | Step::Lock { .. }
            | Step::Unlock { .. } => self.perform_login(&*store, step).await,
            _ => self.perform_lti(&*store, step).await,
        }
    }

    async fn perform_jts(&mut self, store: &dyn Store, step: &Step) -> Value {
        match *step {
            Step::CreateJts {
                prn,
                limit,
                lifetime,
            } => {
                let new = NewJtsSession {
                    lifetime: Some(lifetime),
                    ..NewJtsSession::of(text(self.principal(prn)))
                };
                let policy = match NonZeroU32::new(limit) {
                    None => SessionPolicy::AllowAll,
                    Some(NonZeroU32::MIN) => SessionPolicy::Single,
                    Some(limit) => SessionPolicy::Max(limit),
                };
                let result = store.create_jts_session(new, policy).await;
                told(result, |created| {
                    let revoked = created.revoked.iter();
                    let revoked: Vec<_> =
                        revoked.map(|aid| self.aids.number(aid.as_str())).collect();
                    json!({"session": self.session(created.session), "revoked": revoked})
                })
            }
            Step::GetJts(session) => {
                let result = store.get_jts_session(self.aids.get(session)).await;
                told(result, |found| {
                    json!(found.map(|session| self.session(session)))
                })
            }
            Step::Validate(proof) => {
                let result = store.validate_state_proof(self.proofs.get(proof)).await;
                told(result, |status| match status {
                    StateProofStatus::Valid(session) => json!({"valid": self.session(*session)}),
                    StateProofStatus::ValidWithinGrace(session) => {
                        json!({"grace": self.session(*session)})
                    }
                    StateProofStatus::Compromised { aid, prn } => {
                        json!({"compromised": self.aids.number(aid.as_str()), "prn": prn})
                    }
                    StateProofStatus::Unknown => json!("unknown"),
                })
            }
            Step::Rotate { session, proof } => {
                let (aid, seen) = (self.aids.get(session), self.proofs.get(proof));
                let result = store.rotate_state_proof(aid, seen).await;
                told(result, |session| self.session(session))
            }
            Step::RotateCurrent(session) => {
                let aid = self.aids.get(session);
                let seen = self.current.get(aid).map_or("", String::as_str);
                let result = store.rotate_state_proof(aid, seen).await;
                told(result, |session| self.session(session))
            }
            Step::Renew(proof) => {
                let result = store.renew_state_proof(self.proofs.get(proof)).await;
                told(result, |renewal| match renewal {
                    Renewal::Rotated(session) => json!({"rotated": self.session(*session)}),
                    Renewal::Converged(session) => json!({"converged": self.session(*session)}),
                    Renewal::Compromised { aid, prn } => {
                        json!({"compromised": self.aids.number(aid.as_str()), "prn": prn})
                    }
                    Renewal::Unknown => json!("unknown"),
                })
            }
            Step::Touch(session) => told(
                store.touch_jts_session(self.aids.get(session)).await,
                |live| json!(live),
            ),
            Step::DeleteJts(session) => told(
                store.delete_jts_session(self.aids.get(session)).await,
                |live| json!(live),
            ),
            Step::DeletePrincipal(prn) => {
                let result = store.delete_jts_sessions(&self.principal(prn)).await;
                told(result, |count| json!(count))
            }
            Step::DeleteOldest(prn) => {
                let result = store.delete_oldest_jts_session(&self.principal(prn)).await;
                told(result, |live| json!(live))
            }
            Step::ListJts(prn) => {
                let prn = self.principal(prn);
                let count = told(store.count_jts_sessions(&prn).await, |count| json!(count));
                told(store.list_jts_sessions(&prn).await, |sessions| {
                    let order: Vec<Timestamp> = sessions.iter().map(|s| s.last_active).collect();
                    // Those equally active are ordered by anchor ids, which differ between the sides.
                    let mut sessions: Vec<_> =
                        sessions.into_iter().map(|s| self.session(s)).collect();
                    sessions.sort_by_key(|session| session["aid"].as_u64());
                    json!({"order": order, "sessions": sessions, "count": count})
                })
            }
            _ => unreachable!("not a step of JTS sessions"),
        }
    }

    async fn perform_login(&mut self, store: &dyn Store, step: &Step) -> Value {
        let make = self.w.make().clone();
        let id = |n| make.login_id(1_000 * self.run + n);
        match *step {
            Step::CreateLogin { n, lifetime } => {
                let result = store
                    .create_login_session(&id(n), make.login_data(), lifetime)
                    .await;
                told(result, |session| json!(session))
            }
            Step::LoadLogin(n) => {
                let result = store.load_login_session(id(n).as_str()).await;
                told(result, |found| {
                    let told = json!(found);
                    found.map(|session| self.loaded.insert(n, session));
                    told
                })
            }
            Step::SaveLoaded { n, lifetime, fence } => {
                let Some(mut session) = self.loaded.get(&n).cloned() else {
                    return Value::Null;
                };
                session
                    .data
                    .insert("saved".to_owned(), json!(session.version));
                let fence = self.token(fence);
                let result = store
                    .save_login_session(&session, lifetime, fence.as_ref())
                    .await;
                told(result, |version| json!(version))
            }
            Step::Set {
                n,
                property: name,
                value: to,
                fence,
            } => {
                let properties: LoginData = object(json!({ property(name): value(to) }));
                let fence = self.token(fence);
                let id = id(n);
                let result = store
                    .set_login_properties(id.as_str(), properties, fence.as_ref())
                    .await;
                told(result, |version| json!(version))
            }
            Step::Unset {
                n,
                property: name,
                fence,
            } => {
                let (fence, id) = (self.token(fence), id(n));
                let names = [property(name)];
                let result = store
                    .unset_login_properties(id.as_str(), &names, fence.as_ref())
                    .await;
                told(result, |version| json!(version))
            }
            Step::Extend { n, lifetime } => {
                let result = store.extend_login_session(id(n).as_str(), lifetime).await;
                told(result, |expires_at| json!(expires_at))
            }
            Step::Destroy(n) => told(
                store.destroy_login_session(id(n).as_str()).await,
                |existed| json!(existed),
            ),
            Step::Lock { n, expected } => {
                let expected = ["refresh-0", "refresh-1", "7"][usize::from(expected)];
                let result = store.lock_login_session(id(n).as_str(), expected).await;
                told(result, |outcome| match outcome {
                    LockOutcome::Acquired {
                        token,
                        session,
                        until,
                    } => {
                        let token = self.tokens.number(token.as_str());
                        json!({"token": token, "session": session, "until": until})
                    }
                    LockOutcome::Held { until } => json!({"held": until}),
                    LockOutcome::Superseded { session } => json!({"superseded": session}),
                })
            }
            Step::Unlock { n, token } => {
                let token = self.token(Some(token));
                let token = token.expect("a handle was given");
                told(
                    store.unlock_login_session(id(n).as_str(), &token).await,
                    |()| Value::Null,
                )
            }
            _ => unreachable!("not a step of login sessions"),
        }
    }

    /// Deletes what does not expire.
    pub(super) async fn tidy_up(&self) {
        for client in &self.clients.0 {
            let _ = self.store.delete_client(client).await;
        }
    }
}
