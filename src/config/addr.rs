//! Reads the address to listen on or to talk to: `HOST:PORT`.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// An address as it is written, its form checked and its host not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Addr {
    /// An IP address.
    Ip(SocketAddr),
    /// A name.
    Name {
        /// The name, ASCII.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Addr {
    /// Looks the host up. Of several addresses an IPv4 one is taken, so that `localhost` is
    /// `127.0.0.1` everywhere.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, String> {
        let (host, port) = match self {
            Self::Ip(addr) => return Ok(*addr),
            Self::Name { host, port } => (host, *port),
        };
        let found: Vec<SocketAddr> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| format!("no address is known for the host: {error}"))?
            .collect();
        found
            .iter()
            .find(|addr| addr.is_ipv4())
            .or(found.first())
            .copied()
            .ok_or_else(|| "no address is known for the host".to_owned())
    }
}

/// Reads `HOST:PORT`. The error says what is wrong and what would be right.
pub(crate) fn parse(text: &str) -> Result<Addr, String> {
    if let Ok(addr) = text.parse() {
        return Ok(Addr::Ip(addr));
    }
    if text.contains("://") || text.contains('/') {
        return Err("an address is HOST:PORT, without http:// and path".to_owned());
    }
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = unbracketed.parse::<IpAddr>() {
        return Err(format!(
            "the port is missing; write {}",
            SocketAddr::new(ip, 21_212)
        ));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("not an address; write HOST:PORT, like 127.0.0.1:21212".to_owned());
    };
    // `str::parse` takes a plus sign, which a port has not.
    let port: u16 = match port.parse() {
        Ok(number) if !port.starts_with('+') => number,
        _ => return Err("the port is a number from 0 to 65535, as in 127.0.0.1:21212".to_owned()),
    };
    if host.is_empty() {
        return Err(format!(
            "the host is missing; write 127.0.0.1:{port} for this machine or 0.0.0.0:{port} for every interface"
        ));
    }
    if host.contains([':', '[', ']']) {
        return Err("not an IPv6 address in brackets; write one like [::1]:21212".to_owned());
    }
    let is_name = host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_name {
        return Err("the host is an IP address or an ASCII name, as in localhost:21212".to_owned());
    }
    Ok(Addr::Name {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_looked_up() {
        for (text, resolved) in [
            ("127.0.0.1:21212", "127.0.0.1:21212"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:0", "[::1]:0"),
            ("[::]:80", "[::]:80"),
            ("localhost:65535", "127.0.0.1:65535"),
        ] {
            let addr = parse(text).unwrap();
            assert_eq!(addr.to_string(), text);
            assert_eq!(addr.resolve().unwrap().to_string(), resolved);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "HOST:PORT"),
            ("8080", "HOST:PORT"),
            ("localhost", "HOST:PORT"),
            (":8080", "0.0.0.0:8080 for every interface"),
            ("127.0.0.1", "write 127.0.0.1:21212"),
            ("::1", "write [::1]:21212"),
            ("[::1]", "write [::1]:21212"),
            ("::1:80x", "0 to 65535"),
            ("fe80::zz:80", "brackets"),
            ("[::1:80", "brackets"),
            ("localhost:65536", "0 to 65535"),
            ("localhost:-1", "0 to 65535"),
            ("localhost:+1", "0 to 65535"),
            ("localhost:", "0 to 65535"),
            ("http://localhost:80", "without http://"),
            ("local host:80", "ASCII name"),
            ("ä:80", "ASCII name"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
