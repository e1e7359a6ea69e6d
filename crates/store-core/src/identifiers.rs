//! The kinds of text that the domains use, with their limits, and how tokens are made.
//!
//! | type | field | characters | secret |
//! |---|---|---|---|
//! | [`Name`] | `name` | 255 | |
//! | [`Description`] | `description` | 16,383 | |
//! | [`Issuer`] | `iss` | 1 to 255 | |
//! | [`ClientId`] | `client_id` | 1 to 255 | |
//! | [`DeploymentId`] | `deployment_id` | 1 to 255 | |
//! | [`EndpointUrl`] | `url` | 1 to 2,048, `http://` or `https://` | |
//! | [`Nonce`] | `nonce` | 1 to 255 | yes |
//! | [`Aid`] | `aid` | 1 to 64 | |
//! | [`Principal`] | `prn` | 1 to 256 | |
//! | [`StateProof`] | `state_proof` | 1 to 256 | yes |
//! | [`DeviceFingerprint`] | `device_fingerprint` | 128 | |
//! | [`IpAddress`] | `ip_address` | 45 | |
//! | [`UserAgent`] | `user_agent` | 16,383 | |
//! | [`LoginSessionId`] | `id` | 1 to 255 | yes |
//! | [`LockToken`] | `lock_token` | 1 to 64 | yes |
//!
//! The lengths are those of the originals' columns. 16,383 characters of four bytes are what a MySQL
//! `TEXT` column holds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::text::{PublicText, Text, TextKind};

/// The human-readable name of a platform or deployment.
pub type Name = Text<NameKind>;
/// What a deployment is used for.
pub type Description = Text<DescriptionKind>;
/// The platform's issuer identifier (`iss`), LTI 1.3 §3.1.2.
pub type Issuer = Text<IssuerKind>;
/// The OAuth 2.0 `client_id` that the platform gave the tool, LTI 1.3 §3.1.3.
pub type ClientId = Text<ClientIdKind>;
/// The platform's identifier of a deployment of the tool, LTI 1.3 §3.1.3.
pub type DeploymentId = Text<DeploymentIdKind>;
/// An endpoint of the platform.
pub type EndpointUrl = Text<EndpointUrlKind>;
/// A one-time value that ties an ID token to the login that asked for it, OpenID Connect Core §3.1.2.1.
pub type Nonce = Text<NonceKind>;
/// The anchor id of a JTS session: its stable identifier, held by tokens.
pub type Aid = Text<AidKind>;
/// The principal (`prn`) of a JTS session: whose it is.
pub type Principal = Text<PrincipalKind>;
/// The secret that proves possession of a JTS session and changes at every rotation.
pub type StateProof = Text<StateProofKind>;
/// A fingerprint of the device a JTS session was opened on.
pub type DeviceFingerprint = Text<DeviceFingerprintKind>;
/// An IP address in text form.
pub type IpAddress = Text<IpAddressKind>;
/// A `User-Agent` header.
pub type UserAgent = Text<UserAgentKind>;
/// The id of a login session, chosen by the caller. Whoever knows it has the session.
pub type LoginSessionId = Text<LoginSessionIdKind>;
/// The proof that one holds the lock of a login session.
pub type LockToken = Text<LockTokenKind>;

/// The kind of [`Name`].
#[derive(Debug)]
pub enum NameKind {}
impl PublicText for NameKind {}
impl TextKind for NameKind {
    const FIELD: &'static str = "name";
    const MIN_CHARS: usize = 0;
    const MAX_CHARS: usize = 255;
}

/// The kind of [`Description`].
#[derive(Debug)]
pub enum DescriptionKind {}
impl PublicText for DescriptionKind {}
impl TextKind for DescriptionKind {
    const FIELD: &'static str = "description";
    const MIN_CHARS: usize = 0;
    const MAX_CHARS: usize = 16_383;
}

/// The kind of [`Issuer`].
#[derive(Debug)]
pub enum IssuerKind {}
impl PublicText for IssuerKind {}
impl TextKind for IssuerKind {
    const FIELD: &'static str = "iss";
    const MAX_CHARS: usize = 255;
}

/// The kind of [`ClientId`].
#[derive(Debug)]
pub enum ClientIdKind {}
impl PublicText for ClientIdKind {}
impl TextKind for ClientIdKind {
    const FIELD: &'static str = "client_id";
    const MAX_CHARS: usize = 255;
}

/// The kind of [`DeploymentId`].
#[derive(Debug)]
pub enum DeploymentIdKind {}
impl PublicText for DeploymentIdKind {}
impl TextKind for DeploymentIdKind {
    const FIELD: &'static str = "deployment_id";
    const MAX_CHARS: usize = 255;
}

/// The kind of [`EndpointUrl`].
#[derive(Debug)]
pub enum EndpointUrlKind {}
impl PublicText for EndpointUrlKind {}
impl TextKind for EndpointUrlKind {
    const FIELD: &'static str = "url";
    const MAX_CHARS: usize = 2_048;
    fn check(text: &str) -> Result<(), &'static str> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(()),
            _ => Err("must be an absolute http or https URL"),
        }
    }
}

