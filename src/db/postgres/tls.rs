//! TLS as libpq's `sslmode` means it: when it is asked for, and whom it trusts.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::db::tls;

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
        let builder = tls::trusting(self.trusted()?, self.mode == SslMode::VerifyFull)?;
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = tls::read_certificates(certificate)?;
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
            Some(path) => tls::roots(path, "sslrootcert").map(Some),
            None if self.mode >= SslMode::VerifyCa => Err(
                "sslmode verify-ca and verify-full need a root certificate (set sslrootcert to its file or to `system`, \
                 or put it into ~/.postgresql/root.crt)"
                    .to_owned(),
            ),
            None => Ok(None),
        }
    }
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
