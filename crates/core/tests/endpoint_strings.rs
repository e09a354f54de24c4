//! Endpoint strings, good and bad: what they mean, and what is said about those that mean nothing.
//!
//! The tables are self-answering: a line that begins at the margin is a string, and the indented
//! line below it is the answer, `=` and the canonical form or `at`, the position and the complaint.
//! A new string needs only its line; `UPDATE_EXPECT=1` writes the answer.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use expect_test::{Expect, expect};
use ropewalk_core::endpoint::{MAX_JUMPS, MAX_LENGTH, ParseError, Problem};
use ropewalk_core::{ClientEndpoint, ServerEndpoint};

#[path = "properties/endpoint.rs"]
mod endpoint;

use endpoint::round_trip;

#[test]
fn server_tcp() {
    check::<ServerEndpoint>(&expect![[r#"
        tcp:8080
            = tcp:8080
        tcp:0
            = tcp:0
        tcp:65535
            = tcp:65535
        TCP:8080
            = tcp:8080
        Tcp:Port=8080
            = tcp:8080
        tcp:localhost:8080
            = tcp:8080
        tcp:8080:interface=LocalHost
            = tcp:8080
        tcp:8080:interface=*
            = tcp:8080:interface=*
        tcp:*:8080
            = tcp:8080:interface=*
        tcp:127.0.0.1:1143
            = tcp:127.0.0.1:1143
        tcp:1143:interface=127.0.0.1
            = tcp:127.0.0.1:1143
        tcp:interface=127.0.0.1:1143
            = tcp:127.0.0.1:1143
        tcp:interface=127.0.0.1:port=1143
            = tcp:127.0.0.1:1143
        tcp:127.0.0.1:port=1143
            = tcp:127.0.0.1:1143
        tcp:0.0.0.0:80
            = tcp:0.0.0.0:80
        tcp:[::]:80
            = tcp:[::]:80
        tcp:[::1]:8080
            = tcp:[::1]:8080
        tcp:8080:interface=[::1]
            = tcp:[::1]:8080
        tcp:8080:interface=\:\:1
            = tcp:[::1]:8080
        tcp:[0:0:0:0:0:0:0:1]:8080
            = tcp:[::1]:8080
        tcp:[fe80::1%eth0]:8080
            = tcp:[fe80::1%eth0]:8080
        tcp:80:backlog=5
            = tcp:80:backlog=5
        tcp:80:backlog=1024
            = tcp:80
        tcp:[::1]:80:REUSE-PORT:backlog=5
            = tcp:[::1]:80:backlog=5:reuse-port
        tcp:\8\0
            = tcp:80
        tcp:
            at 4: no port, expected tcp:[ADDRESS:]PORT
        tcp
            at 3: no colon, expected "tcp:" and its fields
        tcp:http
            at 4: bad port "http", expected a number from 0 to 65535
        tcp:65536
            at 4: bad port "65536", expected a number from 0 to 65535
        tcp:-1
            at 4: bad port "-1", expected a number from 0 to 65535
        tcp:+80
            at 4: bad port "+80", expected a number from 0 to 65535
        tcp:080
            at 4: bad port "080", expected a number from 0 to 65535
        tcp: 80
            at 4: bad port " 80", expected a number from 0 to 65535
        tcp:80:
            at 7: empty field, expected a value; the colons of an IPv6 address stand in brackets
        tcp::80
            at 4: empty field, expected a value; the colons of an IPv6 address stand in brackets
        tcp:80::backlog=5
            at 7: empty field, expected a value; the colons of an IPv6 address stand in brackets
        tcp:80:backlog
            at 7: unexpected field "backlog", expected tcp:[ADDRESS:]PORT[:backlog=…][:keepalive=…][:reuse-port]
        tcp:80:81
            at 7: unexpected field "81", expected tcp:[ADDRESS:]PORT[:backlog=…][:keepalive=…][:reuse-port]
        tcp:example.com:80
            at 4: bad interface "example.com", expected an IP address, localhost, or * for all interfaces
        tcp:example.com:notaport
            at 4: bad interface "example.com", expected an IP address, localhost, or * for all interfaces
        tcp:::1:8080
            at 4: empty field, expected a value; the colons of an IPv6 address stand in brackets
        tcp:127.0.0.1
            at 4: bad port "127.0.0.1", expected a number from 0 to 65535
        tcp:127.0.0.1:80:81
            at 17: unexpected field "81", expected tcp:[ADDRESS:]PORT[:backlog=…][:keepalive=…][:reuse-port]
        tcp:80:127.0.0.1
            at 7: unexpected field "127.0.0.1", expected tcp:[ADDRESS:]PORT[:backlog=…][:keepalive=…][:reuse-port]
        tcp:127.0.0.256:80
            at 4: bad interface "127.0.0.256", expected an IP address, localhost, or * for all interfaces
        tcp:127.0.0.1%eth0:80
            at 4: bad interface "127.0.0.1%eth0", expected an IP address, localhost, or * for all interfaces
        tcp:[127.0.0.1]:80
            at 4: bad interface "[127.0.0.1]", expected an IP address, localhost, or * for all interfaces
        tcp:[fe80::1%]:80
            at 4: bad interface "[fe80::1%]", expected an IP address, localhost, or * for all interfaces
        tcp:[fe80::1%eth/0]:80
            at 4: bad interface "[fe80::1%eth/0]", expected an IP address, localhost, or * for all interfaces
        tcp:[::1:80
            at 4: "[" without "]", expected it, or "\[" for a bracket that is none
        tcp:224.0.0.1:80
            at 4: bad interface "224.0.0.1", expected an IP address, localhost, or * for all interfaces
        tcp:80:bklog=5
            at 7: unknown keyword "bklog", expected one of interface, port, backlog, keepalive
        tcp:80:backlog=0
            at 15: bad backlog "0", expected a number from 1 to 2147483647
        tcp:80:backlog=5x
            at 15: bad backlog "5x", expected a number from 1 to 2147483647
        tcp:80:backlog=
            at 15: empty backlog, expected a value
        tcp:80:backlog=5:BACKLOG=6
            at 17: backlog given twice, expected it once
        tcp:80:interface=eth0
            at 17: bad interface "eth0", expected an IP address, localhost, or * for all interfaces
        tcp:127.0.0.1:80:interface=*
            at 14: interface given twice, expected it once, in its place or by its name
        tcp:80:port=81
            at 4: port given twice, expected it once, in its place or by its name
        tcp:80:=5
            at 7: empty keyword, expected letters, digits, - and _ before "="; a literal one is "\="
        tcp:80:back\log=5
            at 7: bad keyword "back\log", expected letters, digits, - and _ before "="; a literal one is "\="
        tcp:80:2fast=5
            at 7: bad keyword "2fast", expected letters, digits, - and _ before "="; a literal one is "\="
        tcp:80:reuse-port=true
            at 7: unknown keyword "reuse-port", expected the bare word reuse-port, without a value
        tcp:80:reuse-port:reuse-port
            at 18: reuse-port given twice, expected it once
        tcp:80\
            at 6: nothing behind "\", expected the character that it escapes
        tcp/80
            at 3: unexpected character "/", expected ":"; only socks5, http-connect, ssh, haproxy go before "/"
        tcp:80/tcp:81
            at 4: bad interface "80/tcp", expected an IP address, localhost, or * for all interfaces
    "#]]);
}

#[test]
fn client_tcp() {
    check::<ClientEndpoint>(&expect![[r#"
        tcp:example.com:25
            = tcp:example.com:25
        TCP:Example.COM:25
            = tcp:example.com:25
        tcp:example.com.:25
            = tcp:example.com.:25
        tcp:_sip._tcp.example.com:5060
            = tcp:_sip._tcp.example.com:5060
        tcp:localhost:25
            = tcp:localhost:25
        tcp:xn--bcher-kva.example:25
            = tcp:xn--bcher-kva.example:25
        tcp:127.0.0.1:25
            = tcp:127.0.0.1:25
        tcp:[::1]:25
            = tcp:[::1]:25
        tcp:\:\:1:25
            = tcp:[::1]:25
        tcp:[fe80::1%2]:25
            = tcp:[fe80::1%2]:25
        tcp:host=example.com:port=25
            = tcp:example.com:25
        tcp:host=example.com:25
            = tcp:example.com:25
        tcp:example.com:port=25
            = tcp:example.com:25
        tcp:port=25:example.com
            = tcp:example.com:25
        tcp:example.com:25:timeout=30
            = tcp:example.com:25
        tcp:example.com:25:timeout=2.50
            = tcp:example.com:25:timeout=2.5
        tcp:example.com:25:timeout=0.001
            = tcp:example.com:25:timeout=0.001
        tcp:example.com:25:bind=192.0.2.1
            = tcp:example.com:25:bind=192.0.2.1
        tcp:[2001:db8::1]:25:timeout=5:bind=[2001:db8::2]
            = tcp:[2001:db8::1]:25:timeout=5:bind=[2001:db8::2]
        tcp:8080
            at 8: no port, expected tcp:HOST:PORT
        tcp:example.com
            at 15: no port, expected tcp:HOST:PORT
        tcp:
            at 4: no host, expected tcp:HOST:PORT
        tcp:example.com:0
            at 16: bad port "0", expected a number from 1 to 65535
        tcp:example.com:smtp
            at 16: bad port "smtp", expected a number from 1 to 65535
        tcp:example.com:25:26
            at 19: unexpected field "26", expected tcp:HOST:PORT[:timeout=…][:bind=…][:bind-port=…][:keepalive=…]
        tcp:example.com:25:host=other
            at 16: host given twice, expected it once, in its place or by its name
        tcp:exa mple.com:25
            at 4: bad host "exa mple.com", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:-example.com:25
            at 4: bad host "-example.com", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:example..com:25
            at 4: bad host "example..com", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:bücher.example:25
            at 4: bad host "bücher.example", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:1.2.3:25
            at 4: bad host "1.2.3", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:256.1.1.1:25
            at 4: bad host "256.1.1.1", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:80:81
            at 4: bad host "80", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:*:25
            at 4: bad host "*", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tcp:0.0.0.0:25
            at 4: bad host "0.0.0.0", expected the address of one host; this one stands for all and is for listening
        tcp:[::]:25
            at 4: bad host "[::]", expected the address of one host; this one stands for all and is for listening
        tcp:224.0.0.1:25
            at 4: bad host "224.0.0.1", expected the address of one host, not of a group
        tcp:255.255.255.255:25
            at 4: bad host "255.255.255.255", expected the address of one host, not of a group
        tcp:::1:25
            at 4: empty field, expected a value; the colons of an IPv6 address stand in brackets
        tcp:example.com:25:timeout=0
            at 27: bad timeout "0", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=0.000
            at 27: bad timeout "0.000", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=1.
            at 27: bad timeout "1.", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=1e3
            at 27: bad timeout "1e3", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=0.0001
            at 27: bad timeout "0.0001", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=86401
            at 27: bad timeout "86401", expected seconds, above 0 and up to 86400
        tcp:example.com:25:timeout=-1
            at 27: bad timeout "-1", expected seconds, above 0 and up to 86400
        tcp:example.com:25:bind=example.com
            at 24: bad bind "example.com", expected an IP address of this machine
        tcp:192.0.2.1:25:bind=[::1]
            at 22: bad bind "[::1]", expected an address of the host's family
        tcp:example.com:25:interface=*
            at 19: unknown keyword "interface", expected one of host, port, timeout, bind, bind-port, keepalive
        tcp:example.com:25:reuse-port
            at 19: unexpected field "reuse-port", expected tcp:HOST:PORT[:timeout=…][:bind=…][:bind-port=…][:keepalive=…]
    "#]]);
}

#[test]
fn tls() {
    check::<ServerEndpoint>(&expect![[r#"
        tls:8443
            = tls:8443
        tls:[::1]:8443:key=/etc/web.key:cert=/etc/web.pem
            = tls:[::1]:8443:cert=/etc/web.pem:key=/etc/web.key
        tls:443:interface=*:cert=/etc/web=1.pem:reuse-port
            = tls:443:interface=*:reuse-port:cert=/etc/web=1.pem
        tls:443:cert=C\:/web.pem
            = tls:443:cert=C\:/web.pem
        tls:443:cert=/etc/[web].pem
            = tls:443:cert=/etc/[web].pem
        tls:443:cert=/etc/\[web/1].pem
            = tls:443:cert=/etc/\[web/1].pem
        tls:443:key=/etc/web.key
            at 12: key out of place, expected cert= beside it
        tls:443:cert=
            at 13: empty cert, expected a value
        tls:443:certs=/etc/web
            = tls:443:certs=/etc/web
        tls:443:certs=/etc/web:cert=/etc/web.pem
            at 14: certs out of place, expected no cert= and no key= beside it
        tls:443:key=/etc/web.key:certs=/etc/web
            at 31: certs out of place, expected no cert= and no key= beside it
        tls:443:client-ca=/etc/ca.pem:certs=/etc/web
            = tls:443:certs=/etc/web:client-ca=/etc/ca.pem
        tls:443:client-cert-optional:cert=a.pem:client-ca=ca.pem:reuse-port
            = tls:443:reuse-port:client-cert-optional:cert=a.pem:client-ca=ca.pem
        tls:443:client-ca=ca.pem
            = tls:443:client-ca=ca.pem
        tls:443:client-cert-optional
            at 28: no client-ca, expected client-ca= beside client-cert-optional
        tls:443:cert-dir=/etc/web
            at 8: unknown keyword "cert-dir", expected one of interface, port, cert, key, certs, client-ca, backlog, keepalive
        tls:443:insecure-no-verify
            at 8: unexpected field "insecure-no-verify", expected tls:[ADDRESS:]PORT[:cert=…][:key=…][:certs=…][:client-ca=…][:backlog=…][:keepalive=…][:reuse-port][:client-cert-optional]
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        tls:mx.test:993
            = tls:mx.test:993
        tls:mx.test:993:insecure-no-verify
            = tls:mx.test:993:insecure-no-verify
        tls:mx.test:INSECURE-no-verify:port=993:host=a
            at 4: host given twice, expected it once, in its place or by its name
        tls:host=mx.test:port=993:insecure-no-verify
            = tls:mx.test:993:insecure-no-verify
        tls:insecure-no-verify:993
            = tls:insecure-no-verify:993
        tls:192.0.2.1:993:sni=MX.test:ca=ca.pem:timeout=5
            = tls:192.0.2.1:993:timeout=5:ca=ca.pem:sni=mx.test
        tls:mx.test:993:sni=192.0.2.1
            = tls:mx.test:993:sni=192.0.2.1
        tls:mx.test:993:key=me.key:cert=me.pem
            = tls:mx.test:993:cert=me.pem:key=me.key
        tls:mx.test:993:cert=me.pem
            = tls:mx.test:993:cert=me.pem
        tls:mx.test:993:key=me.key
            at 20: key out of place, expected cert= beside it
        tls:mx.test:993:ca=ca.pem:insecure-no-verify
            at 19: ca out of place, expected none beside insecure-no-verify, which trusts all
        tls:mx.test:993:insecure-no-verify=true
            at 16: unknown keyword "insecure-no-verify", expected the bare word insecure-no-verify, without a value
        tls:mx.test:993:insecure-no-verify:insecure-no-verify
            at 35: insecure-no-verify given twice, expected it once
        tls:mx.test:993:insecure
            at 16: unexpected field "insecure", expected tls:HOST:PORT[:timeout=…][:bind=…][:bind-port=…][:keepalive=…][:ca=…][:cert=…][:key=…][:sni=…][:insecure-no-verify]
        tls:mx.test:993:verify=no
            at 16: unknown keyword "verify", expected one of host, port, timeout, bind, bind-port, keepalive, ca, cert, key, sni
        tls:mx.test:993:sni=
            at 20: empty sni, expected a value
        tls:mx.test:993:sni=a b
            at 20: bad sni "a b", expected a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets
        tls:mx.test:993:sni=[fe80::1%eth0]
            at 20: bad sni "[fe80::1%eth0]", expected a host name, or an address without a zone
        tls:insecure-no-verify:mx.test:993
            at 31: unexpected field "993", expected tls:HOST:PORT[:timeout=…][:bind=…][:bind-port=…][:keepalive=…][:ca=…][:cert=…][:key=…][:sni=…][:insecure-no-verify]
    "#]]);
}

#[test]
fn udp() {
    check::<ServerEndpoint>(&expect![[r#"
        udp:5300
            = udp:5300
        udp:[::1]:5300:reuse-port
            = udp:[::1]:5300:reuse-port
        udp:5300:interface=*
            = udp:5300:interface=*
        udp:5300:backlog=5
            at 9: unknown keyword "backlog", expected one of interface, port, join, hops, multicast-interface
        udp:5353:interface=*:reuse-port:join=224.0.0.251,[ff02::fb%eth0],192.0.2.1@232.1.2.3:hops=255
            = udp:5353:interface=*:join=224.0.0.251,[ff02::fb%eth0],192.0.2.1@232.1.2.3:hops=255:reuse-port
        udp:0.0.0.0:5353:join=224.0.0.251:Multicast-Interface=eth0:no-loop:broadcast
            = udp:0.0.0.0:5353:join=224.0.0.251:multicast-interface=eth0:no-loop:broadcast
        udp:5353:join=224.0.0.251
            at 14: join out of place, expected interface=* beside it: a socket of one address hears no group
        udp:192.0.2.1:5353:join=224.0.0.251
            at 24: join out of place, expected interface=* beside it: a socket of one address hears no group
        udp:5353:interface=*:join=192.0.2.1
            at 26: bad join "192.0.2.1", expected multicast groups with commas between, such as 224.0.0.251%eth0, [ff02::fb] or 192.0.2.1@232.1.2.3
        udp:5353:interface=*:join=224.0.0.251,
            at 26: bad join "224.0.0.251,", expected multicast groups with commas between, such as 224.0.0.251%eth0, [ff02::fb] or 192.0.2.1@232.1.2.3
        udp:5353:hops=256
            at 14: bad hops "256", expected a number from 0 to 255
        udp:5353:multicast-interface=a b
            at 29: bad multicast-interface "a b", expected the name of a network interface, or its number
        udp:224.0.0.251:5353
            at 4: bad interface "224.0.0.251", expected an IP address, localhost, or * for all interfaces
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        udp:ns.test:53
            = udp:ns.test:53
        udp:192.0.2.1:53:bind=192.0.2.2
            = udp:192.0.2.1:53:bind=192.0.2.2
        udp:ns.test:0
            at 12: bad port "0", expected a number from 1 to 65535
        udp:255.255.255.255:9:broadcast
            = udp:255.255.255.255:9:broadcast
        udp:255.255.255.255:9
            at 4: bad host "255.255.255.255", expected the address of one host, not of a group
        udp:[ff02::fb]:5353
            at 4: bad host "[ff02::fb]", expected the address of one host, not of a group
        udp:ns.test:53:timeout=5
            at 15: unknown keyword "timeout", expected one of host, port, bind
    "#]]);
}

#[test]
fn unix_datagrams() {
    check::<ServerEndpoint>(&expect![[r#"
        Unix-Datagram:/run/log.sock:mode=0620
            = unix-datagram:/run/log.sock:mode=620
        unix-datagram:@log
            = unix-datagram:@log
        unix-datagram:@log:mode=600
            at 24: mode out of place, expected none: an abstract name has no permissions
        unix-datagram:/run/log.sock:backlog=5
            at 28: unknown keyword "backlog", expected one of path, mode
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        unix-datagram:/run/log.sock:bind=/run/me.sock
            = unix-datagram:/run/log.sock:bind=/run/me.sock
        unix-datagram:@log:bind=@me
            = unix-datagram:@log:bind=@me
        unix-datagram:/run/log.sock:bind=@
            at 33: empty bind, expected a name behind "@"
    "#]]);
}

#[test]
fn unix() {
    check::<ServerEndpoint>(&expect![[r#"
        unix:/run/x.sock
            = unix:/run/x.sock
        unix:/run/x.sock:mode=660
            = unix:/run/x.sock:mode=660
        unix:/run/x.sock:MODE=0660:backlog=5
            = unix:/run/x.sock:mode=660:backlog=5
        unix:mode=007:x.sock
            = unix:x.sock:mode=007
        unix:path=/run/a=b
            = unix:/run/a\=b
        unix:/run/a\=b
            = unix:/run/a\=b
        unix:/run/a\:b:mode=600
            = unix:/run/a\:b:mode=600
        unix:/run/a\\b
            = unix:/run/a\\b
        unix:/run/[a:b]
            = unix:/run/[a:b]
        unix:/run/\[a
            = unix:/run/\[a
        unix:/run/a]b
            = unix:/run/a]b
        unix:two words
            = unix:two words
        unix:@name
            = unix:@name
        unix:@a\:b/c
            = unix:@a\:b/c
        unix:./@name
            = unix:./@name
        unix:
            at 5: no path, expected unix:PATH or unix:@NAME
        unix:@
            at 5: empty path, expected a name behind "@"
        unix:/run/a=b
            at 5: bad keyword "/run/a", expected letters, digits, - and _ before "="; a literal one is "\="
        unix:/run/a:b
            at 12: unexpected field "b", expected unix:PATH or unix:@NAME[:mode=…][:backlog=…]
        unix:/run/[a:mode=600
            at 10: "[" without "]", expected it, or "\[" for a bracket that is none
        unix:@name:mode=600
            at 16: mode out of place, expected none: an abstract name has no permissions
        unix:x:mode=66
            at 12: bad mode "66", expected three octal digits, such as 660
        unix:x:mode=668
            at 12: bad mode "668", expected three octal digits, such as 660
        unix:x:mode=00660
            at 12: bad mode "00660", expected three octal digits, such as 660
        unix:x:mode=rw-rw----
            at 12: bad mode "rw-rw----", expected three octal digits, such as 660
        unix:x:timeout=5
            at 7: unknown keyword "timeout", expected one of path, mode, backlog
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        unix:/run/x.sock
            = unix:/run/x.sock
        unix:/run/x.sock:timeout=5
            = unix:/run/x.sock:timeout=5
        unix:@name
            = unix:@name
        unix:x:mode=660
            at 7: unknown keyword "mode", expected one of path, timeout
    "#]]);
}

#[test]
fn descriptors_standard_streams_and_memory() {
    check::<ServerEndpoint>(&expect![[r#"
        fd:3
            = fd:3
        fd:0
            = fd:0
        stdio:
            = stdio:
        STDIO:
            = stdio:
        mem:a
            = mem:a
        mem:a b/c\:d
            = mem:a b/c\:d
        fd:
            at 3: no descriptor, expected fd:NUMBER
        fd:-1
            at 3: bad descriptor "-1", expected the number of an open descriptor
        fd:2147483648
            at 3: bad descriptor "2147483648", expected the number of an open descriptor
        fd:three
            at 3: bad descriptor "three", expected the number of an open descriptor
        fd:3:4
            at 5: unexpected field "4", expected fd:NUMBER
        stdio
            at 5: no colon, expected "stdio:" and its fields
        stdio:1
            at 6: unexpected field "1", expected stdio: alone
        stdio:mode=1
            at 6: unknown keyword "mode", expected stdio: alone
        mem:
            at 4: no name, expected mem:NAME
        mem:a:b
            at 6: unexpected field "b", expected mem:NAME
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        fd:3
            = fd:3
        mem:A
            = mem:A
        stdio:
            at 0: "stdio" cannot connect, expected a scheme that connects, such as tcp, tls or unix
    "#]]);
}

#[test]
fn commands() {
    check::<ClientEndpoint>(&expect![[r#"
        exec:cat
            = exec:cat
        EXEC:grep -r "two words" /srv:/opt
            = exec:grep -r "two words" /srv:/opt
        exec: ssh -W a:b host#1 # not a comment
            = exec: ssh -W a:b host#1 # not a comment
        exec:nc [::1] 25 || a=b; $c
            = exec:nc [::1] 25 || a=b; $c
        exec:a\ b c\:d
            = exec:a\ b c\:d
        exec:
            at 5: no command, expected exec:PROGRAM ARGUMENT…
        exec:   x
            = exec:   x
        exec:"" x
            at 5: bad command """ x", expected the name of a program first
        exec:''
            at 5: bad command "''", expected the name of a program first
        exec:a 'b
            at 5: bad command "a 'b", expected quotes that close, and something behind each "\"
        exec:a b\
            at 5: bad command "a b\", expected quotes that close, and something behind each "\"
    "#]]);
    check::<ServerEndpoint>(&expect![[r#"
        exec:cat
            at 0: "exec" cannot serve, expected a scheme that listens, such as tcp, tls or unix
    "#]]);
}

#[test]
fn jumps() {
    check::<ClientEndpoint>(&expect![[r#"
        socks5:proxy:1080/tcp:host:25
            = socks5:proxy:1080/tcp:host:25
        SOCKS5:proxy:1080/TCP:HOST:25:timeout=30
            = socks5:proxy:1080/tcp:host:25
        http-connect:proxy:3128:user=a/tls:host:443:cert=/etc/a.pem
            at 29: user out of place, expected password-file= beside it
        ssh:user@bastion/tcp:inner:143
            = ssh:user@bastion/tcp:inner:143
        ssh:user@[fe80::1%eth0]:22/unix:/run/x.sock
            = ssh:user@[fe80::1%eth0]:22/unix:/run/x.sock
        ssh:user@bastion:key=~\/.ssh\/id/exec:cat /etc/hosts:x
            = ssh:user@bastion:key=~\/.ssh\/id/exec:cat /etc/hosts:x
        ssh:z=1:a=2:b/tcp:h:1
            = ssh:b:a=2:z=1/tcp:h:1
        ssh/tcp:h:1
            = ssh/tcp:h:1
        ssh:/tcp:h:1
            = ssh/tcp:h:1
        ssh:a/ssh:b/ssh:c/tcp:h:1
            = ssh:a/ssh:b/ssh:c/tcp:h:1
        sim:a:1/b
            = sim:a:1/b
        socks5:proxy:1080
            at 17: no inner endpoint, expected "/" and the endpoint that socks5 leads to
        socks5:proxy:1080/
            at 18: empty scheme, expected a word and a colon before all else, such as tcp: or unix:
        socks5:proxy:1080/tcp:host
            at 26: no port, expected tcp:HOST:PORT
        socks5:proxy::1080/tcp:host:1
            at 13: empty field, expected a value; the colons of an IPv6 address stand in brackets
        socks5:a/socks5:b/tcp:host:25:tmeout=5
            at 38: no port, expected socks5:HOST:PORT
        ssh:key=/home/me/.ssh/id/tcp:h:1
            at 13: unexpected character "/", expected ":"; a jump writes slashes of its own as "\/"
        ssh:[a/tcp:h:1
            at 4: "[" without "]", expected it, or "\[" for a bracket that is none
        socks5:proxy:1080/stdio:
            at 18: "stdio" cannot connect, expected a scheme that connects, such as tcp, tls or unix
        socks5:[::1]:1080:user=a\:b:password-file=p/tcp:h:1
            at 23: bad user "a:b", expected at most 255 bytes, and no colon
        socks5:proxy:1080:user=ann:password-file=\/run\/secret:RESOLVE-LOCALLY/tcp:h:1
            = socks5:proxy:1080:user=ann:password-file=\/run\/secret:resolve-locally/tcp:h:1
        socks5:port=1080:host=proxy:timeout=2.5:bind=[::1]:keepalive=60/socks5:b:1080/tls:c:80
            = socks5:proxy:1080:timeout=2.5:bind=[::1]:keepalive=60/socks5:b:1080/tls:c:80
        socks5:unix=\/run\/tor\/socks:timeout=5/tcp:h:1
            = socks5:unix=\/run\/tor\/socks:timeout=5/tcp:h:1
        http-connect:proxy:3128:TLS:ca=\/etc\/ca.pem:sni=p.test/tls:h:443
            = http-connect:proxy:3128:ca=\/etc\/ca.pem:sni=p.test:tls/tls:h:443
        http-connect:proxy:3128:tls:insecure-no-verify/haproxy/tcp:h:443
            = http-connect:proxy:3128:insecure-no-verify:tls/haproxy/tcp:h:443
        haproxy/tcp:h:1
            = haproxy/tcp:h:1
        haproxy:version=1/unix:/run/x
            = haproxy:version=1/unix:/run/x
        haproxy:VERSION=2/socks5:p:1080/tcp:h:1
            = haproxy/socks5:p:1080/tcp:h:1
        http-connect:p:1/ssh:me@bastion/unix:/run/x
            = http-connect:p:1/ssh:me@bastion/unix:/run/x
        socks5:p:1/x:anything
            = socks5:p:1/x:anything
        socks5:p:1080:password=hunter2/tcp:h:1
            endpoint "socks5:p:1080:password=…": at 14: unknown keyword "password", expected password-file=FILE: a secret does not stand in an endpoint
        socks5:p:1080:user=a:PassWord=hunter2/tcp:h:1
            endpoint "socks5:p:1080:user=a:PassWord=…": at 21: unknown keyword "password", expected password-file=FILE: a secret does not stand in an endpoint
        socks5:p:1080:user=a/tcp:h:1
            at 19: user out of place, expected password-file= beside it
        socks5:p:1080:password-file=a/tcp:h:1
            at 28: password-file out of place, expected user= beside it
        socks5:p:1080:user=a\:b:password-file=p/tcp:h:1
            at 19: bad user "a:b", expected at most 255 bytes, and no colon
        socks5:p:1080:tls/tcp:h:1
            at 14: unexpected field "tls", expected socks5:HOST:PORT[:unix=…][:timeout=…][:bind=…][:bind-port=…][:keepalive=…][:user=…][:password-file=…][:resolve-locally]
        http-connect:p:1080:ca=x/tcp:h:1
            at 23: ca out of place, expected the flag tls beside it
        http-connect:p:1080:insecure-no-verify/tcp:h:1
            at 46: no tls, expected the flag tls beside insecure-no-verify
        http-connect:unix=x:tls/tcp:h:1
            at 18: unix out of place, expected none beside TLS, which is for the network
        socks5:unix=x:port=1/tcp:h:1
            at 19: port out of place, expected none beside unix=
        socks5:p/tcp:h:1
            at 16: no port, expected socks5:HOST:PORT
        socks5:p:1080/unix:/run/x
            at 14: "unix" cannot be reached so, expected a host and port behind a proxy
        socks5:p:1080/udp:h:1
            at 14: "udp" cannot be reached so, expected a host and port behind a proxy
        socks5:p:1080/exec:cat
            at 14: "exec" cannot be reached so, expected a host and port behind a proxy
        socks5:p:1080/haproxy/mem:x
            at 14: "haproxy" cannot be reached so, expected a host and port behind a proxy
        socks5:p:1080/socks5:unix=x/tcp:h:1
            at 14: "socks5" cannot be reached so, expected a host and port behind a proxy
        socks5:p:1080/tcp:h:1:bind=127.0.0.1
            at 14: "tcp" cannot be reached so, expected no bind=, bind-port= or keepalive= behind a proxy, which connects itself
        http-connect:p:1080/tls:h:1:keepalive=5
            at 20: "tls" cannot be reached so, expected no bind=, bind-port= or keepalive= behind a proxy, which connects itself
        haproxy/udp:h:1
            at 8: "udp" cannot be reached so, expected a stream
        haproxy:version=3/tcp:h:1
            at 16: bad version "3", expected 1 or 2
        haproxy:from=::1/tcp:h:1
            at 14: empty field, expected a value; the colons of an IPv6 address stand in brackets
        haproxy:2/tcp:h:1
            at 8: unexpected field "2", expected haproxy[:version=…]
    "#]]);
    check::<ServerEndpoint>(&expect![[r#"
        haproxy/tcp:8080
            = haproxy/tcp:8080
        haproxy:/tls:[::1]:8443
            = haproxy/tls:[::1]:8443
        HAProxy:FROM=10.0.0.0\/8,127.0.0.1,[2001:DB8::]\/32/TCP:localhost:80
            = haproxy:from=10.0.0.0\/8,127.0.0.1,[2001:db8::]\/32/tcp:80
        haproxy:from=\:\:1/tcp:80
            = haproxy:from=[::1]/tcp:80
        haproxy:from=[10.0.0.1]/tcp:80
            at 13: bad from "[10.0.0.1]", expected networks with commas between them, such as 10.0.0.0\/8,[2001:db8::]\/32, with no bit set behind the prefix
        haproxy:from=10.0.0.1\/8/tcp:80
            at 13: bad from "10.0.0.1/8", expected networks with commas between them, such as 10.0.0.0\/8,[2001:db8::]\/32, with no bit set behind the prefix
        haproxy:from=10.0.0.0\/8,/tcp:80
            at 13: bad from "10.0.0.0/8,", expected networks with commas between them, such as 10.0.0.0\/8,[2001:db8::]\/32, with no bit set behind the prefix
        haproxy:from=lab.test/tcp:80
            at 13: bad from "lab.test", expected networks with commas between them, such as 10.0.0.0\/8,[2001:db8::]\/32, with no bit set behind the prefix
        haproxy:trust=10.0.0.0\/8/tcp:80
            at 8: unknown keyword "trust", expected no other than from
        haproxy/udp:80
            at 8: "udp" cannot be reached so, expected a stream
        ssh:me@host/tcp:8080
            = ssh:me@host/tcp:8080
        haproxy:tcp:8080
            at 16: no inner endpoint, expected "/" and the endpoint that haproxy leads to
        haproxy/tcp:h:80
            at 12: bad interface "h", expected an IP address, localhost, or * for all interfaces
        haproxy/exec:cat
            at 8: "exec" cannot serve, expected a scheme that listens, such as tcp, tls or unix
        haproxy/haproxy:v=1:v=2/tcp:80
            at 20: v given twice, expected it once
        socks5:proxy:1080/tcp:80
            at 0: "socks5" cannot serve, expected a scheme that listens, such as tcp, tls or unix
        http-connect/tcp:80
            at 0: "http-connect" cannot serve, expected a scheme that listens, such as tcp, tls or unix
    "#]]);
}

#[test]
fn systemd() {
    check::<ServerEndpoint>(&expect![[r#"
        systemd:name=web
            = systemd:name=web
        SystemD:Index=0
            = systemd:index=0
        systemd:index=1:name=a\:b
            = systemd:name=a\:b:index=1
        systemd:
            at 8: no name, expected name=NAME or index=NUMBER
        systemd:web
            at 8: unexpected field "web", expected systemd:[:name=…][:index=…]
        systemd:name=
            at 13: empty name, expected a value
        systemd:index=01
            at 14: bad index "01", expected a number from 0 to 65535
        systemd:index=65536
            at 14: bad index "65536", expected a number from 0 to 65535
    "#]]);
}

#[test]
fn keep_alive_and_local_port() {
    check::<ServerEndpoint>(&expect![[r#"
        tcp:80:keepalive=60
            = tcp:80:keepalive=60
        tls:80:backlog=5:keepalive=32767:reuse-port:cert=a
            = tls:80:backlog=5:keepalive=32767:reuse-port:cert=a
        tcp:80:keepalive=0
            at 17: bad keepalive "0", expected whole seconds from 1 to 32767
        tcp:80:keepalive=0.5
            at 17: bad keepalive "0.5", expected whole seconds from 1 to 32767
        tcp:80:keepalive=32768
            at 17: bad keepalive "32768", expected whole seconds from 1 to 32767
        udp:80:keepalive=60
            at 7: unknown keyword "keepalive", expected one of interface, port, join, hops, multicast-interface
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        tcp:h:80:keepalive=60:bind-port=20:bind=127.0.0.1:timeout=5
            = tcp:h:80:timeout=5:bind=127.0.0.1:bind-port=20:keepalive=60
        tls:h:80:keepalive=1:ca=a
            = tls:h:80:keepalive=1:ca=a
        tcp:h:80:keepalive
            at 9: unexpected field "keepalive", expected tcp:HOST:PORT[:timeout=…][:bind=…][:bind-port=…][:keepalive=…]
        tcp:h:80:bind-port=0
            at 19: bad bind-port "0", expected a number from 1 to 65535
        udp:h:80:bind-port=1
            at 9: unknown keyword "bind-port", expected one of host, port, bind
    "#]]);
}

#[test]
fn schemes_that_are_not_built_in() {
    check::<ServerEndpoint>(&expect![[r#"
        quic:8443:interface=*
            = quic:8443:interface=*
        My-Scheme2:a:B=c=d:A=
            = my-scheme2:a:a=:b=c=d
        x:
            = x:
        x:a/b:c\/d
            = x:a/b:c/d
        x:a\=b:[::1]
            = x:a\=b:[::1]
        localhost:8080
            = localhost:8080
        http://example.com
            = http://example.com
        x:a=1:A=2
            at 6: a given twice, expected it once
        x:a::b
            at 4: empty field, expected a value; the colons of an IPv6 address stand in brackets
        x:[
            at 2: "[" without "]", expected it, or "\[" for a bracket that is none
        x:\
            at 2: nothing behind "\", expected the character that it escapes
    "#]]);
    check::<ClientEndpoint>(&expect![[r#"
        sim:host:25
            = sim:host:25
        ws://example.com/chat?a\=b
            = ws://example.com/chat?a\=b
        systemd:name=web
            at 0: "systemd" cannot connect, expected a scheme that connects, such as tcp, tls or unix
    "#]]);
}

#[test]
fn no_scheme() {
    check::<ServerEndpoint>(&expect![[r#"
        8080
            at 0: bad scheme "8080", expected a word and a colon before all else, such as tcp: or unix:
        :8080
            at 0: empty scheme, expected a word and a colon before all else, such as tcp: or unix:
        127.0.0.1:8080
            at 0: bad scheme "127.0.0.1", expected a word and a colon before all else, such as tcp: or unix:
        example.com:80
            at 0: bad scheme "example.com", expected a word and a colon before all else, such as tcp: or unix:
        [::1]:80
            at 0: bad scheme "[", expected a word and a colon before all else, such as tcp: or unix:
        /run/x.sock
            at 0: empty scheme, expected a word and a colon before all else, such as tcp: or unix:
        2tcp:80
            at 0: bad scheme "2tcp", expected a word and a colon before all else, such as tcp: or unix:
        t cp:80
            at 0: bad scheme "t cp", expected a word and a colon before all else, such as tcp: or unix:
        t\cp:80
            at 0: bad scheme "t\cp", expected a word and a colon before all else, such as tcp: or unix:
        *
            at 0: bad scheme "*", expected a word and a colon before all else, such as tcp: or unix:
        ünix:x
            at 0: bad scheme "ünix", expected a word and a colon before all else, such as tcp: or unix:
    "#]]);
}

#[test]
fn an_error_is_one_line_with_the_whole_string() {
    let error = "socks5:p:1/tcp:h:p".parse::<ClientEndpoint>().unwrap_err();
    let line =
        r#"endpoint "socks5:p:1/tcp:h:p": at 17: bad port "p", expected a number from 1 to 65535"#;
    assert_eq!(error.to_string(), line);
    assert_eq!((error.position, error.part.as_ref()), (17, "port"));
    assert_eq!(error.problem, Problem::Invalid("p".into()));

    for empty in ["", " "] {
        let error = empty.parse::<ClientEndpoint>().unwrap_err();
        assert_eq!((error.position, error.part.as_ref()), (0, "scheme"));
    }
}

#[test]
fn control_characters_are_refused_everywhere_and_not_shown() {
    for (text, at) in [
        ("tcp:80\n", 6),
        ("unix:/run/\0x", 10),
        ("unix:/run/é\\\u{7f}", 13),
        ("exec:a\tb", 6),
        ("ssh:a/exec:\u{85}", 11),
        ("mem:\u{2028}", 4),
        ("\r", 0),
    ] {
        let error = text.parse::<ClientEndpoint>().unwrap_err();
        assert_eq!(error.position, at, "{text:?}");
        assert!(
            matches!(error.problem, Problem::ControlCharacter(_)),
            "{text:?}"
        );
        assert!(
            !error
                .to_string()
                .contains(|c: char| c.is_control() || c == '\u{2028}')
        );
    }
    let error = "a\nb".parse::<ServerEndpoint>().unwrap_err();
    expect![[
        r#"endpoint "a\u{a}b": at 1: control character U+000A, expected printable characters"#
    ]]
    .assert_eq(&error.to_string());
}

#[test]
fn length_is_limited() {
    let longest = format!("mem:{}", "x".repeat(MAX_LENGTH - 4));
    round_trip::<ServerEndpoint>(&longest).unwrap();
    let error = round_trip::<ServerEndpoint>(&format!("{longest}x")).unwrap_err();
    assert_eq!(error.problem, Problem::TooLong(MAX_LENGTH + 1));
    assert_eq!(error.endpoint.len(), MAX_LENGTH);
    assert!(error.to_string().len() < 1000, "a log line stays one");

    // What was short enough as written, and would not be in its canonical form.
    let brackets = format!("mem:[{}]", "::/".repeat(1360));
    let error = round_trip::<ServerEndpoint>(&brackets).unwrap_err();
    assert!(matches!(error.problem, Problem::TooLong(_)), "{error}");

    let long = "x".repeat(108);
    let error = format!("unix:mode=660:{long}")
        .parse::<ServerEndpoint>()
        .unwrap_err();
    assert_eq!(
        (error.position, &error.problem),
        (14, &Problem::TooLong(108))
    );
    round_trip::<ClientEndpoint>(&format!("unix:@{}", &long[1..])).unwrap();

    let label = "x".repeat(63);
    let name = [&*label, &label, &label, &label[..61]].join(".");
    round_trip::<ClientEndpoint>(&format!("tcp:{name}.:25")).unwrap();
    round_trip::<ClientEndpoint>(&format!("tcp:x{name}:25")).unwrap_err();
    round_trip::<ClientEndpoint>(&format!("tcp:x{label}:25")).unwrap_err();
}

#[test]
fn depth_is_limited() {
    let nested = |jumps| "ssh:a/".repeat(jumps) + "tcp:h:1";
    round_trip::<ClientEndpoint>(&nested(MAX_JUMPS)).unwrap();
    let error = round_trip::<ClientEndpoint>(&nested(MAX_JUMPS + 1)).unwrap_err();
    assert_eq!(
        (error.position, error.problem),
        (6 * (MAX_JUMPS + 1), Problem::TooDeep)
    );
    round_trip::<ClientEndpoint>(&nested(MAX_LENGTH / 6 - 2)).unwrap_err();
}

#[test]
fn what_says_the_same_is_equal() {
    fn same<E: FromStr<Err = ParseError> + Debug + PartialEq>(a: &str, b: &str) {
        assert_eq!(a.parse::<E>().unwrap(), b.parse::<E>().unwrap(), "{a} {b}");
    }
    same::<ServerEndpoint>("tcp:127.0.0.1:1143", "tcp:1143:interface=127.0.0.1");
    same::<ServerEndpoint>("tls:*:1", "TLS:Backlog=1024:interface=*:1");
    same::<ServerEndpoint>("haproxy/tcp:localhost:80", "haproxy:/TCP:80");
    same::<ClientEndpoint>("tcp:[::1]:25", r"tcp:timeout=30:\:\:1:25");
    same::<ClientEndpoint>("sim:b=2:a=1", "sim:a=1:b=2");

    let loopback: ServerEndpoint = "tcp:80".parse().unwrap();
    assert_ne!(
        loopback,
        "tcp:127.0.0.1:80".parse().unwrap(),
        "loopback is a wish, not an address"
    );
    let command: ClientEndpoint = "exec:a b".parse().unwrap();
    assert_ne!(
        command,
        "exec:a  b".parse().unwrap(),
        "the text of a command counts"
    );
}

#[test]
fn accessors() {
    let client = |text: &str| text.parse::<ClientEndpoint>().unwrap();
    assert_eq!(client("tls:MX.test:993").host().as_deref(), Some("mx.test"));
    assert_eq!(
        client("udp:[fe80::1%eth0]:53").host().as_deref(),
        Some("fe80::1")
    );
    assert_eq!(
        client("ssh:bastion/tcp:inner:143").host().as_deref(),
        Some("inner")
    );
    assert_eq!(client("unix:/x").host(), None);
    assert_eq!(client("exec:a 'b c'").command(), Some("a 'b c'"));
    assert_eq!(client("tcp:h:1").command(), None);
    assert!(client("tcp:h:1").description().is_none());

    let server = |text: &str| text.parse::<ServerEndpoint>().unwrap();
    assert!(server("tls:443").needs_certificate());
    assert!(server("haproxy/tls:443").needs_certificate());
    assert!(!server("tls:443:cert=a.pem").needs_certificate());
    assert!(!server("tls:443:certs=/etc/web").needs_certificate());
    assert!(server("tls:443:client-ca=a.pem").needs_certificate());
    assert!(!server("tcp:80").needs_certificate());
    assert_eq!(server("SystemD:name=web").scheme(), "systemd");
    let quic = server(r"quic:Name=web:index=\1");
    let keywords: Vec<_> = quic.description().unwrap().keywords().collect();
    assert_eq!(keywords, [("index", "1"), ("name", "web")]);
    assert_eq!(quic.description().unwrap().keyword("NAME"), Some("web"));

    let jump = client("socks5:p:1/haproxy/tls:inner:993");
    let names: Vec<_> = std::iter::successors(Some(&jump), |e| e.inner()).collect();
    let names: Vec<_> = names.iter().map(|e| e.scheme()).collect();
    assert_eq!(names, ["socks5", "haproxy", "tls"]);
    assert_eq!(
        (jump.host().as_deref(), jump.port()),
        (Some("inner"), Some(993))
    );
    assert!(jump.description().is_none());
    let ssh = client("ssh:me@bastion/tcp:inner:143");
    assert_eq!(ssh.description().unwrap().positional(0), Some("me@bastion"));
    assert_eq!(ssh.inner().unwrap().to_string(), "tcp:inner:143");
    assert_eq!(server("haproxy/tcp:80").inner().unwrap().scheme(), "tcp");
}

/// Answers each string of the table, and compares.
fn check<E>(table: &Expect)
where
    E: FromStr<Err = ParseError> + Display + Debug + PartialEq,
{
    let lines: Vec<_> = table
        .data()
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let margin = |line: &&str| line.len() - line.trim_start().len();
    let least = lines.iter().map(margin).min().unwrap_or(0);
    let strings = lines
        .iter()
        .filter(|line| margin(line) == least)
        .map(|line| &line[least..]);
    let mut answers = String::new();
    for text in strings {
        // Whatever one side makes of it, the other must not choke on it.
        endpoint::check(text.as_bytes());
        let answer = match round_trip::<E>(text) {
            Ok(endpoint) => format!("= {endpoint}"),
            Err(error) => {
                let line = error.to_string();
                let prefix = format!("endpoint \"{text}\": ");
                line.strip_prefix(&prefix).unwrap_or(&line).to_owned()
            }
        };
        answers += &format!("{text}\n    {answer}\n");
    }
    table.assert_eq(&answers);
}
