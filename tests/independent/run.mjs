// Webhooks between mecha and code of others: what they sign, mecha must take; what `mecha webhook`
// signs, they must take; and every example of GitHub's payloads must arrive with the right type
// and attributes.
//
//     npm install && node run.mjs ../../target/debug/mecha

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import * as octokit from '@octokit/webhooks-methods';
import { LinearWebhookClient } from '@linear/sdk/webhooks';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';

const require = createRequire(import.meta.url);
const examples = require('@octokit/webhooks-examples');
const { verifySlackRequest } = require('@slack/bolt/dist/receivers/verify-request.js');

const mecha = resolve(process.argv[2] ?? '../../target/debug/mecha');
const home = mkdtempSync(join(tmpdir(), 'mecha-independent-'));
const secrets = {
  github: randomBytes(20).toString('hex'),
  standard: `whsec_${randomBytes(32).toString('base64')}`,
  stripe: `whsec_${randomBytes(24).toString('hex')}`,
  slack: randomBytes(16).toString('hex'),
  linear: randomBytes(16).toString('hex'),
  shopify: randomBytes(16).toString('hex'),
};
const config = join(home, 'mecha.toml');
writeFileSync(
  config,
  Object.entries(secrets)
    .map(([kind, secret]) => `[[source]]\nname = "${kind}"\nkind = "${kind}"\nsecret = "${secret}"\n`)
    .join('\n'),
  { mode: 0o600 },
);

const results = [];
const passed = (what) => results.push(what);

async function withServer(run) {
  const server = spawn(
    mecha,
    ['serve', '--addr', '127.0.0.1:0', '--data', join(home, 'data'), '--config', config],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    let log = '';
    const address = await new Promise((found, failed) => {
      server.stderr.on('data', (piece) => {
        log += piece;
        const match = log.match(/listening on (http:\/\/\S+)/);
        if (match) found(match[1]);
      });
      server.on('exit', () => failed(new Error(`the server ended:\n${log}`)));
    });
    await run(address);
  } finally {
    const ended = new Promise((done) => server.on('exit', done));
    server.kill('SIGTERM');
    await ended;
  }
}

async function post(address, source, headers, body) {
  const answer = await fetch(`${address}/webhook/${source}`, { method: 'POST', headers, body });
  return { status: answer.status, json: await answer.json() };
}

async function accepted(address, source, headers, body) {
  const { status, json } = await post(address, source, headers, body);
  assert.equal(status, 202, JSON.stringify(json));
  return json;
}

async function refused(address, source, headers, body) {
  const { status, json } = await post(address, source, headers, body);
  assert.equal(status, 401, JSON.stringify(json));
}

// What mecha's reference says of GitHub's payloads, said once more from the payload.
function expectedOfGitHub(name, payload) {
  const of = payload.pull_request ?? payload.issue ?? payload.discussion;
  const branch = /^refs\/heads\/(.*)$/s.exec(payload.ref ?? '')?.[1];
  return {
    type: payload.action ? `${name}.${payload.action}` : name,
    actor: payload.sender?.login,
    subject: payload.repository?.full_name,
    attrs: {
      repo_owner: payload.repository?.owner?.login ?? payload.repository?.owner?.name,
      repo_name: payload.repository?.name,
      sender: payload.sender?.login,
      number: of?.number ?? (Number.isInteger(payload.number) ? payload.number : undefined),
      ...(of && { title: of.title, labels: of.labels?.map((label) => label.name) }),
      ...(of && !payload.comment && !payload.review && { body: of.body }),
      ...(payload.comment && { body: payload.comment.body }),
      ...(payload.pull_request && {
        head_branch: payload.pull_request.head.ref,
        base_branch: payload.pull_request.base.ref,
        head_sha: payload.pull_request.head.sha,
        draft: payload.pull_request.draft,
      }),
      ...(name === 'push' && { ref: payload.ref, head_sha: payload.after, head_branch: branch }),
    },
  };
}

async function gitHubExamples(address) {
  let count = 0;
  for (const { name, examples: payloads } of examples) {
    for (const payload of payloads) {
      const body = JSON.stringify(payload);
      const headers = {
        'content-type': 'application/json',
        'x-github-event': name,
        'x-github-delivery': `${name}-${count}`,
        'x-hub-signature-256': await octokit.sign(secrets.github, body),
      };
      const event = await accepted(address, 'github', headers, body);
      const wanted = expectedOfGitHub(name, payload);
      for (const field of ['type', 'actor', 'subject']) {
        assert.equal(event[field], wanted[field] ?? undefined, `${name} ${count}: ${field}`);
      }
      for (const [field, value] of Object.entries(wanted.attrs)) {
        // What this page does not derive, the reference may: a check's pull request, say.
        if (value === undefined) continue;
        assert.deepEqual(event.attrs[field], value ?? undefined, `${name} ${count}: ${field}`);
      }
      const stored = await (await fetch(`${address}/event/${event.id}`)).json();
      assert.deepEqual(stored.payload, payload, `${name} ${count}: payload`);
      count += 1;
    }
  }
  await refused(address, 'github', {
    'x-github-event': 'push',
    'x-hub-signature-256': await octokit.sign('another secret', '{}'),
  }, '{}');
  passed(`@octokit/webhooks-methods signed all ${count} examples of @octokit/webhooks-examples`);
}

