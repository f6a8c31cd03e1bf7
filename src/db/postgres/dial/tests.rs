//! Which ways are tried, in which order, and whom TLS trusts: against listeners that answer as servers do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::environment::Environment;
use super::*;

/// An authority, a certificate that it gave to `localhost`, and their files.
struct Certificates {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.signed_by(&key, &authority))
            .expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Self {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            authority,
            folder,
        };
        made.write("ca.crt", &made.authority.pem());
        made.write("server.crt", &certificate.pem());
        made.write("client.key", &key.serialize_pem());
        made
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// What a server needs; one that asks for a client's certificate accepts those of our authority.
    fn server(&self, asks_for_client: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions");
        let builder = if asks_for_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        builder
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a server's certificate")
    }
}

/// Listens on loopback; answers each request for TLS with `S` and a handshake, or with `N`. Tells its port.
async fn listen(tls: Option<ServerConfig>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut request = [0; 8];
                if tcp.read_exact(&mut request).await.is_err() {
                    return;
                }
                assert_eq!(request[4..], [0x04, 0xd2, 0x16, 0x2f]);
                let Some(acceptor) = acceptor else {
                    let _ = tcp.write_all(b"N").await;
                    let _ = tcp.read(&mut [0]).await;
                    return;
                };
                let _ = tcp.write_all(b"S").await;
                if let Ok(mut tls) = acceptor.accept(tcp).await {
                    let mut byte = [0];
                    let _ = tls.read(&mut byte).await;
                    let _ = tls.write_all(&byte).await;
                    let _ = tls.flush().await;
                }
            });
        }
    });
    port
}

