//! Properties of what callers send that hold for every input; see `http::properties`.
#![doc(hidden)]

use super::submission::Submission;

/// A body is refused, or has a prompt and, if any, a context that is a JSON object.
pub fn api_body(input: &[u8]) {
    let Ok(submission) = Submission::parse(input) else {
        return;
    };
    assert!(!submission.prompt.is_empty());
    assert_ne!(submission.worker.as_deref(), Some(""));
    if let Some(context) = submission.context {
        let mut values = serde_json::Deserializer::from_str(&context)
            .into_iter::<&serde_json::value::RawValue>();
        assert!(values.next().is_some_and(|value| value.is_ok()));
        assert!(values.next().is_none());
        assert!(context.starts_with('{'));
    }
}
