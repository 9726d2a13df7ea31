//! A webhook's payload as GitHub sends it.

use std::fmt::Write as _;

/// Bytes of the `pull_request.opened` among GitHub's published examples.
pub(crate) const PAYLOAD_BYTES: usize = 21_370;

/// What GitHub tells of a pull request, filled up to `bytes` with what it tells besides.
pub(crate) fn pull_request(bytes: usize) -> String {
    let mut payload = String::from(
        r#"{"action":"opened","number":7,"pull_request":{"number":7,"title":"Add a cache","body":"It makes the start faster.","html_url":"https://github.com/octo/hello/pull/7","draft":false,"head":{"ref":"cache","sha":"6dcb09b5b57875f334f61aebed695e2e4193db5e"},"base":{"ref":"main"},"labels":[{"name":"bug"}]},"repository":{"name":"hello","full_name":"octo/hello","owner":{"login":"octo"}},"sender":{"login":"mona"},"links":["#,
    );
    let mut number = 0_u32;
    while payload.len() + 130 < bytes {
        let separator = if number == 0 { "" } else { "," };
        let _ = write!(
            payload,
            "{separator}{{\"id\":{},\"url\":\"https://api.github.com/repos/octo/hello/issues/{number}/labels{{/name}}\",\"type\":\"User\",\"admin\":false}}",
            186_853_002 + number
        );
        number += 1;
    }
    let end = r#"],"filler":""}"#.len();
    let filler = "x".repeat(bytes.saturating_sub(payload.len() + end));
    let _ = write!(payload, r#"],"filler":"{filler}"}}"#);
    payload
}
