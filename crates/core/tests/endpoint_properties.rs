//! Endpoint strings that nobody thought of: what prints parses to the same, what was quoted is read
//! back, and nothing panics.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ropewalk_core::endpoint::quote;
use ropewalk_core::{ClientEndpoint, ServerEndpoint};

#[path = "properties/endpoint.rs"]
mod endpoint;

use endpoint::round_trip;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn servers_survive_printing(text in server()) {
        round_trip::<ServerEndpoint>(&text).unwrap();
    }

    #[test]
    fn clients_survive_printing(text in client()) {
        round_trip::<ClientEndpoint>(&text).unwrap();
    }

    #[test]
    fn anything_is_parsed_or_refused(text in any::<String>()) {
        endpoint::check(text.as_bytes());
    }

    #[test]
    fn what_looks_like_an_endpoint_is_parsed_or_refused(pieces in prop::collection::vec(piece(), 0..16)) {
        endpoint::check(pieces.concat().as_bytes());
    }

    #[test]
    fn a_slip_of_the_pen_is_parsed_or_refused(
        text in prop_oneof![server(), client()],
        at in any::<prop::sample::Index>(),
        removed in 0..3_usize,
        inserted in piece(),
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let end = characters.len().min(at + removed);
        characters.splice(at..end, inserted.chars());
        endpoint::check(characters.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn what_was_quoted_is_read_back(first in field(), second in field(), value in field()) {
        let (a, b, c) = (quote(&first), quote(&second), quote(&value));
        for text in [format!("x:{a}:k={c}:{b}"), format!("ssh:{a}:{b}:K={c}/tcp:h:1")] {
            let endpoint = round_trip::<ClientEndpoint>(&text).unwrap();
            let description = endpoint.description().unwrap();
            let positionals: Vec<_> = description.positionals().collect();
            prop_assert_eq!(positionals, [first.as_str(), second.as_str()]);
            prop_assert_eq!(description.keyword("k"), Some(value.as_str()));
        }
    }
}

/// A server's string, as somebody may write it.
fn server() -> BoxedStrategy<String> {
    let address = prop_oneof![Just("*".to_owned()), Just("LocalHost".to_owned()), ip(),];
    let interface = address
        .clone()
        .prop_map(|address| format!("interface={address}"));
    let place = prop_oneof![
        any::<u16>().prop_map(|port| port.to_string()),
        (address, any::<u16>()).prop_map(|(address, port)| format!("{address}:{port}")),
        (interface.clone(), any::<u16>())
            .prop_map(|(interface, port)| format!("{interface}:{port}")),
        (interface, any::<u16>()).prop_map(|(interface, port)| format!("port={port}:{interface}")),
    ];
    let backlog = maybe((1..=2_147_483_647_u32).prop_map(|n| format!(":backlog={n}")));
    let keepalive = maybe((1..=32_767_u32).prop_map(|n| format!(":KeepAlive={n}")));
    let reuse = maybe(Just(":reuse-port".to_owned()));
    let mode = maybe((0..=0o777_u32).prop_map(|mode| format!(":mode={mode:04o}")));
    let cert = maybe(
        (
            field(),
            maybe(field().prop_map(|key| format!(":key={}", quote(&key)))),
        )
            .prop_map(|(cert, key)| format!(":cert={}{key}", quote(&cert))),
    );
    let certs = field().prop_map(|folder| format!(":certs={}", quote(&folder)));
    let clients = maybe(
        (field(), maybe(Just(":client-cert-optional".to_owned())))
            .prop_map(|(ca, optional)| format!(":client-ca={}{optional}", quote(&ca))),
    );
    let leaf = prop_oneof![
        (place.clone(), backlog.clone(), keepalive, reuse.clone())
            .prop_map(|(p, b, k, r)| format!("tcp:{p}{b}{k}{r}")),
        (
            place.clone(),
            prop_oneof![cert, certs],
            clients,
            reuse.clone()
        )
            .prop_map(|(p, c, ca, r)| format!("TLS:{p}{c}{ca}{r}")),
        (path(), mode.clone(), backlog).prop_map(|(p, m, b)| format!("unix:./{p}{m}{b}")),
        any::<u16>().prop_map(|number| format!("fd:{number}")),
        Just("stdio:".to_owned()),
        (
            field(),
            maybe(any::<u16>().prop_map(|n| format!(":index={n}")))
        )
            .prop_map(|(name, index)| format!("systemd:name={}{index}", quote(&name))),
        field().prop_map(|name| format!("mem:{}", quote(&name))),
        other("[a-wA-W]x[a-z0-9-]{0,4}"),
    ];
    let network = prop_oneof![
        ip().prop_filter("a zone", |ip| !ip.contains('%')),
        (any::<u8>(), 8..=32_u8).prop_map(|(a, bits)| format!("{a}.0.0.0\\/{bits}")),
    ];
    let from = prop::collection::vec(network, 1..3);
    let from = maybe(from.prop_map(|networks| format!(":from={}", networks.join(","))));
    let haproxy = from.prop_map(|from| format!("HAproxy{from}"));
    let datagrams = prop_oneof![
        (place, reuse).prop_map(|(p, r)| format!("udp:{p}{r}")),
        (path(), mode).prop_map(|(p, m)| format!("unix-datagram:./{p}{m}")),
        group_member(),
    ];
    prop_oneof![2 => datagrams, 8 => nested(leaf, prop_oneof![haproxy, other("ssh")])].boxed()
}

/// A server's string that joins multicast groups.
fn group_member() -> impl Strategy<Value = String> {
    let zone = || maybe("%[a-z0-9.]{1,15}");
    let v4 =
        || (224..240_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| format!("{a}.{b}.{c}.{d}"));
    let group = prop_oneof![
        (v4(), zone()).prop_map(|(group, zone)| format!("{group}{zone}")),
        v4().prop_map(|group| format!("192.0.2.1@{group}")),
        (any::<u16>(), zone()).prop_map(|(group, zone)| format!("[ff02::{group:x}{zone}]")),
    ];
    let hops = maybe(any::<u8>().prop_map(|hops| format!(":hops={hops}")));
    (prop::collection::vec(group, 1..4), hops, any::<u16>()).prop_map(|(groups, hops, port)| {
        format!(
            "udp:interface=*:{port}:join={}{hops}:No-Loop",
            groups.join(",")
        )
    })
}

/// A client's string, as somebody may write it.
fn client() -> BoxedStrategy<String> {
    let host = prop_oneof![
        "[a-zA-Z_]([a-z0-9_-]{0,8}[a-zA-Z])?(\\.[a-z]{1,8}){0,3}\\.?",
        ip(),
    ];
    let place = (host.clone(), 1..=u16::MAX).prop_flat_map(|(host, port)| {
        prop::sample::select(vec![
            format!("{host}:{port}"),
            format!("host={host}:{port}"),
            format!("port={port}:{host}"),
        ])
    });
    let timeout = maybe(
        (1..=86_399_999_u32)
            .prop_map(|millis| format!(":timeout={}.{:03}", millis / 1000, millis % 1000)),
    );
    let keepalive = maybe((1..=32_767_u32).prop_map(|n| format!(":keepalive={n}")));
    let bind_port = maybe((1..=u16::MAX).prop_map(|port| format!(":Bind-Port={port}")));
    let sni = maybe(
        host.prop_filter("a zone", |host| !host.contains('%'))
            .prop_map(|n| format!(":sni={n}")),
    );
    let trust = prop_oneof![
        Just(String::new()),
        Just(":Insecure-No-Verify".to_owned()),
        field().prop_map(|ca| format!(":ca={}", quote(&ca))),
    ];
    let cert = maybe(field().prop_map(|cert| format!(":cert={}", quote(&cert))));
    let words = prop::collection::vec(field(), 1..4).prop_filter_map("no command", |words| {
        shlex::try_join(words.iter().map(String::as_str)).ok()
    });
    let leaf = prop_oneof![
        (place.clone(), timeout.clone(), keepalive, bind_port)
            .prop_map(|(p, t, k, b)| format!("tcp:{p}{t}{k}{b}")),
        (place.clone(), timeout.clone(), trust, sni, cert)
            .prop_map(|(p, t, trust, sni, cert)| format!("tls:{p}{t}{trust}{sni}{cert}")),
        (path(), timeout.clone()).prop_map(|(p, t)| format!("unix:{p}{t}")),
        words.prop_map(|words| format!("exec:{words}")),
        any::<u16>().prop_map(|number| format!("fd:{number}")),
        field().prop_map(|name| format!("mem:{}", quote(&name))),
        other("[a-wA-W]x[a-z0-9-]{0,4}"),
    ];
    let version = maybe((1..=2).prop_map(|version| format!(":version={version}")));
    let haproxy = version.prop_map(|version| format!("haproxy{version}"));
    let datagrams = place.clone().prop_map(|p| format!("Udp:{p}"));
    let login = maybe(
        ("[a-z]{1,8}", field())
            .prop_map(|(user, file)| format!(":user={user}:password-file={}", quote(&file))),
    );
    let at = prop_oneof![
        place.clone(),
        path().prop_map(|path| format!("unix=.\\/{path}"))
    ];
    let resolve = maybe(Just(":resolve-locally".to_owned()));
    let proxy = ("socks5|Http-Connect", at, timeout.clone(), login, resolve).prop_map(
        |(scheme, at, timeout, login, resolve)| format!("{scheme}:{at}{timeout}{login}{resolve}"),
    );
    // What a proxy leads to: a host, through other proxies of hosts.
    let reached = prop_oneof![
        place.prop_map(|p| format!("tcp:{p}")),
        other("[a-wA-W]x[a-z0-9-]{0,4}"),
    ];
    prop_oneof![
        datagrams,
        nested(leaf, prop_oneof![haproxy.clone(), other("ssh")]),
        nested(
            nested(reached, haproxy),
            proxy.prop_filter("a host", |p| !p.contains("unix="))
        ),
    ]
    .boxed()
}

/// The leaf behind up to three jumps.
fn nested(
    leaf: impl Strategy<Value = String> + 'static,
    jumps: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    let jump = jumps.prop_map(|jump| jump + "/");
    (prop::collection::vec(jump, 0..=3), leaf)
        .prop_map(|(jumps, leaf)| jumps.concat() + &leaf)
        .boxed()
}

/// Any fields, behind a scheme of that pattern.
fn other(scheme: &'static str) -> BoxedStrategy<String> {
    let positional = field().prop_map(|text| quote(&text));
    let keywords = prop::collection::btree_map("[a-z][a-z0-9_-]{0,4}", field(), 0..3);
    let keywords = keywords.prop_map(|map| {
        map.iter()
            .map(|(name, value)| format!("{name}={}", quote(value)))
            .collect::<Vec<_>>()
    });
    let fields =
        (prop::collection::vec(positional, 0..3), keywords).prop_map(|(a, b)| [a, b].concat());
    (scheme, fields.prop_shuffle())
        .prop_map(|(scheme, fields)| format!("{scheme}:{}", fields.join(":")))
        .boxed()
}

/// The path of a socket, which has room for 107 bytes.
fn path() -> BoxedStrategy<String> {
    let path = "@?[ -~é]{1,48}".prop_filter("no name", |path| path != "@");
    path.prop_map(|path| quote(&path)).boxed()
}

/// What a field may hold, with more of what needs escapes than is usual.
fn field() -> BoxedStrategy<String> {
    prop_oneof![
        r"[\\:=/\[\]@%#' a-b]{1,12}",
        r"\PC{1,12}",
        r"(/[a-z.]{1,8}){1,3}",
        r"\[[0-9a-f:]{1,8}\]",
    ]
    .prop_filter("a line's end", |text| {
        !text.contains(['\u{2028}', '\u{2029}'])
    })
    .boxed()
}

/// The address of one host, in its usual spelling.
fn ip() -> BoxedStrategy<String> {
    let v4 = any::<Ipv4Addr>().prop_filter("a host", |ip| {
        !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
    });
    let v6 =
        any::<Ipv6Addr>().prop_filter("a host", |ip| !ip.is_unspecified() && !ip.is_multicast());
    prop_oneof![
        v4.prop_map(|ip| ip.to_string()),
        v6.clone().prop_map(|ip| format!("[{ip}]")),
        v6.prop_map(|ip| format!("[{ip}%eth0]")),
    ]
    .boxed()
}

fn maybe(strategy: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), strategy].boxed()
}

/// A scrap of an endpoint.
fn piece() -> BoxedStrategy<String> {
    prop_oneof![
        r"[\\:=/\[\]@%*]",
        "tcp:|tls:|udp:|unix:|exec:|mem:|fd:|stdio:|ssh:|haproxy/|socks5:",
        "[0-9]{1,5}|::1|127.0.0.1|localhost|a.test",
        "interface=|backlog=|reuse-port|timeout=|cert=|certs=|client-ca=|client-cert-optional|mode=|insecure-no-verify",
        r"\PC",
    ]
    .boxed()
}
