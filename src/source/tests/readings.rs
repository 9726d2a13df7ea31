//! What is read of each sender: small bodies of each family of events.

use super::*;

/// Kind, header, body; then type, actor, subject, and the attributes as JSON.
type Case<'a> = (
    Kind,
    &'a [(&'a str, &'a str)],
    &'a str,
    &'a str,
    Option<&'a str>,
    Option<&'a str>,
    &'a str,
);

fn check(cases: &[Case<'_>]) {
    for (kind, fields, body, event_type, actor, subject, attributes) in cases {
        let read = delivery(&source(*kind, &[&secret_of(*kind, 1)]), fields, body);
        assert_eq!(read.event_type, *event_type, "{kind} {body}");
        assert_eq!(read.actor.as_deref(), *actor, "{kind} {body}");
        assert_eq!(read.subject.as_deref(), *subject, "{kind} {body}");
        let found = serde_json::to_string(&read.attributes).unwrap();
        assert_eq!(found, *attributes, "{kind} {body}");
        assert_eq!(read.payload, *body);
        assert_eq!(read.source, "here");
    }
}

#[test]
fn pull_requests_and_issues_of_github_are_read() {
    check(&[
        (
            Kind::Github,
            &[("x-github-event", "pull_request")],
            r#"{"action": "opened", "number": 7, "pull_request": {"number": 7, "title": "Add", "body": "Why", "draft": false,
              "html_url": "https://h/ann/app/pull/7", "head": {"ref": "topic", "sha": "aaa"}, "base": {"ref": "main", "sha": "bbb"},
              "labels": [{"name": "bug"}, {"name": "ui"}], "user": {"login": "bob"}},
              "repository": {"name": "app", "full_name": "ann/app", "owner": {"login": "ann"}, "html_url": "https://h/ann/app"},
              "sender": {"login": "bob"}}"#,
            "pull_request.opened",
            Some("bob"),
            Some("ann/app"),
            r#"{"base_branch":"main","body":"Why","draft":false,"head_branch":"topic","head_sha":"aaa","labels":["bug","ui"],"number":7,"repo_name":"app","repo_owner":"ann","sender":"bob","title":"Add","url":"https://h/ann/app/pull/7"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "issue_comment")],
            r#"{"action": "created", "issue": {"number": 3, "title": "Broken", "body": "It is", "labels": [], "html_url": "https://h/i/3"},
              "comment": {"body": "/fix", "html_url": "https://h/i/3#c1"}, "repository": {"full_name": "ann/app"}, "sender": {"login": "bob"}}"#,
            "issue_comment.created",
            Some("bob"),
            Some("ann/app"),
            r#"{"body":"/fix","labels":[],"number":3,"repo_name":"app","repo_owner":"ann","sender":"bob","title":"Broken","url":"https://h/i/3#c1"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "pull_request_review")],
            r#"{"action": "submitted", "review": {"state": "approved", "body": null, "html_url": "https://h/r"},
              "pull_request": {"number": 7, "title": "Add", "body": "Why"}, "sender": {"login": "bob"}}"#,
            "pull_request_review.submitted",
            Some("bob"),
            None,
            r#"{"number":7,"sender":"bob","title":"Add","url":"https://h/r"}"#,
        ),
    ]);
}

#[test]
fn pushes_and_branches_of_github_are_read() {
    check(&[
        (
            Kind::Github,
            &[("x-github-event", "push")],
            r#"{"ref": "refs/heads/a/b", "after": "ccc", "compare": "https://h/compare", "head_commit": {"id": "ccc", "message": "Mend it\n\nAt last"},
              "repository": {"name": "app", "full_name": "ann/app", "owner": {"name": "ann"}}, "sender": {"login": "ann"}}"#,
            "push",
            Some("ann"),
            Some("ann/app"),
            r#"{"body":"Mend it\n\nAt last","head_branch":"a/b","head_sha":"ccc","ref":"refs/heads/a/b","repo_name":"app","repo_owner":"ann","sender":"ann","title":"Mend it","url":"https://h/compare"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "push")],
            r#"{"ref": "refs/tags/v1", "after": "ccc", "head_commit": null}"#,
            "push",
            None,
            None,
            r#"{"head_sha":"ccc","ref":"refs/tags/v1"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "create")],
            r#"{"ref": "topic", "ref_type": "branch"}"#,
            "create",
            None,
            None,
            r#"{"head_branch":"topic","ref":"topic"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "create")],
            r#"{"ref": "v1", "ref_type": "tag", "description": "An app", "repository": {"html_url": "https://h/app"}}"#,
            "create",
            None,
            None,
            r#"{"ref":"v1","url":"https://h/app"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "status")],
            r#"{"sha": "aaa", "state": "failure", "context": "ci/build", "description": "It broke", "target_url": "https://h/b"}"#,
            "status",
            None,
            None,
            r#"{"body":"It broke","head_sha":"aaa","title":"ci/build","url":"https://h/b"}"#,
        ),
    ]);
}

