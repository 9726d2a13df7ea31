//! Reads the URL of an endpoint worker.
//!
//! Only what can be put into a request line and a `Host` header as it stands is taken: ASCII,
//! no user information, no query, no fragment (the forms are those of RFC 3986, sections 3.2
//! and 3.3). `xn--` labels are refused, since nothing here checks what they decode to.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::worker::Endpoint;

/// Characters of an endpoint's URL at most: it and `/task` must fit any server's request line.
const URL_LENGTH_MAX: usize = 1_024;

/// Reads `http://host[:port][/path]`. The error says what is wrong and what would be right.
pub(super) fn parse(url: &str) -> Result<Endpoint, String> {
    if url.len() > URL_LENGTH_MAX {
        return Err(format!(
            "{} characters; an endpoint has at most {URL_LENGTH_MAX}",
            url.len()
        ));
    }
    if let Some(odd) = url.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!(
            "{odd:?} is not allowed; write a URL in ASCII without white space"
        ));
    }
    let rest = behind_scheme(url)?;
    if rest.contains('@') {
        return Err(
            "a user name or password in a URL is not allowed; put the secret into token".to_owned(),
        );
    }
    if rest.contains(['?', '#']) {
        return Err(
            "a query or fragment is not allowed; mecha puts /task and /health behind the path"
                .to_owned(),
        );
    }
    let path_at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(path_at).unwrap_or((rest, ""));
    let (host, port) = parse_authority(authority)?;
    Ok(Endpoint {
        host,
        port,
        path: parse_path(path)?,
    })
}

fn behind_scheme(url: &str) -> Result<&str, String> {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok(rest),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => Err(
            "https:// is not spoken to workers in this version; write http:// and put a TLS proxy beside mecha"
                .to_owned(),
        ),
        _ => Err("not a URL; write http://HOST:PORT, like http://127.0.0.1:9000".to_owned()),
    }
}

fn parse_authority(authority: &str) -> Result<(String, u16), String> {
    if let Some(inner) = authority.strip_prefix('[') {
        let (address, behind) = inner
            .split_once(']')
            .ok_or("the bracket of an IPv6 address is not closed; write http://[::1]:9000")?;
        let address: Ipv6Addr = address.parse().map_err(|_| {
            format!("[{address}] is not an IPv6 address; write one like http://[::1]:9000")
        })?;
        let port = match behind {
            "" => 80,
            behind => parse_port(
                behind
                    .strip_prefix(':')
                    .ok_or("behind ] only :PORT may stand, like http://[::1]:9000")?,
            )?,
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            return Err("an IPv6 address stands in brackets, like http://[::1]:9000".to_owned());
        }
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, 80),
    };
    Ok((parse_host(host)?, port))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if port > 0 && is_digits => Ok(port),
        _ => Err(format!("{text:?} is not a port; a port is 1 to 65535")),
    }
}

/// A DNS name or an IPv4 address, in lower case.
fn parse_host(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("the host is missing; write http://HOST:PORT".to_owned());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(format!(
            "{host:?} is not a host; a host is a DNS name, an IPv4 address or an IPv6 address in brackets"
        ));
    }
    let lower = host.to_ascii_lowercase();
    if lower.split('.').any(|label| label.starts_with("xn--")) {
        return Err(
            "an internationalised (xn--) host is not allowed; use a plain ASCII name or an address"
                .to_owned(),
        );
    }
    // A resolver takes "127.1" or "0x7f.1" for an address, so what ends like one must be one
    // (WHATWG URL, "ends in a number").
    let last = name.rsplit('.').next().unwrap_or_default();
    let ends_in_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.starts_with("0x")
        || last.starts_with("0X");
    if ends_in_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!(
            "{host:?} is not an IPv4 address; write four numbers from 0 to 255, like 127.0.0.1"
        ));
    }
    Ok(lower)
}

/// The path without slashes at its end.
fn parse_path(path: &str) -> Result<String, String> {
    let is_pchar = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:%".contains(&b);
    if let Some(odd) = path.bytes().find(|b| !is_pchar(*b)) {
        return Err(format!(
            "{:?} is not allowed in a path; percent-encode it",
            char::from(odd)
        ));
    }
    let has_bad_escape = path.split('%').skip(1).any(|behind| {
        !behind
            .get(..2)
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    if has_bad_escape {
        return Err("% stands in front of two hexadecimal digits, like %20".to_owned());
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    if plain
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err("a path with . or .. in it is not allowed; write the path it means".to_owned());
    }
    Ok(path.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_endpoints_are_read() {
        for (url, host, port, path) in [
            ("http://127.0.0.1:9000", "127.0.0.1", 9000, ""),
            ("http://127.0.0.1:9000/", "127.0.0.1", 9000, ""),
            ("HTTP://Agents.Local/V1/", "agents.local", 80, "/V1"),
            ("http://agents.local./v1//", "agents.local.", 80, "/v1"),
            ("http://[::1]:65535/a/b", "::1", 65535, "/a/b"),
            ("http://[0:0::1]", "::1", 80, ""),
            ("http://my_worker-1:80", "my_worker-1", 80, ""),
            ("http://w/a%20b/~x:;=", "w", 80, "/a%20b/~x:;="),
        ] {
            let wanted = Endpoint {
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(parse(url), Ok(wanted), "{url}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_reason() {
        for (url, reason) in [
            ("", "not a URL"),
            ("127.0.0.1:9000", "not a URL"),
            ("ftp://a", "not a URL"),
            ("http:/a", "not a URL"),
            ("https://a", "TLS proxy"),
            ("HTTPS://a", "TLS proxy"),
            ("http://", "host is missing"),
            ("http:///task", "host is missing"),
            ("http://:9000", "host is missing"),
            ("http://a:0", "1 to 65535"),
            ("http://a:65536", "1 to 65535"),
            ("http://a:", "1 to 65535"),
            ("http://a:+1", "1 to 65535"),
            ("http://a:8a", "1 to 65535"),
            ("http://user:pass@a", "token"),
            ("http://a?x", "query"),
            ("http://a#x", "fragment"),
            ("http://a b", "white space"),
            ("http://a\r\nb", "white space"),
            ("http://a\u{0}", "white space"),
            ("http://ä", "ASCII"),
            ("http://xn--4ca", "xn--"),
            ("http://a.XN--4ca", "xn--"),
            ("http://::1:9000", "brackets"),
            ("http://[::1", "not closed"),
            ("http://[::1]9000", "only :PORT"),
            ("http://[fe80::1%25eth0]", "IPv6"),
            ("http://[1.2.3.4]", "IPv6"),
            ("http://a..b", "not a host"),
            ("http://.", "not a host"),
            ("http://a!b", "not a host"),
            ("http://a%20b", "not a host"),
            ("http://127.1", "IPv4"),
            ("http://256.0.0.1", "IPv4"),
            ("http://0x7f000001", "IPv4"),
            ("http://2130706433", "IPv4"),
            ("http://a/b\\c", "percent-encode"),
            ("http://a/<", "percent-encode"),
            ("http://a/%2", "two hexadecimal"),
            ("http://a/%zz", "two hexadecimal"),
            ("http://a/../b", ".."),
            ("http://a/%2e%2E/b", ".."),
            ("http://a/.", ".."),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(reason), "{url:?}: {error}");
        }
        assert!(parse(&format!("http://a/{}", "b".repeat(1_024))).is_err());
        assert!(parse(&format!("http://{}", "b".repeat(64))).is_err());
    }
}