fn settings(url: &str) -> Settings {
    Settings::from_url_in(url, &Environment::empty()).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Dials and lets everybody in.
async fn reach(url: &str) -> Result<Opened, ConnectError> {
    dial(&settings(url), |opened| async { Ok(opened) }).await
}

async fn failure(url: &str) -> String {
    match reach(url).await {
        Ok(_) => panic!("{url} was reached"),
        Err(error) => error.to_string(),
    }
}

/// Sends a byte and waits for its return: in TLS 1.3 a client learns only so whether the server takes its certificate.
async fn echo(url: &str) -> io::Result<()> {
    let mut opened = reach(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    opened.stream.write_all(b"x").await?;
    opened.stream.flush().await?;
    opened.stream.read_exact(&mut [0]).await.map(|_| ())
}

fn is_encrypted(opened: &Opened) -> bool {
    matches!(opened.stream, Stream::Tls(_))
}

fn refused(code: &str, message: &str) -> ConnectError {
    ConnectError::Refused {
        address: "test".to_owned(),
        code: SqlState::new(code),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn a_server_without_tls_is_taken_by_prefer_and_refused_by_require() {
    let port = listen(None).await;
    assert!(!is_encrypted(&reach(&format!("postgres://u@localhost:{port}/d")).await.expect("a plain way")));
    let message = failure(&format!("postgres://u@localhost:{port}/d?sslmode=require")).await;
    assert!(message.contains("does not offer it") && message.contains("sslmode=disable"), "{message}");
}

#[tokio::test]
async fn certificates_are_verified_as_the_mode_says() {
    let certificates = Certificates::new();
    let other = Certificates::new();
    let port = listen(Some(certificates.server(false))).await;
    let (ours, exact, foreign) =
        (certificates.file("ca.crt"), certificates.file("server.crt"), other.file("ca.crt"));

    for accepted in [
        format!("postgres://u@localhost:{port}/d"),
        format!("postgres://u@127.0.0.1:{port}/d?sslmode=require"),
        format!("postgres://u@localhost:{port}/d?sslmode=verify-full&sslrootcert={ours}"),
        format!("postgres://u@127.0.0.1:{port}/d?sslmode=verify-ca&sslrootcert={ours}"),
        format!("postgres://u@localhost:{port}/d?sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert={exact}"),
    ] {
        let opened = reach(&accepted).await.unwrap_or_else(|error| panic!("{accepted}: {error}"));
        assert!(is_encrypted(&opened), "{accepted}");
        let binding = opened.binding.expect("an ECDSA certificate with SHA-256 can be bound to");
        assert_eq!(binding.len(), 32);
    }
    for (refused, why) in [
        (
            format!("postgres://u@127.0.0.1:{port}/d?sslmode=verify-full&sslrootcert={ours}"),
            "not valid for name",
        ),
        (
            format!("postgres://u@localhost:{port}/d?sslmode=verify-ca&sslrootcert={foreign}"),
            "invalid peer certificate",
        ),
        // As libpq: a root certificate that is given is used, also where the mode asks for no verification.
        (
            format!("postgres://u@localhost:{port}/d?sslmode=require&sslrootcert={foreign}"),
            "invalid peer certificate",
        ),
        (format!("postgres://u@localhost:{port}/d?sslmode=verify-full"), "set sslrootcert"),
        (format!("postgres://u@localhost:{port}/d?sslmode=require&sslrootcert=/nowhere"), "/nowhere"),
    ] {
        let message = failure(&refused).await;
        assert!(message.contains(why), "{refused}: {message}");
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate_when_it_is_asked_for_it() {
    let certificates = Certificates::new();
    let port = listen(Some(certificates.server(true))).await;
    let (certificate, key) = (certificates.file("server.crt"), certificates.file("client.key"));
    let url = format!("postgres://u@localhost:{port}/d?sslmode=require&sslcert={certificate}");
    assert!(failure(&url).await.contains("set sslkey"));

    let url = format!("{url}&sslkey={key}");
    echo(&url).await.expect("a certificate of an authority that the server knows");
    let without = format!("postgres://u@localhost:{port}/d?sslmode=require");
    let rejected = echo(&without).await.expect_err("the server wants a certificate");
    assert!(rejected.to_string().contains("CertificateRequired"), "{rejected}");

    std::fs::set_permissions(Path::new(&key), std::fs::Permissions::from_mode(0o644)).expect("its mode");
    assert!(failure(&url).await.contains("chmod 600"));
}

#[tokio::test]
async fn prefer_and_allow_try_the_other_way_where_rules_differ() {
    let certificates = Certificates::new();
    let port = listen(Some(certificates.server(false))).await;
    for (mode, wants_tls, tries) in [
        ("prefer", true, vec![true]),
        ("prefer", false, vec![true, false]),
        ("allow", false, vec![false]),
        ("allow", true, vec![false, true]),
    ] {
        let seen = Mutex::new(Vec::new());
        let settings = settings(&format!("postgres://u@127.0.0.1:{port}/d?sslmode={mode}"));
        let entered = dial(&settings, |opened| {
            let encrypted = is_encrypted(&opened);
            seen.lock().expect("one thread").push(encrypted);
            async move {
                if encrypted == wants_tls { Ok(()) } else { Err(refused("28000", "no pg_hba.conf entry")) }
            }
        });
        entered.await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!(*seen.lock().expect("one thread"), tries, "{mode}");
    }

    let preferring = settings(&format!("postgres://u@127.0.0.1:{port}/d"));
    let wrong_password = dial(&preferring, |opened| async move {
        assert!(is_encrypted(&opened), "a wrong password is not tried again in plain text");
        Err::<(), _>(refused("28P01", "password authentication failed"))
    });
    assert_eq!(wrong_password.await.expect_err("refused").code(), "28P01");
}

#[tokio::test]
async fn hosts_are_tried_in_order_until_one_answers() {
    let port = listen(None).await;
    let closed = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        listener.local_addr().expect("its address").port()
    };
    let url = format!("postgres://u@127.0.0.1:{closed},127.0.0.1:{port}/d");
    assert_eq!(reach(&url).await.expect("the second").address, format!("127.0.0.1:{port}"));

    let error = reach(&format!("postgres://u@127.0.0.1:{closed}/d")).await.map(|_| ()).expect_err("closed");
    assert!(
        matches!(&error, ConnectError::Unreachable { address, .. } if *address == format!("127.0.0.1:{closed}"))
    );
    let missing = reach("postgres://u@/d?host=/nowhere").await.map(|_| ()).expect_err("no socket");
    assert!(
        matches!(&missing, ConnectError::Unreachable { address, .. } if address == "/nowhere/.s.PGSQL.5432")
    );

    let two = settings(&format!("postgres://u@127.0.0.1:{port},127.0.0.1:{closed}/d"));
    let refusing = dial(&two, |_| async { Err::<(), _>(refused("3D000", "no such database")) });
    assert_eq!(refusing.await.expect_err("a refusal ends the search").code(), "3D000");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let begun = std::time::Instant::now();
    let error = reach(&format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=1"))
        .await
        .map(|_| ())
        .expect_err("silence");
    assert!(matches!(error, ConnectError::TimedOut { seconds: 1, .. }), "{error}");
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn servers_are_told_apart_by_what_they_report() {
    let fits = |target: TargetSession, read_only: &str, standby: &str| {
        target.check("test", Some(read_only), Some(standby)).is_ok()
    };
    for (target, primary, read_only_primary, standby) in [
        (TargetSession::Any, true, true, true),
        (TargetSession::ReadWrite, true, false, false),
        (TargetSession::ReadOnly, false, true, true),
        (TargetSession::Primary, true, true, false),
        (TargetSession::Standby, false, false, true),
    ] {
        assert_eq!(fits(target, "off", "off"), primary, "{target:?}");
        assert_eq!(fits(target, "on", "off"), read_only_primary, "{target:?}");
        assert_eq!(fits(target, "off", "on"), standby, "{target:?}");
    }
}
