#!/usr/bin/env python3
"""Asks a server that speaks OpenAI's chat completions. The prompt is on standard input, the result a JSON object."""
import json, os, sys, urllib.error, urllib.request
question = {"model": os.environ["MODEL"], "messages": [{"role": "user", "content": sys.stdin.read()}]}
headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("API_KEY", "none")}
try:
    with urllib.request.urlopen(urllib.request.Request(os.environ["BASE_URL"] + "/chat/completions", json.dumps(question).encode(), headers)) as answer:
        reply = json.load(answer)
except urllib.error.HTTPError as error:
    sys.exit(f"{error.url} answered {error.code}: {error.read(1000).decode(errors='replace')}")
print(json.dumps({"output": reply["choices"][0]["message"]["content"], "metadata": {"model": reply.get("model"), "usage": reply.get("usage")}}))
