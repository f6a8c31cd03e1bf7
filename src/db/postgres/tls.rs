//! TLS as libpq's `sslmode` means it.

use std::path::PathBuf;

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

/// The files and the mode.
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    /// `system`, or a file.
    pub(super) root: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl TlsSettings {
    pub(super) fn new(
        mode: SslMode,
        root: Option<PathBuf>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Self {
        Self { mode, root, certificate, key }
    }
}
