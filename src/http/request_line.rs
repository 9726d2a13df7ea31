//! The first line of a request: method, target and version (RFC 9112, 3).

use super::field;
use super::refusal::{Kind, Refusal};
use super::request::Method;

/// Bytes of a target at most.
pub(super) const TARGET_MAX: usize = 4_096;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A resource.
    Resource {
        /// Starts with `/`.
        path: &'a str,
        /// Without the `?`; empty where there is none.
        query: &'a str,
    },
    /// `*`: the server itself; with `OPTIONS` alone.
    Server,
}

/// A request line that holds its rules.
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: Target<'a>,
    /// The authority of an absolute target.
    pub(super) authority: Option<&'a str>,
    pub(super) is_1_0: bool,
}

impl<'a> RequestLine<'a> {
    /// Reads a line, without its CRLF.
    pub(super) fn parse(line: &'a str) -> Result<Self, Refusal> {
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            if line.len() > TARGET_MAX {
                return Err(target_too_long());
            }
            return Err(Refusal::malformed(format!(
                "the request line {:?} is not `METHOD target HTTP/1.1` with single spaces",
                field::excerpt(line)
            )));
        };
        if target.len() > TARGET_MAX {
            return Err(target_too_long());
        }
        if !field::is_token(method) {
            return Err(Refusal::malformed(format!(
                "the method {:?} is not a name",
                field::excerpt(method)
            )));
        }
        let is_1_0 = parse_version(version)?;
        let Some(method) = Method::from_name(method) else {
            return Err(Refusal::new(
                Kind::NotImplemented,
                format!(
                    "the method {:?} is not implemented; GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS are",
                    field::excerpt(method)
                ),
            ));
        };
        let (target, authority) = parse_target(target, method)?;
        Ok(Self {
            method,
            target,
            authority,
            is_1_0,
        })
    }
}

/// Whether the version is 1.0. A higher minor version is taken as 1.1 (RFC 9110, 2.5).
fn parse_version(version: &str) -> Result<bool, Refusal> {
    let digits = version.strip_prefix("HTTP/").unwrap_or_default();
    match digits.as_bytes() {
        [b'1', b'.', b'0'] => Ok(true),
        [b'1', b'.', b'1'..=b'9'] => Ok(false),
        [b'0'..=b'9', ..] if digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            Err(Refusal::new(
                Kind::VersionNotSupported,
                format!(
                    "the version {:?} is not supported; HTTP/1.1 and HTTP/1.0 are",
                    field::excerpt(version)
                ),
            ))
        }
        _ => Err(Refusal::malformed(format!(
            "the request line ends in {:?} where HTTP/1.1 should stand",
            field::excerpt(version)
        ))),
    }
}

/// Target and, of an absolute one, its authority.
fn parse_target(target: &str, method: Method) -> Result<(Target<'_>, Option<&str>), Refusal> {
    if target.bytes().any(|b| !b.is_ascii_graphic() || b == b'#') {
        return Err(Refusal::malformed(
            "the request target has a tab or a fragment; neither may stand there",
        ));
    }
    if target == "*" && method == Method::Options {
        return Ok((Target::Server, None));
    }
    if target.starts_with('/') {
        return Ok((resource(target), None));
    }
    let scheme = "http://";
    let rest = target
        .get(..scheme.len())
        .filter(|start| start.eq_ignore_ascii_case(scheme))
        .and_then(|_| target.get(scheme.len()..))
        .ok_or_else(|| {
            Refusal::malformed(format!(
                "the request target {:?} is neither a path that starts with / nor an http:// URL",
                field::excerpt(target)
            ))
        })?;
    let authority_length = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_length);
    field::check_host(authority)?;
    Ok((resource(path), Some(authority)))
}

/// Path and query. An empty path is the root (RFC 9112, 3.2.1).
fn resource(target: &str) -> Target<'_> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = if path.is_empty() { "/" } else { path };
    Target::Resource { path, query }
}

/// The refusal of a target of more than [`TARGET_MAX`] bytes.
pub(super) fn target_too_long() -> Refusal {
    Refusal::new(
        Kind::UriTooLong,
        format!("the request target has more than the {TARGET_MAX} bytes allowed"),
    )
}
