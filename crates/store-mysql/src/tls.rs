//! TLS by rustls, with MySQL's meanings of `ssl-mode`.

use mysql_async::SslOpts;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use store_core::{Error, ErrorKind, Result};

use crate::config::{MySqlConfig, SslCa, SslMode};

/// A host name that no certificate is made for. The driver skips the check of the name if the text of
/// rustls's error contains this word. That was the name of the error once; rustls has since put the
/// expected host's name into the text instead, so that asking for this host keeps the check skipped.
const ANY_NAME: &str = "NotValidForName";

/// The driver's options for what a configuration asks, or `None` for no TLS.
pub(crate) fn options(config: &MySqlConfig) -> Result<Option<SslOpts>> {
    if config.ssl_mode == SslMode::Disabled || config.driver.socket().is_some() {
        return Ok(None);
    }
    // The driver takes the process's provider, and rustls can't choose one by itself where an
    // application's crates bring several. One that is installed already stays.
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
    let options = SslOpts::default().with_disable_built_in_roots(true);
    Ok(Some(match config.ssl_mode {
        SslMode::VerifyIdentity => {
            options.with_root_certs(roots(&config.ssl_ca)?.into_iter().map(Into::into).collect())
        }
        SslMode::VerifyCa => options
            .with_root_certs(roots(&config.ssl_ca)?.into_iter().map(Into::into).collect())
            .with_danger_skip_domain_validation(true)
            .with_danger_tls_hostname_override(Some(ANY_NAME)),
        // Verifies the handshake's signatures all the same. It wants roots, but does not ask them.
        SslMode::Disabled | SslMode::Preferred | SslMode::Required => options
            .with_disable_built_in_roots(false)
            .with_danger_accept_invalid_certs(true),
    }))
}

/// The roots in DER.
fn roots(source: &SslCa) -> Result<Vec<Vec<u8>>> {
    let roots: Vec<CertificateDer<'static>> = match source {
        SslCa::File(path) => {
            let shown = path.display();
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<std::result::Result<_, _>>);
            certificates
                .map_err(|error| unusable(format!("ssl-ca {shown} can't be read: {error}")))?
        }
        SslCa::System => {
            let found = rustls_native_certs::load_native_certs().certs.into_iter();
            // The driver fails on the first that rustls can't use.
            let usable = |root: &CertificateDer<'static>| {
                RootCertStore::empty()
                    .add(root.clone().into_owned())
                    .is_ok()
            };
            found.filter(usable).collect()
        }
    };
    if roots.is_empty() {
        return Err(unusable(match source {
            SslCa::File(path) => format!("ssl-ca {} holds no certificate", path.display()),
            SslCa::System => "the operating system has no root certificates: install them, or name a PEM file with ssl-ca".to_owned(),
        }));
    }
    Ok(roots.iter().map(|root| root.to_vec()).collect())
}

fn unusable(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