#[test]
fn releases_and_runs_of_github_are_read() {
    check(&[
        (
            Kind::Github,
            &[("x-github-event", "release")],
            r#"{"action": "published", "release": {"tag_name": "v1", "name": "One", "body": "News", "draft": false, "html_url": "https://h/v1"}}"#,
            "release.published",
            None,
            None,
            r#"{"body":"News","draft":false,"ref":"v1","title":"One","url":"https://h/v1"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "workflow_run")],
            r#"{"action": "completed", "workflow_run": {"name": "CI", "display_title": "Add", "head_branch": "topic", "head_sha": "aaa",
              "html_url": "https://h/run", "pull_requests": [{"number": 7}, {"number": 8}]}}"#,
            "workflow_run.completed",
            None,
            None,
            r#"{"head_branch":"topic","head_sha":"aaa","number":7,"title":"Add","url":"https://h/run"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "check_run")],
            r#"{"action": "completed", "check_run": {"name": "lint", "head_sha": "aaa", "html_url": "https://h/c", "pull_requests": [],
              "output": {"title": "2 errors", "summary": "in a.rs"}, "check_suite": {"head_branch": "topic"}}}"#,
            "check_run.completed",
            None,
            None,
            r#"{"body":"in a.rs","head_branch":"topic","head_sha":"aaa","title":"2 errors","url":"https://h/c"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "discussion_comment")],
            r#"{"action": "created", "discussion": {"number": 9, "title": "How", "body": "?", "labels": [{"name": "q"}]}, "comment": {"body": "So"}}"#,
            "discussion_comment.created",
            None,
            None,
            r#"{"body":"So","labels":["q"],"number":9,"title":"How"}"#,
        ),
        (
            Kind::Github,
            &[("x-github-event", "ping")],
            r#"{"zen": "Keep it"}"#,
            "ping",
            None,
            None,
            "{}",
        ),
        (Kind::Github, &[], "[1, 2]", "event", None, None, "{}"),
        (
            Kind::Github,
            &[("x-github-event", "issues")],
            r#"{"action": 5, "issue": {"number": "3", "title": 4, "labels": {"name": "x"}}, "sender": [], "repository": "ann/app"}"#,
            "issues.5",
            None,
            None,
            "{}",
        ),
    ]);
}

#[test]
fn events_of_gitea_and_forgejo_are_read_as_githubs_are() {
    let body = r#"{"action": "opened", "number": 7, "pull_request": {"title": "Add", "html_url": "https://h/7"},
        "repository": {"name": "app", "full_name": "ann/app", "owner": {"login": "ann"}}, "sender": {"login": "bob"}}"#;
    let attributes = r#"{"number":7,"repo_name":"app","repo_owner":"ann","sender":"bob","title":"Add","url":"https://h/7"}"#;
    for (kind, name) in [
        (Kind::Gitea, "x-gitea-event"),
        (Kind::Gitea, "x-github-event"),
        (Kind::Forgejo, "x-forgejo-event"),
        (Kind::Forgejo, "x-gitea-event"),
    ] {
        let fields = [(name, "pull_request")];
        check(&[(
            kind,
            &fields,
            body,
            "pull_request.opened",
            Some("bob"),
            Some("ann/app"),
            attributes,
        )]);
    }
    check(&[(
        Kind::Forgejo,
        &[("x-forgejo-event", "push")],
        r#"{"ref": "refs/heads/main", "after": "ccc", "compare_url": "https://h/compare", "head_commit": {"message": "Mend"}}"#,
        "push",
        None,
        None,
        r#"{"body":"Mend","head_branch":"main","head_sha":"ccc","ref":"refs/heads/main","title":"Mend","url":"https://h/compare"}"#,
    )]);
}