async function standardWebhooks(address) {
  const signer = new Webhook(secrets.standard);
  const body = JSON.stringify({ type: 'invoice.paid', data: { id: 'in_1' } });
  const headers = (at) => ({
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signer.sign('msg_1', at, body),
  });
  const event = await accepted(address, 'standard', headers(new Date()), body);
  assert.equal(event.type, 'invoice.paid');
  assert.equal(event.delivery_id, 'msg_1');
  for (const minutes of [-6, 6]) {
    await refused(address, 'standard', headers(new Date(Date.now() + minutes * 60_000)), body);
  }
  passed('standardwebhooks signed for source kind standard');
}

async function stripe(address) {
  const body = JSON.stringify({ id: 'evt_1', type: 'invoice.paid', data: { object: { id: 'in_1' } } });
  const header = (timestamp) =>
    Stripe.webhooks.generateTestHeaderString({ payload: body, secret: secrets.stripe, timestamp });
  const now = Math.floor(Date.now() / 1000);
  const event = await accepted(address, 'stripe', { 'stripe-signature': header(now) }, body);
  assert.equal(event.type, 'invoice.paid');
  assert.equal(event.delivery_id, 'evt_1');
  assert.equal(event.subject, 'in_1');
  await refused(address, 'stripe', { 'stripe-signature': header(now - 600) }, body);
  passed('stripe signed for source kind stripe');
}

// What `mecha webhook` sends, as somebody who listens sees it.
async function sentBy(source, event, body) {
  const file = join(home, 'payload');
  writeFileSync(file, body);
  let seen;
  const listener = createServer((request, answer) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      if (request.method === 'POST') seen = { headers: request.headers, body: Buffer.concat(pieces) };
      answer.writeHead(request.method === 'POST' ? 202 : 200, { 'content-type': 'application/json' });
      answer.end('{"id":"0000000000000000","state":"skipped"}');
    });
  });
  await new Promise((listening) => listener.listen(0, '127.0.0.1', listening));
  const command = spawn(mecha, [
    'webhook', '--config', config, '--addr', `127.0.0.1:${listener.address().port}`,
    '--source', source, '--event', event, file,
  ]);
  let said = '';
  command.stderr.on('data', (piece) => { said += piece; });
  const code = await new Promise((ended) => command.on('exit', ended));
  listener.close();
  assert.equal(code, 0, said);
  // Linear's body holds the time of its sending.
  if (source !== 'linear') assert.equal(seen.body.toString(), body);
  return { headers: seen.headers, body: seen.body.toString() };
}

async function theirVerifiers() {
  const pull = JSON.stringify({ action: 'opened', number: 1 });
  const gitHub = await sentBy('github', 'pull_request.opened', pull);
  assert(await octokit.verify(secrets.github, gitHub.body, gitHub.headers['x-hub-signature-256']));
  assert.equal(gitHub.headers['x-github-event'], 'pull_request');
  passed('@octokit/webhooks-methods verified mecha webhook');

  const standard = await sentBy('standard', 'invoice.paid', JSON.stringify({ type: 'invoice.paid' }));
  new Webhook(secrets.standard).verify(standard.body, standard.headers);
  passed('standardwebhooks verified mecha webhook');

  const paid = JSON.stringify({ id: 'evt_2', object: 'event', type: 'invoice.paid' });
  const ofStripe = await sentBy('stripe', 'invoice.paid', paid);
  const event = Stripe.webhooks.constructEvent(
    ofStripe.body, ofStripe.headers['stripe-signature'], secrets.stripe,
  );
  assert.equal(event.type, 'invoice.paid');
  passed('stripe verified mecha webhook');

  const callback = JSON.stringify({ type: 'event_callback', event_id: 'Ev1', event: { type: 'message' } });
  const slack = await sentBy('slack', 'message', callback);
  verifySlackRequest({ signingSecret: secrets.slack, body: slack.body, headers: slack.headers });
  passed('@slack/bolt verified mecha webhook');

  const issue = JSON.stringify({ action: 'create', type: 'Issue', data: { id: 'i' }, webhookTimestamp: Date.now() });
  const linear = await sentBy('linear', 'Issue.create', issue);
  const client = new LinearWebhookClient(secrets.linear);
  assert(client.verify(Buffer.from(linear.body), linear.headers['linear-signature'], JSON.parse(linear.body).webhookTimestamp));
  passed('@linear/sdk verified mecha webhook');

  const { shopifyApi, ApiVersion } = await import('@shopify/shopify-api').then(async (api) => {
    await import('@shopify/shopify-api/adapters/node');
    return api;
  });
  const order = await sentBy('shopify', 'orders/create', JSON.stringify({ id: 1 }));
  const shop = shopifyApi({
    apiKey: 'key', apiSecretKey: secrets.shopify, scopes: [], hostName: 'shop.example',
    isEmbeddedApp: false, apiVersion: Object.values(ApiVersion).at(-1), logger: { log: () => {} },
  });
  // Whose shop it is and which version it speaks is nothing that the signature is about.
  const headers = {
    'x-shopify-shop-domain': 'octo.myshopify.com', 'x-shopify-api-version': '2026-01', ...order.headers,
  };
  const validation = await shop.webhooks.validate({
    rawBody: order.body,
    rawRequest: { method: 'POST', url: '/', headers },
    rawResponse: {},
  });
  assert(validation.valid, JSON.stringify(validation));
  passed('@shopify/shopify-api verified mecha webhook');
}

try {
  await withServer(async (address) => {
    await gitHubExamples(address);
    await standardWebhooks(address);
    await stripe(address);
  });
  await theirVerifiers();
} finally {
  rmSync(home, { recursive: true, force: true });
}
for (const what of results) console.log(`ok: ${what}`);
console.log(`${results.length} passed, 0 failed`);
