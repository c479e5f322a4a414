//! TLS: which certificate authorities are trusted. Never skips a check.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why the way out cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// The file of `[egress] extra_ca_file` is not usable.
    #[error("[egress] extra_ca_file {}: {reason}; give a PEM file with certificates", path.display())]
    ExtraCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Trusts the system's authorities, and those in `extra_ca_file`.
pub(crate) fn client_config(
    extra_ca_file: Option<&Path>,
) -> Result<ClientConfig, EgressSetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        tracing::warn!(
            errors = ?native.errors,
            "the system has no certificate authorities: calls to https will fail (install ca-certificates)"
        );
    }
    if let Some(path) = extra_ca_file {
        add_file(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), EgressSetupError> {
    let fail = |reason: String| EgressSetupError::ExtraCa { path: path.to_owned(), reason };
    let mut added = 0_usize;
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        roots.add(certificate).map_err(|error| fail(error.to_string()))?;
        added += 1;
    }
    if added == 0 {
        return Err(fail("it holds no certificate".to_owned()));
    }
    Ok(())
}
