//! Digests that say whether two runs or two loads were given the same. Knows bytes, not their meaning.

use sha2::{Digest, Sha256};

/// SHA-256 over named parts, hexadecimal. The names are roles (`queries.sql`), never paths: the same folder elsewhere is
/// the same workload. Each part goes in with its length, so that no two lists of parts are alike.
pub(super) fn fingerprint(parts: &[(&str, &[u8])]) -> String {
    let mut digest = Sha256::new();
    for (name, bytes) in parts {
        for part in [name.as_bytes(), bytes] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    let hex = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    digest.finalize().iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = fingerprint(&[("a", b"bc"), ("d", b"")]);
        assert_eq!(one.len(), 64);
        // The published digest of the empty message.
        assert_eq!(fingerprint(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(one, fingerprint(&[("a", b"bc"), ("d", b"")]));
        assert_ne!(one, fingerprint(&[("ab", b"c"), ("d", b"")]));
        assert_ne!(one, fingerprint(&[("a", b"bc")]));
    }
}
