// Drives the web page in a real browser, against a real server.
//
//     npm install && node run.mjs ../../target/debug/mecha
//
// CHROMIUM names the browser, /usr/bin/chromium if it is not set. Screenshots go to target/page.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { chromium } from 'playwright-core';

import { accessibility } from './accessibility.mjs';
import { degraded } from './degraded.mjs';
import { events } from './events.mjs';
import { hostile } from './hostile.mjs';
import { key } from './key.mjs';
import { lists } from './lists.mjs';
import { restart } from './restart.mjs';
import { served } from './served.mjs';
import { tasks } from './tasks.mjs';
import { Server } from './server.mjs';

const mecha = resolve(process.argv[2] ?? '../../target/debug/mecha');
const pictures = resolve(import.meta.dirname, '../../target/page');
rmSync(pictures, { recursive: true, force: true });
mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // The browser shows this server's page alone, and runs as root in CI.
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});

/** What the page did that it must not: errors, and violations of its policy. */
const wrongs = [];

/** Opens a tab whose errors count. `allowed` are statuses of answers that the test brings about. */
async function open(server, hash = '', { allowed = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1_200, height: 900 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`violation: ${event.violatedDirective} ${event.blockedURI}`));
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => wrongs.push(`${page.url()}: ${error.stack}`));
  page.on('console', (message) => {
    const text = message.text();
    const isAllowed = allowed.some((word) => text.startsWith('Failed to load resource') && text.includes(String(word)));
    if (message.type() === 'error' && !isAllowed) wrongs.push(`${page.url()}: ${text}`);
  });
  await page.goto(server.address + (hash ? `/${hash}` : '/'));
  await page.locator('main h1').first().waitFor({ state: 'attached' });
  return page;
}

/** Waits until the page has what it shows. */
const settled = (page) => page.waitForFunction(() => !document.querySelector('main [aria-busy="true"]') && document.querySelector('main h1'));

/** No part of the page may stick out to the side. */
async function fits(page, what) {
  const [needed, given] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needed <= given, `${what} is ${needed} px wide on a screen of ${given} px`);
}

async function picture(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const tools = { mecha, browser, open, settled, fits, picture, axe, wrongs };

let failed = 0;
for (const [name, test] of Object.entries({ served, tasks, events, hostile, lists, key, accessibility, degraded, restart })) {
  const begun = Date.now();
  const server = await Server.start(mecha, name === 'key' ? { key: 'sesame' } : {});
  try {
    await test(server, tools);
    assert.deepEqual(wrongs, []);
    console.log(`ok      ${name} (${((Date.now() - begun) / 1_000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.stack}`);
    for (const context of browser.contexts()) for (const page of context.pages()) await picture(page, `failed-${name}`).catch(() => {});
    if (server.hasEnded) console.log(server.log);
  } finally {
    for (const context of browser.contexts()) await context.close();
    wrongs.length = 0;
    await server.stop();
  }
}
await browser.close();
process.exitCode = failed ? 1 : 0;
