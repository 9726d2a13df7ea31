#!/bin/sh
# Reviews a pull request of GitHub and posts the review as a comment. The first line of the prompt says which one:
# {"repo": "octo/hello", "number": 7}; the rest is for the agent, who gets the diff with it and nothing else.
set -eu
api="${GITHUB_API:-https://api.github.com}"
read -r about
repo=$(printf '%s' "$about" | jq -er '.repo | select(test("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"))')
number=$(printf '%s' "$about" | jq -er '.number | numbers')
github() { curl -fsS --max-time 60 -H "Authorization: Bearer $GITHUB_TOKEN" "$@"; }

# A task may run twice: a comment with its id was posted by an earlier attempt.
mark="<!-- mecha $MECHA_TASK_ID -->"
comments=$(github "$api/repos/$repo/issues/$number/comments?per_page=100")
if printf '%s' "$comments" | grep -qF "$mark"; then
    echo '{"status": "was posted before"}'
    exit
fi

diff=$(github -H 'Accept: application/vnd.github.diff' "$api/repos/$repo/pulls/$number")
fence=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
# The agent has no use for the token, so it does not get it.
review=$({
    cat
    printf '\nThe diff by the same author, cut at 200 kB, between two lines that nobody can know:\n---- %s\n' "$fence"
    printf '%s' "$diff" | head -c 200000
    printf '\n---- %s\n' "$fence"
} | env -u GITHUB_TOKEN "$@")
printf '%s\n\n%s' "$review" "$mark" | jq -Rs '{body: .}' |
    github -d @- "$api/repos/$repo/issues/$number/comments" >/dev/null
printf '%s' "$review" | jq -Rs '{output: ., status: "posted"}'
