//! Whether a request was sent by a foreign page in somebody's browser.
//!
//! A server on loopback trusts whoever reaches it, and every page that a browser on the same
//! machine shows can reach it. Browsers say where a request comes from, and a page cannot lie
//! about it. A page that rebinds its own host name to a loopback address looks as if it were at
//! home, so without a key the name itself must be a loopback name.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::http::Head;

/// What a request says about where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Provenance<'a> {
    /// `Origin` (RFC 6454, section 7).
    pub(super) origin: Option<&'a str>,
    /// `Sec-Fetch-Site` (W3C Fetch Metadata).
    pub(super) fetch_site: Option<&'a str>,
    /// `Host`.
    pub(super) host: Option<&'a str>,
}

/// Why a request counts as foreign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// `Origin` is not the address that `Host` names.
    Origin,
    /// `Sec-Fetch-Site` says so.
    CrossSite,
    /// `Host` is not a name of this machine's loopback.
    Host,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => {
                "a browser sent this from another origin: Origin must have the host and port of Host"
            }
            Self::CrossSite => "a browser sent this from another site: Sec-Fetch-Site is cross-site",
            Self::Host => {
                "without an API key, Host must be localhost, a name under .localhost, \
                 127.0.0.0/8 or [::1]"
            }
        })
    }
}

impl<'a> Provenance<'a> {
    /// Reads it from a request. Of a header that came more than once, which no browser sends,
    /// nothing is believed: the value is one that never matches.
    pub(super) fn of(head: &'a Head) -> Self {
        let single = |name| match head.header_count(name) {
            0 => None,
            1 => head.header(name),
            _ => Some(""),
        };
        Self {
            origin: single("origin"),
            fetch_site: head.header("sec-fetch-site"),
            host: single("host"),
        }
    }

    /// The same for what a browser may show: a link of another site that somebody follows is not
    /// that site's request. A frame, or anything that a page does by itself, still is.
    pub(super) fn or_link(mut self, head: &Head) -> Self {
        let is = |name, value: &str| {
            head.header_count(name) == 1
                && head
                    .header(name)
                    .is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        if is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document") {
            self.fetch_site = None;
        }
        self
    }

    /// Refuses foreign requests. `must_be_loopback` is set where no key guards a loopback address.
    pub(super) fn check(self, must_be_loopback: bool) -> Result<(), Foreign> {
        if let Some(origin) = self.origin
            && !self.host.is_some_and(|host| is_same(origin, host))
        {
            return Err(Foreign::Origin);
        }
        if let Some(site) = self.fetch_site
            && site.eq_ignore_ascii_case("cross-site")
        {
            return Err(Foreign::CrossSite);
        }
        // A request without Host is HTTP/1.0, which no browser speaks.
        if must_be_loopback && !self.host.is_none_or(is_loopback) {
            return Err(Foreign::Host);
        }
        Ok(())
    }
}

/// Whether an origin has the host and port of a `Host` header. A proxy may have taken TLS off, so
/// the origin's scheme decides which port is meant where none is written.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    match (split(authority), split(host)) {
        (Some((origin_name, origin_port)), Some((host_name, host_port))) => {
            origin_name.eq_ignore_ascii_case(host_name)
                && origin_port.unwrap_or(default_port) == host_port.unwrap_or(default_port)
        }
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let Some((name, _)) = split(host) else {
        return false;
    };
    if let Some(address) = name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')) {
        return address.parse().is_ok_and(|address: Ipv6Addr| {
            address.is_loopback()
                || address
                    .to_ipv4_mapped()
                    .is_some_and(|mapped| mapped.is_loopback())
        });
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name
            .strip_suffix(".localhost")
            .is_some_and(|label| !label.is_empty())
}

