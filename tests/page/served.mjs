// What is served, and to whom.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';

/** fetch sets some of these headers by itself. */
function ask(server, headers, method = 'GET') {
  return new Promise((done, failed) => {
    const asked = request(`${server.address}/`, { method, headers }, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) }));
    });
    asked.on('error', failed);
    asked.end();
  });
}

export async function served(server, { open, settled }) {
  const whole = await ask(server, {});
  assert.equal(whole.status, 200);
  assert.equal(whole.headers['content-type'], 'text/html; charset=utf-8');
  assert.equal(whole.headers['x-content-type-options'], 'nosniff');
  assert.equal(whole.headers['referrer-policy'], 'no-referrer');
  assert.equal(whole.headers['cache-control'], 'no-cache');
  console.log(`        ${whole.body.length} bytes, ${gzipSync(whole.body, { level: 9 }).length} with gzip`);
  const policy = whole.headers['content-security-policy'];
  assert.match(policy, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  for (const [element, directive] of [[/<script type="module">(.*)<\/script>/s, 'script-src'], [/<style>(.*)<\/style>/s, 'style-src']]) {
    const hash = createHash('sha256').update(element.exec(whole.body.toString())[1]).digest('base64');
    assert.ok(policy.includes(`${directive} 'sha256-${hash}'`), directive);
  }

  const known = await ask(server, { 'if-none-match': whole.headers.etag });
  assert.equal(known.status, 304);
  assert.equal(known.headers.etag, whole.headers.etag);
  assert.equal(known.body.length, 0);
  assert.equal((await ask(server, { 'if-none-match': '"another"' })).status, 200);
  const head = await ask(server, {}, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, String(whole.body.length), 0]);
  assert.equal((await ask(server, {}, 'POST')).status, 405);

  // A link may lead here; a frame, a script and a name that was rebound may not.
  const site = { 'sec-fetch-site': 'cross-site' };
  const link = { ...site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  assert.equal((await ask(server, link)).status, 200);
  for (const headers of [site, { ...link, 'sec-fetch-dest': 'iframe' }, { ...site, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }, { ...link, host: 'evil.example' }, { origin: 'http://evil.example' }]) {
    const refused = await ask(server, headers);
    assert.deepEqual([refused.status, JSON.parse(refused.body).code], [403, 'foreign_origin'], JSON.stringify(headers));
  }

  const requests = [];
  const page = await open(server);
  page.on('request', (each) => requests.push(each.url()));
  await page.reload();
  await settled(page);
  assert.ok(requests.length > 3);
  for (const url of requests) assert.ok(url.startsWith(server.address) || url.startsWith('data:'), url);
}
