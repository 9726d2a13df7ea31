//! The grammar of single header fields: names, `Host`, `Content-Length`, codings and lists.

use std::net::Ipv6Addr;

use super::refusal::{Kind, Refusal};

/// Where a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// Name and value of a header line. The value is without the white space around it.
pub(super) fn split(line: &str) -> Result<(&str, &str), Refusal> {
    if line.starts_with([' ', '\t']) {
        return Err(Refusal::malformed(
            "a header line starts with white space; folded lines are not allowed",
        ));
    }
    let (name, value) = line.split_once(':').ok_or_else(|| {
        Refusal::malformed(format!("the header line {:?} has no colon", excerpt(line)))
    })?;
    if !is_token(name) {
        return Err(Refusal::malformed(format!(
            "{:?} is not the name of a header; letters, digits and hyphens may stand there, and the colon right behind",
            excerpt(name)
        )));
    }
    Ok((name, trim(value)))
}

/// `value` without the white space around it (RFC 9110, 5.5).
#[inline]
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches(|c| matches!(c, ' ' | '\t'))
}

/// Whether `text` is a token (RFC 9110, 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether `byte` may stand in a token.
#[inline]
pub(super) fn is_token_byte(byte: u8) -> bool {
    // A bit for each byte.
    const TOKEN_BYTES: u128 = {
        let mut bits = 0;
        let mut byte = 0;
        while byte < 128 {
            let is_mark = matches!(
                byte,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
            if is_mark || byte.is_ascii_alphanumeric() {
                bits |= 1 << byte;
            }
            byte += 1;
        }
        bits
    };
    byte.is_ascii() && TOKEN_BYTES >> byte & 1 == 1
}

/// The start of a peer's text, short enough for a message.
pub(super) fn excerpt(text: &str) -> &str {
    text.char_indices()
        .nth(60)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

/// Whether the comma-separated `list` has `token`, in any case.
pub(super) fn list_has(list: &str, token: &str) -> bool {
    list.split(',')
        .any(|element| trim(element).eq_ignore_ascii_case(token))
}

/// Checks that `host` is a host name or an IP address, with or without a port. Stricter than
/// RFC 3986: percent-encoding and the sub-delimiters are in no host that exists.
pub(super) fn check_host(host: &str) -> Result<(), Refusal> {
    let (name_is_valid, port) = if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or_default();
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        (!name.is_empty() && name.bytes().all(is_name), port)
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some("") => true,
        Some(digits) => is_digits(digits) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    if name_is_valid && port_is_valid {
        Ok(())
    } else {
        Err(Refusal::malformed(format!(
            "the host {:?} is not a host name or IP address with an optional port",
            excerpt(host)
        )))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The number in a `Content-Length`: 1 to 19 digits, so that it always fits.
pub(super) fn parse_content_length(value: &str) -> Result<u64, Refusal> {
    Some(value)
        .filter(|value| is_digits(value) && value.len() <= 19)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| {
            Refusal::malformed(format!(
                "the Content-Length {:?} is not a number of 1 to 19 digits",
                excerpt(value)
            ))
        })
}

/// Checks that the codings of a `Transfer-Encoding` are `chunked` alone.
///
/// Where it is not the last of them nobody knows where the body ends: 400 (RFC 9112, 6.3). Behind
/// others it could be told, but not decoded: 501 (RFC 9112, 6.1).
pub(super) fn check_codings(codings: &str) -> Result<(), Refusal> {
    let is_chunked = |coding: &str| coding.eq_ignore_ascii_case("chunked");
    if is_chunked(codings) {
        return Ok(());
    }
    let mut named = codings
        .split(',')
        .map(trim)
        .filter(|coding| !coding.is_empty());
    if let Some(last) = named.clone().next_back()
        && !is_chunked(last)
    {
        return Err(Refusal::malformed(format!(
            "the last transfer coding is {:?}, which does not say where the body ends; only chunked does",
            excerpt(last)
        )));
    }
    Err(match named.find(|coding| !is_chunked(coding)) {
        Some(coding) => Refusal::new(
            Kind::NotImplemented,
            format!(
                "the transfer coding {:?} is not implemented; chunked is",
                excerpt(coding)
            ),
        ),
        None => Refusal::malformed("Transfer-Encoding must name chunked exactly once"),
    })
}
