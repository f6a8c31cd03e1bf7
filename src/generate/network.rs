//! Addresses on a network, out of a range. Numbers and their spelling only (`core::net`): nothing here opens a connection.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io::Write;

use super::Stream;
use super::spec::{IpSpec, Refusal};

/// Addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    is_v6: bool,
    first: u128,
    /// The bits that differ, as ones.
    mask: u128,
}

impl Network {
    /// A private range, what a template makes of `{ip_address}`.
    pub(super) const PRIVATE: Self = Self { is_v6: false, first: 0x0A00_0000, mask: 0x00FF_FFFF };

    pub(super) fn new(spec: &IpSpec) -> Result<Self, Refusal> {
        let text = match (&spec.network, spec.version) {
            (Some(network), version) => {
                let is_v6 = network.contains(':');
                if version.is_some_and(|version| version != if is_v6 { 6 } else { 4 }) {
                    return Err(Refusal::new(
                        format!("`{network}` is not of that version"),
                        "`version` and `network` disagree",
                    )
                    .help("leave `version` out"));
                }
                network.as_str()
            }
            (None, None | Some(4)) => return Ok(Self::PRIVATE),
            (None, Some(6)) => "2001:db8::/32",
            (None, Some(version)) => {
                return Err(Refusal::new(
                    format!("`version` is {version}"),
                    "addresses are of version 4 or 6",
                ));
            }
        };
        Self::parse(text).ok_or_else(|| {
            Refusal::new(format!("`{text}` is not a network"), "an address and a number of bits is wanted")
                .help("write `10.0.0.0/8` or `2001:db8::/32`")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        let (is_v6, address, width): (bool, u128, u32) = match address.parse().ok()? {
            IpAddr::V4(address) => (false, u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (true, address.to_bits(), 128),
        };
        let varying = width.checked_sub(bits).filter(|_| bits > 0 || !is_v6)?;
        let mask = (1 << varying) - 1;
        Some(Self { is_v6, first: address & !mask, mask })
    }

    /// How many addresses it has, as far as anybody counts.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.mask).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn emit(&self, stream: &mut Stream, out: &mut Vec<u8>) {
        let bits = u128::from(stream.next_u64()) << 64 | u128::from(stream.next_u64());
        self.write(bits, out);
    }

    /// The address of that number.
    pub(super) fn nth(&self, number: u64, out: &mut Vec<u8>) {
        self.write(u128::from(number), out);
    }

    fn write(&self, bits: u128, out: &mut Vec<u8>) {
        let address = self.first | bits & self.mask;
        let written = if self.is_v6 {
            write!(out, "{}", Ipv6Addr::from_bits(address))
        } else {
            // An address of version 4 has 32 bits.
            write!(out, "{}", Ipv4Addr::from_bits(u32::try_from(address).unwrap_or(u32::MAX)))
        };
        debug_assert!(written.is_ok(), "memory takes every byte");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Key;
    use crate::units::Seed;

    fn network(text: &str) -> Result<Network, Refusal> {
        Network::new(&IpSpec { version: None, network: Some(text.to_owned()) })
    }

    #[test]
    fn addresses_lie_in_their_network() {
        let mut stream = Key::root(Seed(1)).at(0, 0);
        for (text, prefix, len) in [
            ("192.0.2.0/24", "192.0.2.", 256),
            ("2001:db8::/32", "2001:db8:", u64::MAX),
            ("0.0.0.0/0", "", 1 << 32),
        ] {
            let network = network(text).expect("a network");
            for _ in 0..100 {
                let mut out = vec![];
                network.emit(&mut stream, &mut out);
                let address = String::from_utf8(out).expect("ASCII");
                assert!(address.starts_with(prefix) && address.parse::<IpAddr>().is_ok(), "{address}");
            }
            assert_eq!(network.len(), len);
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "::/0", "x/8", "10.0.0.0/-1"] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
