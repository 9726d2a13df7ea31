"""What a generator of requests cannot know of this server."""

import hashlib
import hmac
import json
import os
import re

import requests
import schemathesis

SECRET = os.environ["MECHA_TEST_SECRET"]
WORKER = os.environ["MECHA_TEST_WORKER"]
FORM = "application/x-www-form-urlencoded"


class Signature(requests.auth.AuthBase):
    """Signs the exact bytes that are sent, as the sender of the source does."""

    def __init__(self, source):
        self.source = source

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        tag = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        header, value = {
            "github": ("X-Hub-Signature-256", f"sha256={tag}"),
            "gitlab": ("X-Gitlab-Token", SECRET),
            "builds": ("X-Signature", tag),
        }[self.source]
        request.headers[header] = value
        return request


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.label == "POST /webhook/{source}":
        prepare_delivery(case, kwargs)
    elif case.operation.label == "GET /task/{id}":
        shorten_wait(case)
    elif case.operation.label == "PUT /worker/{name}":
        stay_at_home(case)
    elif case.operation.label == "GET /stream" and "last_event_id" in (case.query or {}):
        # The header hides the parameter, and what is wrong with it.
        (case.headers or {}).pop("Last-Event-ID", None)


def prepare_delivery(case, kwargs):
    body = case.body
    if case.media_type == FORM and isinstance(body, dict):
        # Of the sources here GitHub alone sends forms, and the text in them is JSON.
        case.path_parameters["source"] = "github"
        payload = body.get("payload")
        if payload is None or isinstance(payload, str):
            case.body = {**body, "payload": json.dumps({"text": payload})}
    source = case.path_parameters.get("source")
    if source not in ("github", "gitlab", "builds"):
        return
    headers = case.headers if case.headers is not None else {}
    # A third of the deliveries stays as it was made up, and is mostly refused.
    if len(repr(body)) % 3 == 0:
        return
    types = {"github": ("X-GitHub-Event", "pull_request.opened"), "builds": ("X-Event", "nightly")}
    if source in types and len(repr(body)) % 3 == 1:
        name, value = types[source]
        headers[name] = value
        case.headers = headers
    kwargs["auth"] = Signature(source)


def shorten_wait(case):
    """A wait of a minute is nothing but a wait; the answer is the same after less."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, str) and re.fullmatch(r"[0-9]+(ms|s|m|h|d)", wait):
        if wait not in ("0s", "0ms", "1ms"):
            case.query["wait"] = "100ms"


def stay_at_home(case):
    """A worker is asked for its health at once, and nobody else's host may be. What is an endpoint
    is tested in the room that reads it."""
    body = case.body
    if isinstance(body, dict):
        endpoint = body.get("endpoint")
        if isinstance(endpoint, str) and endpoint.lower().startswith("http://"):
            case.body = {**body, "endpoint": WORKER}
