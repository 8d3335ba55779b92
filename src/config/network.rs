//! Ranges of IP addresses as pg_hba.conf writes them: `10.0.0.0/8`, `::1/128`, or one address.

use std::net::IpAddr;

use crate::yaml::Format;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    first: IpAddr,
    bits: u32,
}

pub(super) const NETWORK: Format = Format {
    expected: "all, or addresses such as 10.0.0.0/8, 192.0.2.7 or ::1/128",
    pattern: "^(all|[0-9a-fA-F:.]+(/[0-9]{1,3})?)$",
    bare_number: false,
    holds: |text| text == "all" || Network::parse(text).is_some(),
};

impl Network {
    /// Reads a range; an address alone is a range of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().ok()?;
        let most = width(first);
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        (bits <= most).then_some(Self { first, bits })
    }

    /// Tells whether `address` is one of them; an IPv4 address that is written as IPv6 counts as IPv4.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let spare = width(self.first) - self.bits;
        let prefix = |address: IpAddr| number(address).checked_shr(spare).unwrap_or(0);
        self.first.is_ipv4() == address.is_ipv4() && prefix(self.first) == prefix(address)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_ends_where_its_bits_say() {
        assert!(holds("10.1.0.0/16", "10.1.255.255") && !holds("10.1.0.0/16", "10.2.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "127.0.0.1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1") && !holds("2001:db8::/33", "2001:db8:8000::1"));
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1") && !holds("::/0", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0/8", "db.example", "10.0.0.0/"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert!(Network::parse("10.0.0.0/32").is_some() && Network::parse("::/128").is_some());
    }
}
