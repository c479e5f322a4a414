//! Which addresses are not on the public internet. A pure table; never resolves or connects.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `0.0.0.0/8` (RFC 1122, section 3.2.1.3) and `::` (RFC 4291).
    Unspecified,
    /// This machine (RFC 1122, RFC 4291).
    Loopback,
    /// A private network (RFC 1918) or its IPv6 form, unique local (RFC 4193).
    Private,
    /// Between a provider and its customers (RFC 6598).
    SharedAddressSpace,
    /// One network segment (RFC 3927, RFC 4291); cloud metadata services are here.
    LinkLocal,
    /// A platform's own service at an address that looks public.
    PlatformService,
    /// For documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// For benchmarks (RFC 2544, RFC 5180).
    Benchmarking,
    /// For protocols, not for hosts (RFC 6890).
    ProtocolAssignment,
    /// To many hosts at once (RFC 5771, RFC 4291).
    Multicast,
    /// Reserved for the future, and broadcast (RFC 1112).
    Reserved,
    /// An IPv4 address inside an IPv6 one: NAT64, 6to4, Teredo, ISATAP, or the old compatible
    /// form. The tunnel's end decides where it goes, so that nobody here can check it.
    Tunnel,
    /// IPv6 outside `2000::/3`, the only range given out so far (RFC 4291).
    NotGlobalUnicast,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified address",
            Self::Loopback => "loopback address",
            Self::Private => "private network",
            Self::SharedAddressSpace => "carrier's shared address space",
            Self::LinkLocal => "link-local address",
            Self::PlatformService => "cloud platform service",
            Self::Documentation => "documentation address",
            Self::Benchmarking => "benchmarking network",
            Self::ProtocolAssignment => "protocol assignment",
            Self::Multicast => "multicast address",
            Self::Reserved => "reserved address",
            Self::Tunnel => "IPv4 address embedded in IPv6",
            Self::NotGlobalUnicast => "not a global unicast address",
        })
    }
}

/// Address, prefix length in bits, reason. IANA special-purpose registry for IPv4 (RFC 6890 and
/// updates), and the wire server of Azure.
const V4: &[(Ipv4Addr, u32, Reason)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, Reason::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Reason::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Reason::SharedAddressSpace),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Reason::Loopback),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Reason::PlatformService),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Reason::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Reason::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reason::ProtocolAssignment),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Reason::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reason::Tunnel),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Reason::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Reason::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Reason::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Reason::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Reason::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Reason::Reserved),
];

/// As [`V4`], for IPv6 (RFC 6890, RFC 8215, RFC 9602, RFC 9637). First match wins.
const V6: &[(Ipv6Addr, u32, Reason)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, Reason::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Reason::Loopback),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, Reason::Tunnel),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, Reason::Tunnel),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Reason::Tunnel),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, Reason::Tunnel),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, Reason::Benchmarking),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reason::ProtocolAssignment),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Reason::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Reason::Tunnel),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Reason::Documentation),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Reason::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Reason::LinkLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Reason::Multicast),
];

