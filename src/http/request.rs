//! A request as the rest of the program sees it: method, target, header fields and body.

use http_types::headers::{HeaderName, HeaderValue, HeaderValues};

use crate::budget::Permit;

/// A request's method. Others are answered with 501 before anybody sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
}

impl Method {
    /// The method's name as it stands in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
        }
    }

    /// The method of that name. Names are case-sensitive (RFC 9110, 9.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            _ => return None,
        })
    }

    /// Whether a request of this method is expected to say how long its body is.
    pub(super) fn carries_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A request's line and header, checked and bounded.
///
/// The fields that frame the message or concern the connection alone (`content-length`,
/// `transfer-encoding`, `connection`, `expect` and the like) are not among its headers.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path of the target as it came, still percent-encoded; starts with `/`.
    pub path: String,
    /// Query of the target as it came, without the `?`; empty where there is none.
    pub query: String,
    headers: Vec<(HeaderName, HeaderValues)>,
}

impl Head {
    /// A head made of its parts. Of `fields`, those that are not ASCII are left out.
    pub fn new<'a>(
        method: Method,
        path: &str,
        query: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut head = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
        };
        for (name, value) in fields {
            head.append(name, value);
        }
        head
    }

    /// The head of a decoded request, with `host` in place of the one that was decoded.
    pub(super) fn of(
        decoded: http_types::Request,
        method: Method,
        target: (&str, &str),
        host: Option<&str>,
    ) -> Self {
        let (path, query) = target;
        let mut head = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: decoded.into_iter().collect(),
        };
        head.headers.retain(|(name, _)| name.as_str() != "host");
        if let Some(host) = host {
            head.append("host", host);
        }
        head
    }

    fn append(&mut self, name: &str, value: &str) {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        else {
            return;
        };
        match self.headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.append(&mut HeaderValues::from(value)),
            None => self.headers.push((name, HeaderValues::from(value))),
        }
    }

    /// The first value of the header `name`, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name)?.iter().next().map(HeaderValue::as_str)
    }

    /// How many fields of that name there are.
    pub fn header_count(&self, name: &str) -> usize {
        self.values(name).map_or(0, |values| values.iter().count())
    }

    /// All fields, in no particular order of names; those of one name in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().flat_map(|(name, values)| {
            values
                .iter()
                .map(move |value| (name.as_str(), value.as_str()))
        })
    }

    /// A head has few names, so that looking at each is cheaper than hashing one; and the map of
    /// `http_types` would allocate for each look.
    fn values(&self, name: &str) -> Option<&HeaderValues> {
        self.headers
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, values)| values)
    }
}

/// A whole request.
#[derive(Debug)]
pub struct Request {
    /// Line and header.
    pub head: Head,
    /// The body as it came, framing removed.
    pub body: Vec<u8>,
    /// The budget's permit for the body.
    pub permit: Permit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_name_and_counted() {
        let head = Head::new(
            Method::Get,
            "/",
            "",
            [("X-Api-Key", "a"), ("x-api-key", "b"), ("host", "h")],
        );
        assert_eq!(head.header("x-api-key"), Some("a"));
        assert_eq!(head.header_count("x-api-key"), 2);
        assert_eq!(head.header("host"), Some("h"));
        assert_eq!(head.header("absent"), None);
        assert_eq!(head.header_count("absent"), 0);
        assert_eq!(head.fields().count(), 3);
    }

    #[test]
    fn method_names_are_case_sensitive() {
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            assert_eq!(Method::from_name(name).map(Method::as_str), Some(name));
            assert_eq!(Method::from_name(&name.to_lowercase()), None);
        }
    }
}
