//! Which addresses a source may be read from: public ones, and those private ones that the Sensor allows by name.
//! It resolves nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Allows sources at private addresses: `true`, or a list of host names, addresses and ranges with commas between.
pub(crate) const PRIVATE_ADDRESSES_ANNOTATION: &str = "tiphys.dev/allow-private-addresses";

/// The private addresses that the sources of one Sensor may be read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PrivateAddresses {
    all: bool,
    hosts: Vec<String>,
    ranges: Vec<(IpAddr, u8)>,
}

/// How far an address may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Anybody's.
    Public,
    /// This machine's, this network's or this cluster's.
    Private,
    /// Where clouds hand out credentials, and what is no host at all.
    Never,
}

impl PrivateAddresses {
    /// As the annotations of a Sensor say.
    pub(crate) fn new(annotations: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut allowed = Self::default();
        let Some(text) = annotations.get(PRIVATE_ADDRESSES_ANNOTATION) else {
            return Ok(allowed);
        };
        match text.trim() {
            "" | "false" => return Ok(allowed),
            "true" => {
                allowed.all = true;
                return Ok(allowed);
            }
            _ => {}
        }
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            if let Some(range) = range(word) {
                allowed.ranges.push(range);
            } else if word.contains(['/', ':', '*', ' ', '@']) {
                return Err(format!(
                    "{PRIVATE_ADDRESSES_ANNOTATION} must be true, or a list of hosts, addresses and ranges as \
                     \"git.tools.svc, 10.0.0.0/8\", not {word:?}"
                ));
            } else {
                allowed.hosts.push(plain(word));
            }
        }
        Ok(allowed)
    }

    /// Every private address, for a host that the spec itself names.
    pub(super) fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Whether a host may be asked at this address, which its name stands for.
    pub(super) fn allows(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let named = |(net, bits): &(IpAddr, u8)| contains(*net, *bits, address);
        match class(address) {
            Class::Public => true,
            Class::Never => self.ranges.iter().any(named),
            Class::Private => {
                self.all || self.hosts.contains(&plain(host)) || self.ranges.iter().any(named)
            }
        }
    }
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn range(word: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match word.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (word, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
        None => most,
    };
    Some((address, bits))
}

fn contains(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            let differ = u32::from(net) ^ u32::from(address);
            differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => {
            let differ = u128::from(net) ^ u128::from(address);
            differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, _] = address.octets();
    if address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_unspecified()
    {
        return Class::Never;
    }
    let private = address.is_private()
        || address.is_loopback()
        || address.is_documentation()
        || a == 0
        || a >= 240
        // Behind a carrier's own translation, protocol assignments, and benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (18..20).contains(&b));
    if private {
        Class::Private
    } else {
        Class::Public
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let [a, b, .., y, z] = address.segments();
    // Where Amazon's machines ask for their credentials.
    let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    if address.is_unicast_link_local()
        || address.is_multicast()
        || address.is_unspecified()
        || address == metadata
    {
        return Class::Never;
    }
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        class_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // Addresses that stand for one of version 4 are as good as that one.
        (0x64, 0xff9b) => inner(y, z),
        (0x2002, _) => {
            let [_, high, low, ..] = address.segments();
            inner(high, low)
        }
        // Teredo, documentation, and everything that is not handed out for the public.
        (0x2001, 0 | 0xdb8) => Class::Private,
        _ if (0x2000..0x4000).contains(&a) => Class::Public,
        _ => Class::Private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(annotation: Option<&str>) -> PrivateAddresses {
        let annotations = annotation
            .map(|text| (PRIVATE_ADDRESSES_ANNOTATION.to_owned(), text.to_owned()))
            .into_iter()
            .collect();
        PrivateAddresses::new(&annotations).unwrap()
    }

    #[test]
    fn without_a_word_only_public_addresses_are_allowed() {
        let none = allowed(None);
        let all = allowed(Some("true"));
        // Address, allowed by itself, allowed with `true`.
        for (address, alone, with_true) in [
            ("1.1.1.1", true, true),
            ("140.82.121.3", true, true),
            ("2606:4700::1111", true, true),
            ("127.0.0.1", false, true),
            ("127.8.8.8", false, true),
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("172.32.0.1", true, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("100.128.0.1", true, true),
            ("198.18.0.1", false, true),
            ("192.0.2.1", false, true),
            ("0.0.0.1", false, true),
            ("240.0.0.1", false, true),
            ("::1", false, true),
            ("fc00::1", false, true),
            ("fd12::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("::ffff:8.8.8.8", true, true),
            ("64:ff9b::7f00:1", false, true),
            ("64:ff9b::808:808", true, true),
            ("2002:7f00:1::", false, true),
            ("2001:db8::1", false, true),
            // The metadata of clouds, and what is no host.
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("ff02::1", false, false),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(none.allows("host", ip), alone, "{address}");
            assert_eq!(all.allows("host", ip), with_true, "{address} with true");
        }
    }

    #[test]
    fn hosts_addresses_and_ranges_open_what_they_name() {
        let some = allowed(Some(
            "Git.Tools.svc, 10.0.0.0/8,192.168.1.7 , 169.254.169.254, fd00::/8",
        ));
        for (host, address, expected) in [
            ("git.tools.svc", "172.16.0.1", true),
            ("git.tools.svc.", "127.0.0.1", true),
            ("other.tools.svc", "172.16.0.1", false),
            ("git.tools.svc", "169.254.0.1", false),
            ("x", "10.9.9.9", true),
            ("x", "11.9.9.9", true),
            ("x", "192.168.1.7", true),
            ("x", "192.168.1.8", false),
            ("x", "169.254.169.254", true),
            ("x", "fd12::1", true),
            ("x", "fc12::1", false),
        ] {
            assert_eq!(
                some.allows(host, address.parse().unwrap()),
                expected,
                "{host} {address}"
            );
        }
        assert!(allowed(Some("0.0.0.0/0")).allows("x", "10.0.0.1".parse().unwrap()));
        assert!(!allowed(Some("false")).allows("x", "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["10.0.0.0/33", "http://host", "host:80", "a b", "*.svc"] {
            let annotations =
                BTreeMap::from([(PRIVATE_ADDRESSES_ANNOTATION.to_owned(), text.to_owned())]);
            let said = PrivateAddresses::new(&annotations).unwrap_err();
            assert!(said.contains("must be true, or a list"), "{said}");
        }
    }
}