/// The kind of [`Nonce`].
#[derive(Debug)]
pub enum NonceKind {}
impl TextKind for NonceKind {
    const FIELD: &'static str = "nonce";
    const MAX_CHARS: usize = 255;
    const SECRET: bool = true;
}

/// The kind of [`Aid`].
#[derive(Debug)]
pub enum AidKind {}
impl PublicText for AidKind {}
impl TextKind for AidKind {
    const FIELD: &'static str = "aid";
    const MAX_CHARS: usize = 64;
}

/// The kind of [`Principal`].
#[derive(Debug)]
pub enum PrincipalKind {}
impl PublicText for PrincipalKind {}
impl TextKind for PrincipalKind {
    const FIELD: &'static str = "prn";
    const MAX_CHARS: usize = 256;
}

/// The kind of [`StateProof`].
#[derive(Debug)]
pub enum StateProofKind {}
impl TextKind for StateProofKind {
    const FIELD: &'static str = "state_proof";
    const MAX_CHARS: usize = 256;
    const SECRET: bool = true;
}

/// The kind of [`DeviceFingerprint`].
#[derive(Debug)]
pub enum DeviceFingerprintKind {}
impl PublicText for DeviceFingerprintKind {}
impl TextKind for DeviceFingerprintKind {
    const FIELD: &'static str = "device_fingerprint";
    const MIN_CHARS: usize = 0;
    const MAX_CHARS: usize = 128;
}

/// The kind of [`IpAddress`].
#[derive(Debug)]
pub enum IpAddressKind {}
impl PublicText for IpAddressKind {}
impl TextKind for IpAddressKind {
    const FIELD: &'static str = "ip_address";
    const MIN_CHARS: usize = 0;
    const MAX_CHARS: usize = 45;
}

/// The kind of [`UserAgent`].
#[derive(Debug)]
pub enum UserAgentKind {}
impl PublicText for UserAgentKind {}
impl TextKind for UserAgentKind {
    const FIELD: &'static str = "user_agent";
    const MIN_CHARS: usize = 0;
    const MAX_CHARS: usize = 16_383;
}

/// The kind of [`LoginSessionId`].
#[derive(Debug)]
pub enum LoginSessionIdKind {}
impl TextKind for LoginSessionIdKind {
    const FIELD: &'static str = "id";
    const MAX_CHARS: usize = 255;
    const SECRET: bool = true;
}

/// The kind of [`LockToken`].
#[derive(Debug)]
pub enum LockTokenKind {}
impl TextKind for LockTokenKind {
    const FIELD: &'static str = "lock_token";
    const MAX_CHARS: usize = 64;
    const SECRET: bool = true;
}

impl Aid {
    /// A new anchor id: `aid_` and 24 bytes of the operating system's randomness in base64url.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_stored(token::<24>("aid_"))
    }
}

impl StateProof {
    /// A new state proof: `sp_` and 48 bytes of the operating system's randomness in base64url.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_stored(token::<48>("sp_"))
    }
}

impl LockToken {
    /// A new lock token: `lk_` and 24 bytes of the operating system's randomness in base64url.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_stored(token::<24>("lk_"))
    }
}

impl LoginSessionId {
    /// A new login session id: `ls_` and 24 bytes of the operating system's randomness in base64url.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_stored(token::<24>("ls_"))
    }
}

fn token<const N: usize>(prefix: &str) -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source answers");
    let mut token = String::with_capacity(prefix.len() + N.div_ceil(3) * 4);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
    token
}

/// The id that `text` spells in the canonical form (36 characters, lower case), or `None`.
///
/// Other spellings of a UUID are refused, because ids compare as bytes: to a store that keeps them as
/// text they would be other ids.
///
/// ```
/// use store_core::parse_uuid;
///
/// assert!(parse_uuid("67e55044-10b1-426f-9247-bb680e5fe0c8").is_some());
/// assert!(parse_uuid("67E55044-10B1-426F-9247-BB680E5FE0C8").is_none());
/// assert!(parse_uuid("' OR 1=1 --").is_none());
/// ```
#[must_use]
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn limits_count_characters_not_bytes() {
        assert!(Issuer::new("🔑".repeat(255)).is_ok());
        let error = Issuer::new("🔑".repeat(256)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.field(), Some("iss"));
        assert!(error.to_string().contains("255"));
    }

    #[test]
    fn empty_and_nul_are_refused() {
        assert!(Nonce::new("").is_err());
        assert!(Nonce::new("a\0b").is_err());
        assert!(Name::new("").is_ok());
    }

    #[test]
    fn endpoints_are_absolute_urls() {
        assert!(EndpointUrl::new("https://lms.example/auth?a=b").is_ok());
        for bad in [
            "lms.example",
            "https://",
            "javascript:alert(1)",
            "https://a b",
        ] {
            assert!(EndpointUrl::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_have_the_promised_shape() {
        assert_eq!(Aid::generate().as_str().len(), 4 + 32);
        assert_eq!(StateProof::generate().as_str().len(), 3 + 64);
        assert!(StateProof::generate().as_str().starts_with("sp_"));
        assert_ne!(StateProof::generate(), StateProof::generate());
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let proof = StateProof::generate();
        assert!(!format!("{proof:?}").contains(&proof.as_str()[3..]));
    }
}