#[test]
fn events_of_gitlab_are_read() {
    check(&[
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "merge_request", "user": {"username": "bob"}, "project": {"path_with_namespace": "group/sub/app", "web_url": "https://h/app"},
              "labels": [{"title": "bug"}], "object_attributes": {"id": 99, "iid": 7, "action": "open", "title": "Add", "description": "Why",
              "source_branch": "topic", "target_branch": "main", "last_commit": {"id": "aaa"}, "draft": true, "work_in_progress": true, "url": "https://h/7"}}"#,
            "merge_request.open",
            Some("bob"),
            Some("group/sub/app"),
            r#"{"base_branch":"main","body":"Why","draft":true,"head_branch":"topic","head_sha":"aaa","labels":["bug"],"number":7,"repo_name":"app","repo_owner":"group/sub","sender":"bob","title":"Add","url":"https://h/7"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "note", "user": {"username": "bob"}, "project": {"path_with_namespace": "ann/app"},
              "object_attributes": {"id": 5, "note": "/fix", "action": "create", "url": "https://h/7#n5"},
              "merge_request": {"iid": 7, "title": "Add", "description": "Why", "source_branch": "topic", "target_branch": "main", "labels": [], "last_commit": {"id": "aaa"}}}"#,
            "note.create",
            Some("bob"),
            Some("ann/app"),
            r#"{"base_branch":"main","body":"/fix","head_branch":"topic","head_sha":"aaa","labels":[],"number":7,"repo_name":"app","repo_owner":"ann","sender":"bob","title":"Add","url":"https://h/7#n5"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "push", "ref": "refs/heads/main", "after": "ccc", "checkout_sha": "ccc", "user_username": "ann",
              "project": {"path_with_namespace": "ann/app", "web_url": "https://h/app"}, "commits": [{"message": "First"}, {"message": "Last\nof two"}]}"#,
            "push",
            Some("ann"),
            Some("ann/app"),
            r#"{"body":"Last\nof two","head_branch":"main","head_sha":"ccc","ref":"refs/heads/main","repo_name":"app","repo_owner":"ann","sender":"ann","title":"Last","url":"https://h/app"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "pipeline", "object_attributes": {"iid": 40, "ref": "topic", "tag": false, "sha": "aaa", "status": "failed", "url": "https://h/p"},
              "merge_request": {"iid": 7, "title": "Add", "source_branch": "topic", "target_branch": "main"}}"#,
            "pipeline",
            None,
            None,
            r#"{"base_branch":"main","head_branch":"topic","head_sha":"aaa","number":7,"ref":"topic","title":"Add","url":"https://h/p"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "build", "ref": "main", "tag": false, "sha": "aaa"}"#,
            "build",
            None,
            None,
            r#"{"head_branch":"main","head_sha":"aaa","ref":"main"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"object_kind": "release", "name": "One", "tag": "v1", "description": "News", "url": "https://h/v1", "commit": {"id": "aaa"}}"#,
            "release",
            None,
            None,
            r#"{"body":"News","head_sha":"aaa","ref":"v1","title":"One","url":"https://h/v1"}"#,
        ),
        (
            Kind::Gitlab,
            &[],
            r#"{"event_name": "project_create"}"#,
            "project_create",
            None,
            None,
            "{}",
        ),
    ]);
    let gitlab = source(Kind::Gitlab, &["s"]);
    for (fields, id) in [
        (
            vec![
                ("x-gitlab-event-uuid", "u"),
                ("idempotency-key", "k"),
                ("webhook-id", "w"),
            ],
            "w",
        ),
        (
            vec![("x-gitlab-event-uuid", "u"), ("idempotency-key", "k")],
            "k",
        ),
        (
            vec![("x-gitlab-event-uuid", "u"), ("idempotency-key", "")],
            "u",
        ),
    ] {
        assert_eq!(delivery(&gitlab, &fields, "{}").delivery_id, id);
    }
}