/// Name and port of `name[:port]`; `None` for what is not that. An empty port is none (RFC 3986,
/// section 3.2.3).
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let name_end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, rest) = authority.split_at_checked(name_end)?;
    let port = match rest {
        "" | ":" => None,
        _ => {
            let digits = rest.strip_prefix(':')?;
            let is_number = digits.bytes().all(|b| b.is_ascii_digit());
            Some(digits.parse().ok().filter(|_| is_number)?)
        }
    };
    (!name.is_empty()).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn check(
        origin: Option<&str>,
        fetch_site: Option<&str>,
        host: Option<&str>,
    ) -> Result<(), Foreign> {
        let provenance = Provenance {
            origin,
            fetch_site,
            host,
        };
        provenance.check(true)
    }

    #[test]
    fn an_origin_must_have_the_host_and_port_of_host() {
        for (origin, host, is_home) in [
            ("http://localhost:21212", "localhost:21212", true),
            ("http://LOCALHOST:21212", "localhost:21212", true),
            ("http://[::1]:21212", "[::1]:21212", true),
            ("http://localhost", "localhost", true),
            ("http://localhost", "localhost:80", true),
            ("http://localhost:80", "localhost", true),
            ("https://localhost", "localhost", true),
            ("https://localhost", "localhost:443", true),
            ("https://localhost", "localhost:80", false),
            ("http://localhost", "localhost:21212", false),
            ("http://localhost:3000", "localhost:21212", false),
            ("http://127.0.0.1:21212", "localhost:21212", false),
            ("http://evil.example", "localhost:21212", false),
            ("http://evil.example:21212", "localhost:21212", false),
            ("http://localhost.evil.example", "localhost", false),
            (
                "http://localhost:21212.evil.example",
                "localhost:21212",
                false,
            ),
            ("http://user@localhost:21212", "localhost:21212", false),
            ("http://localhost:021212x", "localhost:21212", false),
            ("http://localhost:86748", "localhost:21212", false),
            (
                "chrome-extension://localhost:21212",
                "localhost:21212",
                false,
            ),
            ("file://", "localhost:21212", false),
            ("null", "localhost:21212", false),
            ("", "localhost:21212", false),
            ("http://", "localhost:21212", false),
        ] {
            let expected = if is_home {
                Ok(())
            } else {
                Err(Foreign::Origin)
            };
            let found = check(Some(origin), None, Some(host));
            assert_eq!(found, expected, "{origin} to {host}");
        }
        assert_eq!(
            check(Some("http://localhost"), None, None),
            Err(Foreign::Origin)
        );
    }

    #[test]
    fn the_browser_may_say_that_the_site_is_another() {
        for (site, expected) in [
            ("cross-site", Err(Foreign::CrossSite)),
            ("Cross-Site", Err(Foreign::CrossSite)),
            ("same-origin", Ok(())),
            ("same-site", Ok(())),
            ("none", Ok(())),
        ] {
            assert_eq!(
                check(None, Some(site), Some("localhost")),
                expected,
                "{site}"
            );
        }
    }

    #[test]
    fn without_a_key_the_host_must_be_a_loopback_name() {
        for (host, is_home) in [
            ("localhost", true),
            ("localhost:21212", true),
            ("LocalHost:21212", true),
            ("mecha.localhost:21212", true),
            ("127.0.0.1", true),
            ("127.0.0.1:21212", true),
            ("127.8.9.10:1", true),
            ("[::1]", true),
            ("[::1]:21212", true),
            ("[0:0:0:0:0:0:0:1]:21212", true),
            ("[::ffff:127.0.0.1]:21212", true),
            ("localhost:", true),
            ("", false),
            (":21212", false),
            (".localhost", false),
            ("evil.example", false),
            ("evil.example:21212", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("128.0.0.1", false),
            ("0.0.0.0:21212", false),
            ("[::2]:21212", false),
            ("[::1]evil.example", false),
            ("[::1]x", false),
            ("[::1", false),
            ("[127.0.0.1]", false),
            ("localhost:+80", false),
            ("localhost:80:80", false),
            ("::1", false),
            ("localhost:x", false),
            ("localhost:99999", false),
            ("192.168.1.2:21212", false),
        ] {
            let expected = if is_home { Ok(()) } else { Err(Foreign::Host) };
            assert_eq!(check(None, None, Some(host)), expected, "{host:?}");
        }
        assert_eq!(check(None, None, None), Ok(()));
    }

    #[test]
    fn a_header_that_comes_twice_is_not_believed() {
        let check = |fields: &[(&str, &str)]| {
            let head = Head::new(Method::Get, "/tasks", "", fields.iter().copied());
            Provenance::of(&head).check(true)
        };
        let host = ("host", "localhost");
        let origin = ("origin", "http://localhost");
        assert_eq!(check(&[host, origin]), Ok(()));
        assert_eq!(check(&[host, origin, origin]), Err(Foreign::Origin));
        assert_eq!(check(&[host, host]), Err(Foreign::Host));
        assert_eq!(
            check(&[host, ("sec-fetch-site", "cross-site")]),
            Err(Foreign::CrossSite)
        );
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn a_link_may_lead_from_another_site() {
        let check = |fields: &[(&str, &str)]| {
            let head = Head::new(Method::Get, "/", "", fields.iter().copied());
            Provenance::of(&head).or_link(&head).check(true)
        };
        let site = ("sec-fetch-site", "cross-site");
        let mode = ("sec-fetch-mode", "navigate");
        let document = ("sec-fetch-dest", "document");
        assert_eq!(check(&[site, mode, document]), Ok(()));
        for fields in [
            &[site][..],
            &[site, mode],
            &[site, document],
            &[site, mode, ("sec-fetch-dest", "iframe")],
            &[site, ("sec-fetch-mode", "no-cors"), document],
            &[site, mode, mode, document],
        ] {
            assert_eq!(check(fields), Err(Foreign::CrossSite), "{fields:?}");
        }
        let rebound = ("host", "evil.example");
        assert_eq!(check(&[site, mode, document, rebound]), Err(Foreign::Host));
        let origin = ("origin", "http://evil.example");
        let fields = [site, mode, document, ("host", "localhost"), origin];
        assert_eq!(check(&fields), Err(Foreign::Origin));
    }

    #[test]
    fn with_a_key_any_host_will_do() {
        let provenance = Provenance {
            host: Some("mecha.example.com"),
            origin: Some("https://mecha.example.com"),
            ..Provenance::default()
        };
        assert_eq!(provenance.check(false), Ok(()));
    }
}
