//! A request as the rest of the program sees it: method, target, header fields and body.

use std::sync::Arc;

use super::fields::Fields;
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
    pub path: Arc<str>,
    /// Query of the target as it came, without the `?`; empty where there is none.
    pub query: String,
    fields: Fields,
}

impl Head {
    /// A head made of its parts. Of `fields`, those that are not ASCII are left out.
    pub fn new<'a>(
        method: Method,
        path: &str,
        query: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self::with_room(0, method, (path, query), fields)
    }

    /// The same, of fields that have `bytes` bytes.
    pub(super) fn with_room<'a>(
        bytes: usize,
        method: Method,
        (path, query): (&str, &str),
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut read = Fields::with_room(bytes);
        for (name, value) in fields {
            read.push(name, value);
        }
        Self {
            method,
            path: path.into(),
            query: query.to_owned(),
            fields: read,
        }
    }

    /// The first value of the header `name`, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.values(name).next()
    }

    /// How many fields of that name there are.
    pub fn header_count(&self, name: &str) -> usize {
        self.fields.values(name).count()
    }

    /// All fields, in no particular order of names; those of one name in the order they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter()
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
