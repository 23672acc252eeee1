//! TLS, from the server's side: a certificate and its key, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::settings::Settings;

/// What a server shows of itself.
pub(crate) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// What settings say; None: TLS is not spoken.
    pub(crate) fn new(settings: &Settings) -> Result<Option<Tls>, String> {
        let (Some(cert), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
            return Ok(None);
        };
        let config = RwLock::new(Arc::new(config(&cert, &key)?));
        Ok(Some(Tls { cert, key, config }))
    }

    /// What greets the next client.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The files that are looked at for changes.
    pub(crate) fn files(&self) -> [&Path; 2] {
        [&self.cert, &self.key]
    }

    /// Reads both files again; what is not right changes nothing.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let config = Arc::new(config(&self.cert, &self.key)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

fn config(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let file = key.display();
        match matches!(error, pem::Error::NoItemsFound) {
            true => format!("there is no private key (PEM) in {file}"),
            false => format!("the private key in {file} cannot be read: {}", why(&error)),
        }
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| refused(&error, cert, key))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, pem::Error>>();
    let chain = read().map_err(|error| {
        format!("the certificate in {} cannot be read: {}", path.display(), why(&error))
    })?;
    if chain.is_empty() {
        return Err(format!("there is no certificate (PEM) in {}", path.display()));
    }
    Ok(chain)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library adds kinds as it likes")]
fn why(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library adds kinds as it likes")]
fn refused(error: &rustls::Error, cert: &Path, key: &Path) -> String {
    let (cert, key) = (cert.display(), key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => format!(
            "the private key in {key} is not that of the certificate in {cert}: the chain begins \
             with the server's own certificate, and the key belongs to that one"
        ),
        error => format!("the certificate in {cert} and the key in {key} cannot be used: {error}"),
    }
}