#[test]
fn events_of_atlassian_are_read() {
    check(&[
        (
            Kind::Bitbucket,
            &[("x-event-key", "pullrequest:created")],
            r#"{"actor": {"nickname": "bob", "display_name": "Bob B"}, "repository": {"full_name": "ann/app"},
              "pullrequest": {"id": 7, "title": "Add", "description": "Why", "draft": false, "source": {"branch": {"name": "topic"}, "commit": {"hash": "aaa"}},
              "destination": {"branch": {"name": "main"}}, "links": {"html": {"href": "https://h/7"}}}}"#,
            "pullrequest:created",
            Some("bob"),
            Some("ann/app"),
            r#"{"base_branch":"main","body":"Why","draft":false,"head_branch":"topic","head_sha":"aaa","number":7,"repo_name":"app","repo_owner":"ann","sender":"bob","title":"Add","url":"https://h/7"}"#,
        ),
        (
            Kind::Bitbucket,
            &[("x-event-key", "repo:push")],
            r#"{"repository": {"full_name": "ann/app"}, "push": {"changes": [{"new": {"type": "branch", "name": "main", "target": {"hash": "ccc", "message": "Mend\n"}},
              "links": {"html": {"href": "https://h/compare"}}}]}}"#,
            "repo:push",
            None,
            Some("ann/app"),
            r#"{"body":"Mend\n","head_branch":"main","head_sha":"ccc","ref":"main","repo_name":"app","repo_owner":"ann","title":"Mend","url":"https://h/compare"}"#,
        ),
        (
            Kind::Bitbucket,
            &[("x-event-key", "pr:opened")],
            r#"{"actor": {"name": "bob"}, "pullRequest": {"id": 7, "title": "Add", "fromRef": {"displayId": "topic", "latestCommit": "aaa"},
              "toRef": {"displayId": "main", "repository": {"slug": "app", "project": {"key": "ANN"}}}, "links": {"self": [{"href": "https://h/7"}]}}}"#,
            "pr:opened",
            Some("bob"),
            Some("ANN/app"),
            r#"{"base_branch":"main","head_branch":"topic","head_sha":"aaa","number":7,"repo_name":"app","repo_owner":"ANN","sender":"bob","title":"Add","url":"https://h/7"}"#,
        ),
        (
            Kind::Jira,
            &[],
            r#"{"webhookEvent": "jira:issue_created", "user": {"displayName": "Bob B"}, "issue": {"key": "APP-1", "self": "https://h/APP-1",
              "fields": {"summary": "Broken", "description": "It is", "labels": ["bug"]}}}"#,
            "jira:issue_created",
            Some("Bob B"),
            Some("APP-1"),
            r#"{"body":"It is","labels":["bug"],"sender":"Bob B","title":"Broken","url":"https://h/APP-1"}"#,
        ),
        (
            Kind::Jira,
            &[],
            r#"{"webhookEvent": "comment_created", "comment": {"body": "/fix", "author": {"displayName": "Ann"}}, "issue": {"key": "APP-1", "fields": {"description": {"type": "doc"}}}}"#,
            "comment_created",
            Some("Ann"),
            Some("APP-1"),
            r#"{"body":"/fix","sender":"Ann"}"#,
        ),
    ]);
    let jira = source(Kind::Jira, &["s"]);
    let fields = [("x-atlassian-webhook-identifier", "w")];
    assert_eq!(delivery(&jira, &fields, "{}").delivery_id, "w");
    let bitbucket = source(Kind::Bitbucket, &["s"]);
    for (fields, id) in [
        (vec![("x-request-id", "r"), ("x-request-uuid", "u")], "u"),
        (vec![("x-request-id", "r")], "r"),
    ] {
        assert_eq!(delivery(&bitbucket, &fields, "{}").delivery_id, id);
    }
}

