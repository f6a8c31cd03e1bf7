//! Whom a TLS connection trusts, for every engine: rustls with ring, and a verifier that can be asked for less than everything, since
//! users may want encryption without certificates. Knows no engine's names for it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The name that stands for the system's certificates where a file of certificates is asked for.
pub(super) const SYSTEM: &str = "system";

/// What a connection that trusts these certificates begins with; without any it trusts every server. `names_host` asks that the
/// server's certificate names the host.
pub(super) fn trusting(
    trusted: Option<Vec<CertificateDer<'static>>>,
    names_host: bool,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(trusted, names_host, &provider)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

/// The certificates of a file, or the system's where it is [`SYSTEM`]. `setting` is what the user sets to another file.
pub(super) fn roots(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if path != Path::new(SYSTEM) {
        return read_certificates(path);
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(format!("the system has no root certificates (set {setting} to a file)"));
    }
    Ok(found.certs)
}

/// The certificates of a file in PEM form.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read the certificate {}: {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(certificates)
}

/// Decides whether a server's certificate is good enough.
struct Verifier {
    trust: Option<Trust>,
    /// Whether the certificate must name the host.
    names_host: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

struct Trust {
    roots: RootCertStore,
    /// The same certificates as they are: OpenSSL, and so libpq, accepts a server certificate that is itself trusted, as the
    /// self-signed one of a small installation is.
    exact: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(
        trusted: Option<Vec<CertificateDer<'static>>>,
        names_host: bool,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let trust = trusted.map(|exact| {
            let mut roots = RootCertStore::empty();
            let (usable, _) = roots.add_parsable_certificates(exact.iter().cloned());
            if usable == 0 {
                return Err("none of the root certificates can be used".to_owned());
            }
            Ok(Trust { roots, exact })
        });
        Ok(Self {
            trust: trust.transpose()?,
            names_host,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("names_host", &self.names_host).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !trust.exact.iter().any(|trusted| trusted == end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &trust.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.names_host {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
