//! A digest of settings. Pure.

/// FNV-1a with 64 bits: the same on every machine and in every version, which the standard library does not promise of its own.
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Adds a text and its end.
    pub fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Sixteen digits.
    pub fn show(&self) -> String {
        format!("{:016x}", self.0)
    }
}