#[test]
fn events_of_chats_are_read() {
    check(&[
        (
            Kind::Slack,
            &[],
            r#"{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention", "user": "U1", "text": "<@U0> hi", "channel": "C1", "ts": "1.2", "thread_ts": "1.1"}}"#,
            "app_mention",
            Some("U1"),
            Some("C1"),
            r#"{"channel":"C1","sender":"U1","text":"<@U0> hi","thread":"1.1"}"#,
        ),
        (
            Kind::Slack,
            &[],
            r#"{"type": "event_callback", "event": {"type": "message", "subtype": "message_changed", "channel": "C1", "message": {"user": "U1", "text": "hi"}}}"#,
            "message.message_changed",
            Some("U1"),
            Some("C1"),
            r#"{"channel":"C1","sender":"U1","text":"hi"}"#,
        ),
        (
            Kind::Slack,
            &[],
            r#"{"type": "event_callback", "event": {"type": "reaction_added", "user": "U1", "item": {"channel": "C1"}}}"#,
            "reaction_added",
            Some("U1"),
            Some("C1"),
            r#"{"channel":"C1","sender":"U1"}"#,
        ),
        (
            Kind::Slack,
            &[],
            r#"{"type": "app_rate_limited"}"#,
            "app_rate_limited",
            None,
            None,
            "{}",
        ),
        (
            Kind::Telegram,
            &[],
            r#"{"update_id": 10, "message": {"message_id": 1, "message_thread_id": 4, "from": {"id": 5, "username": "bob"}, "chat": {"id": -100123}, "text": "hi"}}"#,
            "message",
            Some("bob"),
            Some("-100123"),
            r#"{"channel":"-100123","sender":"bob","text":"hi","thread":"4"}"#,
        ),
        (
            Kind::Telegram,
            &[],
            r#"{"callback_query": {"from": {"id": 5}, "data": "yes", "message": {"chat": {"id": 7}}}, "update_id": 11}"#,
            "callback_query",
            Some("5"),
            Some("7"),
            r#"{"channel":"7","sender":"5","text":"yes"}"#,
        ),
        (
            Kind::Telegram,
            &[],
            r#"{"update_id": 12, "channel_post": {"sender_chat": {"id": -9, "username": "news"}, "chat": {"id": -9}, "caption": "look"}}"#,
            "channel_post",
            Some("news"),
            Some("-9"),
            r#"{"channel":"-9","sender":"news","text":"look"}"#,
        ),
        (
            Kind::Telegram,
            &[],
            r#"{"update_id": 13}"#,
            "event",
            None,
            None,
            "{}",
        ),
    ]);
    let slack = source(Kind::Slack, &["s"]);
    assert_eq!(
        delivery(&slack, &[], r#"{"event_id": "Ev1"}"#).delivery_id,
        "Ev1"
    );
    let telegram = source(Kind::Telegram, &["s"]);
    assert_eq!(
        delivery(&telegram, &[], r#"{"update_id": 10, "poll": {}}"#).delivery_id,
        "10"
    );
}

#[test]
fn forms_of_slack_become_json() {
    let slack = source(Kind::Slack, &["s"]);
    let fields = [("content-type", form::MEDIA_TYPE)];
    let command = "token=t&command=%2Ffix&text=a+%22b%22&user_id=U1&channel_id=C1&trigger_id=1.2";
    let read = delivery(&slack, &fields, command);
    assert_eq!(
        read.payload,
        r#"{"token":"t","command":"/fix","text":"a \"b\"","user_id":"U1","channel_id":"C1","trigger_id":"1.2"}"#
    );
    assert_eq!(read.event_type, "command");
    assert_eq!(
        (read.actor.as_deref(), read.subject.as_deref()),
        (Some("U1"), Some("C1"))
    );
    let attributes = serde_json::to_string(&read.attributes).unwrap();
    assert_eq!(
        attributes,
        r#"{"channel":"C1","sender":"U1","text":"a \"b\""}"#
    );

    let interaction = "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%2C%22channel%22%3A%7B%22id%22%3A%22C1%22%7D%7D";
    let read = delivery(&slack, &fields, interaction);
    assert_eq!(
        read.payload,
        r#"{"type":"block_actions","user":{"id":"U1"},"channel":{"id":"C1"}}"#
    );
    assert_eq!(read.event_type, "block_actions");
    assert_eq!(
        (read.actor.as_deref(), read.subject.as_deref()),
        (Some("U1"), Some("C1"))
    );
}

#[test]
fn slack_is_shown_its_challenge() {
    let slack = source(Kind::Slack, &["s"]);
    let read = |body: &str| slack.read(&Vec::new(), body.as_bytes().to_vec()).unwrap();
    let asked = read(r#"{"type": "url_verification", "challenge": "3eZb"}"#);
    assert_eq!(asked, Message::Challenge("3eZb".to_owned()));
    for other in [
        r#"{"type": "url_verification"}"#,
        r#"{"type": "event_callback", "challenge": "3eZb"}"#,
    ] {
        assert!(matches!(read(other), Message::Delivery(_)), "{other}");
    }
}

#[test]
fn events_of_the_others_are_read() {
    check(&[
        (
            Kind::Stripe,
            &[],
            r#"{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"id": "in_1"}}}"#,
            "invoice.paid",
            None,
            Some("in_1"),
            "{}",
        ),
        (
            Kind::Shopify,
            &[
                ("x-shopify-topic", "orders/create"),
                ("x-shopify-shop-domain", "a.example"),
            ],
            r#"{"id": 1}"#,
            "orders/create",
            None,
            Some("a.example"),
            "{}",
        ),
        (
            Kind::Shopify,
            &[("shopify-topic", "orders/create")],
            "{}",
            "orders/create",
            None,
            None,
            "{}",
        ),
        (
            Kind::Linear,
            &[("linear-event", "Issue")],
            r#"{"action": "create", "type": "Issue", "actor": {"name": "Ann"}, "url": "https://h/APP-1",
              "data": {"id": "u-1", "identifier": "APP-1", "number": 1, "title": "Broken", "description": "It is", "labels": [{"name": "bug"}]}}"#,
            "Issue.create",
            Some("Ann"),
            Some("APP-1"),
            r#"{"body":"It is","labels":["bug"],"number":1,"sender":"Ann","title":"Broken","url":"https://h/APP-1"}"#,
        ),
        (
            Kind::Linear,
            &[],
            r#"{"action": "create", "type": "Comment", "data": {"id": "u-2", "body": "/fix", "issue": {"title": "Broken"}}}"#,
            "Comment.create",
            None,
            Some("u-2"),
            r#"{"body":"/fix","title":"Broken"}"#,
        ),
        (
            Kind::Standard,
            &[],
            r#"{"type": "response.completed"}"#,
            "response.completed",
            None,
            None,
            "{}",
        ),
        (
            Kind::Standard,
            &[],
            r#"{"type": null}"#,
            "event",
            None,
            None,
            "{}",
        ),
        (
            Kind::Hmac,
            &[("x-type", "a")],
            r#"{"event": {"name": "b"}}"#,
            "a",
            None,
            None,
            "{}",
        ),
        (
            Kind::Hmac,
            &[("x-type", "")],
            r#"{"event": {"name": "b"}}"#,
            "b",
            None,
            None,
            "{}",
        ),
        (Kind::Hmac, &[], r#""text""#, "event", None, None, "{}"),
    ]);
}

#[test]
fn deliveries_have_their_senders_ids() {
    for (kind, fields, body, id) in [
        (Kind::Stripe, vec![], r#"{"id": "evt_1"}"#, "evt_1"),
        (
            Kind::Shopify,
            vec![("x-shopify-webhook-id", "w")],
            "{}",
            "w",
        ),
        (Kind::Linear, vec![("linear-delivery", "l")], "{}", "l"),
        (Kind::Standard, vec![("webhook-id", "m")], "{}", "m"),
        (Kind::Hmac, vec![], r#"{"event": {"id": 5}}"#, "5"),
        (Kind::Github, vec![("x-github-delivery", "g")], "{}", "g"),
        (Kind::Forgejo, vec![("x-gitea-delivery", "g")], "{}", "g"),
    ] {
        let source = source(kind, &[&secret_of(kind, 1)]);
        assert_eq!(delivery(&source, &fields, body).delivery_id, id, "{kind}");
    }
}

#[test]
fn what_is_no_json_is_unreadable_for_every_kind() {
    for kind in Kind::ALL {
        let source = source(kind, &[&secret_of(kind, 1)]);
        let read =
            |fields: &[(&str, &str)], body: &[u8]| source.read(&headers(fields), body.to_vec());
        for (body, wanted) in [
            (&b""[..], "the payload is empty"),
            (b" \n", "the payload is empty"),
            (b"{\n  s3cr3t", "the payload is not JSON (line 2, column 3)"),
            (
                b"{\"a\": 1} x",
                "the payload is not JSON (line 1, column 10)",
            ),
            (b"\xff", "the payload is not UTF-8"),
        ] {
            let error = read(&[], body).unwrap_err();
            assert_eq!(error.to_string(), wanted, "{kind}");
        }
        for body in ["null", "[]", "5", "{}"] {
            assert!(read(&[], body.as_bytes()).is_ok(), "{kind} {body}");
        }
        if !kind.sends_forms() {
            continue;
        }
        let form = [("content-type", form::MEDIA_TYPE)];
        let error = read(&form, b"payload=%zz").unwrap_err();
        assert!(error.to_string().contains("% stands without"), "{error}");
        let error = read(&form, b"payload=x").unwrap_err();
        assert_eq!(error, Unreadable::NotJson { line: 1, column: 1 });
        assert_eq!(read(&form, b"a=1").is_ok(), kind == Kind::Slack);
        // What is JSON stays JSON, whatever a header makes of it.
        let json = br#"{"a": "&payload={}"}"#;
        let Ok(Message::Delivery(read)) = read(&form, json) else {
            panic!("{kind}");
        };
        assert_eq!(read.payload.as_bytes(), json);
    }
}

#[test]
fn the_body_becomes_the_payload_without_a_copy() {
    let body = br#"{"action": "opened"}"#.to_vec();
    let place = body.as_ptr();
    let Ok(Message::Delivery(read)) = source(Kind::Github, &["s"]).read(&Vec::new(), body) else {
        panic!("no delivery");
    };
    assert_eq!(read.payload.as_ptr(), place);
}
