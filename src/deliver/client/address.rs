//! Which addresses may be called. A directory entry must not make the gateway knock at its own
//! network (server-side request forgery), so the check is made on the address that is connected
//! to, after the name was resolved: a name that resolves differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `address` may be called.
#[must_use]
pub(crate) fn allowed(address: IpAddr, allow_private: bool) -> bool {
    if allow_private { is_unicast(address) } else { is_public(address) }
}

/// A single host at all: not unspecified, multicast or broadcast.
fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] != 0 && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_unicast(IpAddr::V4(v4)),
            None => !v6.is_unspecified() && !v6.is_multicast(),
        },
    }
}

/// A host of the public Internet, by the IANA registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, _, _)           // this network, private (RFC 1918), loopback
        | (100, 64..=127, _)           // carrier-grade NAT (RFC 6598)
        | (169, 254, _)                // link-local, with the clouds' metadata services
        | (172, 16..=31, _)            // private
        | (192, 168, _)                // private
        | (192, 0, 0 | 2)              // protocol assignments, documentation
        | (192, 88, 99)                // 6to4 relays (RFC 7526)
        | (198, 18 | 19, _)            // benchmarks (RFC 2544)
        | (198, 51, 100)               // documentation
        | (203, 0, 113)                // documentation
        | (224..=255, _, _) => true,   // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

/// Only 2000::/3 is handed out to hosts; what embeds an IPv4 address counts as that address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low), // IPv4-mapped
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64 (RFC 6052)
        [0x2002, high, low, ..] => embedded(high, low),            // 6to4
        // Teredo, benchmarks, ORCHID and other protocol assignments; documentation
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_refused_in_every_disguise() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff:1::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!allowed(bad.parse().unwrap(), false), "{bad}");
        }
    }

    #[test]
    fn hosts_of_the_internet_are_allowed() {
        for good in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.1",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(allowed(good.parse().unwrap(), false), "{good}");
        }
    }

    #[test]
    fn with_leave_private_hosts_may_be_called_but_never_groups() {
        for good in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1"] {
            assert!(allowed(good.parse().unwrap(), true), "{good}");
        }
        for bad in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:224.0.0.1"] {
            assert!(!allowed(bad.parse().unwrap(), true), "{bad}");
        }
    }
}
