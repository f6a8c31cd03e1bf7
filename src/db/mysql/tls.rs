//! TLS as this family's `ssl-mode` means it: when it is asked for, and whom it trusts.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mysql_async::SslOpts;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::db::tls;

/// How much TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    /// Never.
    Disabled,
    /// Unless the server has none. Whoever the server is.
    Preferred,
    /// Always, whoever the server is.
    Required,
    /// Always, by a certificate of a trusted authority.
    VerifyCa,
    /// And it names the host.
    VerifyIdentity,
}

impl SslMode {
    /// By the names that the server's own tools know.
    const NAMES: [(&'static str, Self); 5] = [
        ("disabled", Self::Disabled),
        ("preferred", Self::Preferred),
        ("required", Self::Required),
        ("verify-ca", Self::VerifyCa),
        ("verify-identity", Self::VerifyIdentity),
    ];
    /// Names that PostgreSQL's users know.
    const OTHER_NAMES: [(&'static str, Self); 4] = [
        ("disable", Self::Disabled),
        ("prefer", Self::Preferred),
        ("require", Self::Required),
        ("verify-full", Self::VerifyIdentity),
    ];

    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase().replace('_', "-");
        let mut names = Self::NAMES.iter().chain(&Self::OTHER_NAMES);
        names.find(|(name, _)| *name == text).map(|(_, mode)| *mode)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// The mode and the authority.
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    /// `system`, or a file.
    pub(super) authority: Option<PathBuf>,
    /// Made by the first connection, so that the file is read once for a pool.
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl TlsSettings {
    pub(super) fn new(mode: SslMode, authority: Option<PathBuf>) -> Self {
        Self { mode, authority, config: OnceLock::new() }
    }

    /// What rustls needs, or why it cannot be had.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.build().map(Arc::new)).clone()
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let builder = tls::trusting(self.trusted()?, self.mode == SslMode::VerifyIdentity)?;
        Ok(builder.with_no_client_auth())
    }

    /// The same for the full client, which has a verifier of its own. It cannot check an authority without the name, so that `verify-ca`
    /// refuses there a certificate that does not name the host.
    pub(super) fn for_full_client(&self) -> Result<SslOpts, String> {
        let Some(trusted) = self.trusted()? else {
            // The built-in roots stay: its verifier cannot be made without any, even where it asks for none.
            return Ok(SslOpts::default().with_danger_accept_invalid_certs(true));
        };
        let roots = trusted.into_iter().map(|certificate| certificate.to_vec().into()).collect();
        Ok(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots))
    }

    /// The certificates that are trusted; `None` trusts every one.
    fn trusted(&self) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
        if self.mode < SslMode::VerifyCa {
            return Ok(None);
        }
        let path = self.authority.as_ref().ok_or(
            "ssl-mode verify-ca and verify-identity need the certificate of an authority (set ssl-ca to its file or to `system`)",
        )?;
        tls::roots(path, "ssl-ca").map(Some)
    }
}
