//! The web page.
//!
//! It wants no key, as it holds no data and has to ask its reader for one. A foreign page may
//! lead to it by a link and do nothing else with it. A name that was rebound to this server gets
//! neither the page, where no key is set, nor, as everywhere, an answer of the API; where one is
//! set, the key that the reader's browser keeps belongs to the real name.

use super::Api;
use super::error::ApiError;
use super::memory::{byte_count, grow_to};
use crate::http::{Head, Reply};
use crate::page::{Page, page};

impl Api {
    /// `GET /`
    pub(super) async fn show_page(&self, head: &Head) -> Result<Reply, ApiError> {
        let Page {
            document,
            policy,
            tag,
        } = page();
        let is_known = head
            .header("if-none-match")
            .is_some_and(|tags| names(tags, tag));
        let reply = if is_known {
            Reply::empty(304)
        } else {
            let mut permit = self.budget.empty();
            grow_to(&self.budget, &mut permit, byte_count(document.len())).await?;
            Reply {
                permit: Some(permit),
                ..Reply::html(document.clone().into_bytes())
            }
        };
        Ok(reply
            .with_header("etag", tag)
            .with_header("cache-control", "no-cache")
            .with_header("content-security-policy", policy)
            .with_header("referrer-policy", "no-referrer")
            .with_header("x-content-type-options", "nosniff"))
    }
}

/// Whether the value of `If-None-Match` names the entity tag, by weak comparison (RFC 9110,
/// 13.1.2).
fn names(tags: &str, tag: &str) -> bool {
    tags.trim() == "*"
        || tags
            .split(',')
            .map(str::trim)
            .any(|named| named.strip_prefix("W/").unwrap_or(named) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list() {
        for (tags, is_there) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b\",W/\"a\" ", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("\"a", false),
            ("", false),
            ("w/\"a\"", false),
        ] {
            assert_eq!(names(tags, "\"a\""), is_there, "{tags}");
        }
    }
}
