//! Certificates for the TLS of servers of our own.

use std::path::PathBuf;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::native::Home;

#[derive(Debug)]
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A private authority and a certificate that it signed for the loopback interface.
pub(super) fn certificates(home: &Home) -> Result<Certificates> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "auth-store test authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let certificate = server.signed_by(&key, &authority)?;
    Ok(Certificates {
        authority: home.write("ca.pem", &authority.pem(), true)?,
        certificate: home.write("server.pem", &certificate.pem(), true)?,
        key: home.write("server.key", &key.serialize_pem(), false)?,
    })
}
