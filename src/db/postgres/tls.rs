//! TLS as libpq's `sslmode` means it: when it is asked for, and whom it trusts.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// How much TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    /// Never.
    Disable,
    /// Only where the server refuses a plain connection.
    Allow,
    /// Unless the server has none.
    Prefer,
    /// Always; the certificate is verified only where a root certificate is given.
    Require,
    /// Always, by a certificate of a trusted authority.
    VerifyCa,
    /// And it names the host.
    VerifyFull,
}

impl SslMode {
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

/// The mode and the files.
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    /// `system`, or a file.
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// Made by the first connection, so that the files are read once for a pool.
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl TlsSettings {
    pub(super) fn new(
        mode: SslMode,
        root: Option<PathBuf>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Self {
        Self { mode, root, certificate, key, config: OnceLock::new() }
    }

    /// What rustls needs, or why it cannot be had.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.build().map(Arc::new)).clone()
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(self.trusted()?, self.mode == SslMode::VerifyFull, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = read_certificates(certificate)?;
                builder.with_client_auth_cert(chain, read_key(key)?).map_err(|error| {
                    format!("the client certificate {} cannot be used: {error}", certificate.display())
                })
            }
            (Some(certificate), None) => {
                Err(format!("the client certificate {} has no key (set sslkey)", certificate.display()))
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }

    /// The certificates that are trusted; `None` trusts every one.
    fn trusted(&self) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
        match &self.root {
            Some(path) if path == Path::new("system") => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    return Err("the system has no root certificates (set sslrootcert to a file)".to_owned());
                }
                Ok(Some(found.certs))
            }
            Some(path) => read_certificates(path).map(Some),
            None if self.mode >= SslMode::VerifyCa => Err(
                "sslmode verify-ca and verify-full need a root certificate (set sslrootcert to its file or to `system`, \
                 or put it into ~/.postgresql/root.crt)"
                    .to_owned(),
            ),
            None => Ok(None),
        }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("cannot read the certificate {}: {error}", path.display()))?;
    if certificates.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", path.display()));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("cannot read the key {}: {error}", path.display()))?;
    // libpq's rule: private, or root's and readable by its group.
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    if metadata.mode() & 0o777 & !allowed != 0 {
        return Err(format!("other users may read the key {} (chmod 600 makes it private)", path.display()));
    }
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| format!("cannot read the key {}: {error}", path.display()))
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
