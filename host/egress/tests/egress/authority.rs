//! A certificate authority for tests of TLS, and a house that trusts it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tombolo_egress::EgressSettings;

use crate::support::{House, Names, Server, settings};

/// A certificate authority of the test's own, and what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server's side of TLS for `name`, with `protocols` offered in ALPN.
    pub fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// Settings that trust it, with `api.test` at `server` allowed; and who answers for the name.
    pub fn house(&self, server: &Server) -> House {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.pem).unwrap();
        let settings = EgressSettings {
            extra_ca_file: Some(file.path().to_owned()),
            ..settings(&[format!("api.test:{}", server.address.port())])
        };
        House::new(settings, Names::new(&[("api.test", &[&["127.0.0.1"]])]))
    }
}

/// The address of `server` under the name of its certificate.
pub fn named(server: &Server, path: &str) -> String {
    format!("https://api.test:{}{path}", server.address.port())
}
