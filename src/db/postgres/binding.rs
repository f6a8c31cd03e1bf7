//! Channel binding `tls-server-end-point` (RFC 5929): the hash of the server's certificate, which SCRAM weaves into the proof
//! of the password, so that nobody in the middle can pass it on.

use rustls::SupportedCipherSuite;
use rustls::crypto::hash::Hash;
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The hash, or nothing where the certificate is signed in a way for which the binding is not defined or which we cannot
/// hash.
pub(super) fn end_point(tls: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let certificate = tls.get_ref().1.peer_certificates()?.first()?;
    let algorithm = signature_algorithm(certificate)?;
    hash_for(algorithm).map(|hash| hash.hash(certificate).as_ref().to_vec())
}

/// The hash of the certificate's signature, or SHA-256 where that is MD5 or SHA-1.
fn hash_for(algorithm: &[u8]) -> Option<&'static dyn Hash> {
    const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA1: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    const ECDSA_SHA2: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let sha256 = || suite_hash(TLS13_AES_128_GCM_SHA256);
    let sha384 = || suite_hash(TLS13_AES_256_GCM_SHA384);
    if algorithm == ECDSA_SHA1 {
        return sha256();
    }
    let (kind, last) = algorithm.split_at(algorithm.len().checked_sub(1)?);
    match (kind, last) {
        // md5WithRSAEncryption, sha1WithRSAEncryption, sha256WithRSAEncryption; ecdsa-with-SHA256.
        (kind, [4 | 5 | 11]) if kind == RSA => sha256(),
        (kind, [2]) if kind == ECDSA_SHA2 => sha256(),
        (kind, [12]) if kind == RSA => sha384(),
        (kind, [3]) if kind == ECDSA_SHA2 => sha384(),
        _ => None,
    }
}

/// rustls lends the hash of a cipher suite, which spares a library of hashes.
fn suite_hash(suite: SupportedCipherSuite) -> Option<&'static dyn Hash> {
    suite.tls13().map(|suite| suite.common.hash_provider)
}

/// The object identifier of the algorithm that signed the certificate, as DER spells it.
/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, … }`
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, behind_body) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(behind_body, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of the DER element that `bytes` begin with, and what stands behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = bytes else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let digits = usize::from(length & 0x7f);
        if digits > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}