/// Why `ip` must not be connected to, or None if it is public.
pub fn forbidden(ip: IpAddr) -> Option<Reason> {
    // `::ffff:127.0.0.1` reaches the same socket as `127.0.0.1`.
    match ip.to_canonical() {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<Reason> {
    V4.iter()
        .find(|(network, bits, _)| (ip.to_bits() ^ network.to_bits()).leading_zeros() >= *bits)
        .map(|(_, _, reason)| *reason)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<Reason> {
    let listed = V6
        .iter()
        .find(|(network, bits, _)| (ip.to_bits() ^ network.to_bits()).leading_zeros() >= *bits)
        .map(|(_, _, reason)| *reason);
    if listed.is_some() {
        return listed;
    }
    if ip.segments()[0] & 0xe000 != 0x2000 {
        return Some(Reason::NotGlobalUnicast);
    }
    // ISATAP: interface identifier `0:5efe:a.b.c.d`, or `200:5efe:` for a unique one (RFC 5214).
    let [_, _, _, _, high, low, _, _] = ip.segments();
    (low == 0x5efe && matches!(high, 0 | 0x200)).then_some(Reason::Tunnel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<Reason> {
        forbidden(text.parse().unwrap())
    }

    /// First and last address of every range, and the neighbours outside it.
    #[test]
    fn every_ipv4_range_ends_where_it_should() {
        let table = [
            ("0.0.0.0", "0.255.255.255", Reason::Unspecified),
            ("10.0.0.0", "10.255.255.255", Reason::Private),
            ("100.64.0.0", "100.127.255.255", Reason::SharedAddressSpace),
            ("127.0.0.0", "127.255.255.255", Reason::Loopback),
            ("168.63.129.16", "168.63.129.16", Reason::PlatformService),
            ("169.254.0.0", "169.254.255.255", Reason::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Reason::Private),
            ("192.0.0.0", "192.0.0.255", Reason::ProtocolAssignment),
            ("192.0.2.0", "192.0.2.255", Reason::Documentation),
            ("192.88.99.0", "192.88.99.255", Reason::Tunnel),
            ("192.168.0.0", "192.168.255.255", Reason::Private),
            ("198.18.0.0", "198.19.255.255", Reason::Benchmarking),
            ("198.51.100.0", "198.51.100.255", Reason::Documentation),
            ("203.0.113.0", "203.0.113.255", Reason::Documentation),
            ("224.0.0.0", "239.255.255.255", Reason::Multicast),
            ("240.0.0.0", "255.255.255.255", Reason::Reserved),
        ];
        for (first, last, expected) in table {
            assert_eq!(reason(first), Some(expected), "{first}");
            assert_eq!(reason(last), Some(expected), "{last}");
            let before = first.parse::<Ipv4Addr>().unwrap().to_bits().checked_sub(1);
            let after = last.parse::<Ipv4Addr>().unwrap().to_bits().checked_add(1);
            for outside in [before, after].into_iter().flatten() {
                let outside = Ipv4Addr::from_bits(outside);
                assert_ne!(forbidden_v4(outside), Some(expected), "{outside}");
            }
        }
    }

    #[test]
    fn the_public_internet_is_free() {
        let table = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2003::1",
            "2a00:1450:4001:80b::200e",
            "3ffe::1",
            "2a00::5efe:1:7f00:1",
        ];
        for address in table {
            assert_eq!(reason(address), None, "{address}");
        }
    }

    #[test]
    fn no_ipv6_form_leads_inside() {
        let table = [
            ("::", Reason::Unspecified),
            ("::1", Reason::Loopback),
            ("::ffff:127.0.0.1", Reason::Loopback),
            ("::ffff:7f00:1", Reason::Loopback),
            ("::ffff:10.1.2.3", Reason::Private),
            ("::ffff:169.254.169.254", Reason::LinkLocal),
            ("::ffff:0.0.0.0", Reason::Unspecified),
            ("::127.0.0.1", Reason::Tunnel),
            ("::8.8.8.8", Reason::Tunnel),
            ("::ffff:0:127.0.0.1", Reason::NotGlobalUnicast),
            ("64:ff9b::127.0.0.1", Reason::Tunnel),
            ("64:ff9b::8.8.8.8", Reason::Tunnel),
            ("64:ff9b:1::10.0.0.1", Reason::Tunnel),
            ("100::1", Reason::NotGlobalUnicast),
            ("100:0:0:1::1", Reason::NotGlobalUnicast),
            ("2001::1", Reason::Tunnel),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Reason::Tunnel),
            ("2001:2::1", Reason::Benchmarking),
            ("2001:10::1", Reason::ProtocolAssignment),
            ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::ProtocolAssignment),
            ("2001:db8::1", Reason::Documentation),
            ("2002:7f00:1::1", Reason::Tunnel),
            ("2002:808:808::1", Reason::Tunnel),
            ("2a00::5efe:127.0.0.1", Reason::Tunnel),
            ("2a00::200:5efe:10.0.0.1", Reason::Tunnel),
            ("3fff::1", Reason::Documentation),
            ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Documentation),
            ("4000::1", Reason::NotGlobalUnicast),
            ("5f00::1", Reason::NotGlobalUnicast),
            ("fc00::1", Reason::Private),
            ("fd00:ec2::254", Reason::Private),
            ("fe80::1", Reason::LinkLocal),
            ("fe80::5efe:10.0.0.1", Reason::LinkLocal),
            ("fec0::1", Reason::NotGlobalUnicast),
            ("ff02::1", Reason::Multicast),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Multicast),
        ];
        for (address, expected) in table {
            assert_eq!(reason(address), Some(expected), "{address}");
        }
    }
}
