//! TLS, from the client's side.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{BoxedStream, ClientError, ServerAddress};

/// Speaks TLS over a connection, with a server whose certificate is trusted.
pub(super) async fn connect(
    address: &ServerAddress,
    ca: Option<&Path>,
    tcp: TcpStream,
) -> Result<BoxedStream, ClientError> {
    let untrusted = |why: String| ClientError::Untrusted { address: address.clone(), why };
    let roots = roots(ca).map_err(untrusted)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (host, _) = address.socket();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| untrusted(format!("{host} is no name that a certificate could have")))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    Ok(Box::new(stream.map_err(|error| untrusted(error.to_string()))?))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        // What cannot be read of them is not trusted; that is all.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let wrong = |why: String| format!("the certificates in {} cannot be read: {why}", ca.display());
    let certificates =
        CertificateDer::pem_file_iter(ca).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("there are none in it".to_owned()));
    }
    Ok(roots)
}
