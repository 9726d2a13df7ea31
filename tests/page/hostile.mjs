// Texts that would be something else than text.

import assert from 'node:assert/strict';

import { HOSTILE, LONG_NAME } from './server.mjs';

/** An override of direction, a tag character, and nothing of no width. */
const INVISIBLE = 'a\u202Egnp.exe\u200B\u{E0041}';

export async function hostile(server, { open, settled, fits, picture }) {
  const word = 'W'.repeat(20_000);
  const ids = [];
  for (const [prompt, worker, context] of [
    [HOSTILE, 'mean', { [HOSTILE]: HOSTILE }],
    [`fail\n${HOSTILE}`, 'mean'],
    [word, 'upper'],
    [INVISIBLE, 'upper'],
    ['שלום\u202E'.repeat(50), 'upper'],
    ['line\n'.repeat(300_000), 'upper'],
  ]) {
    ids.push((await server.finished(prompt, worker, context)).id);
  }
  await server.submit(HOSTILE, LONG_NAME);
  const payload = {
    action: HOSTILE, number: 7, sender: { login: HOSTILE }, repository: { full_name: `${HOSTILE}/${word}`, name: word, owner: { login: word } },
    pull_request: { title: `${HOSTILE}${word}`, body: HOSTILE, head: { ref: word }, base: { ref: HOSTILE } },
  };
  const event = (await server.deliver('pull_request', payload, { source: 'github' })).json.id;
  const typed = (await server.deliver(HOSTILE, { what: HOSTILE })).json.id;
  await server.deliver(HOSTILE, {}, { signature: HOSTILE });

  for (const [name, options] of Object.entries({ wide: {}, narrow: { viewport: { width: 390, height: 844 } } })) {
    const page = await open(server, '', { ...options, allowed: [400] });
    for (const hash of ['#/', '#/tasks', '#/events', '#/refused', `#/new?from=${ids[0]}`, ...ids.map((id) => `#/task/${id}`), `#/event/${event}`, `#/event/${typed}`, `#/tasks?worker=${encodeURIComponent(HOSTILE)}`, `#/events?type=${encodeURIComponent(HOSTILE)}`]) {
      await page.goto(`${server.address}/${hash}`);
      await settled(page);
      await fits(page, hash);
      assert.equal(await page.evaluate(() => window.ran), undefined, hash);
      assert.equal(await page.locator('main img, main script, main iframe').count(), 0, hash);
      assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 3_000, `${hash}: the page stays small`);
      if (name === 'narrow') await picture(page, `hostile-${hash.replace(/\W+/g, '-').slice(0, 40)}`);
    }
    await page.close();
  }

  const page = await open(server, `#/task/${ids[0]}`);
  const main = page.getByRole('main');
  await main.locator('pre', { hasText: '<img src=x onerror=' }).first().waitFor();
  assert.ok((await main.locator('pre').allTextContents()).includes(HOSTILE), 'it is shown letter for letter');

  await page.goto(`${server.address}/#/tasks`);
  await main.getByRole('link', { name: 'agnp.exe', exact: true }).waitFor();
  await page.goto(`${server.address}/#/task/${ids[3]}`);
  const note = main.getByText('3 invisible characters here.').first();
  await note.waitFor();
  await note.getByRole('button', { name: 'Show them' }).click();
  await main.getByText('A⟦U+202E⟧GNP.EXE⟦U+200B⟧⟦U+E0041⟧').waitFor();

  // What is long is cut, and can be had whole.
  await page.goto(`${server.address}/#/task/${ids[5]}`);
  const block = main.locator('.block', { has: page.getByRole('heading', { name: 'Prompt', exact: true }) });
  await block.getByText('1.4 MiB').waitFor();
  assert.ok((await block.locator('pre').textContent()).length < 5_000);
  const download = page.waitForEvent('download');
  await block.getByRole('button', { name: 'Download: Prompt' }).click();
  assert.equal(await (await download).createReadStream().then(length), 1_500_000);
  await block.getByRole('button', { name: 'Show the first 1.0 MiB' }).click();
  assert.equal((await block.locator('pre').textContent()).length, 1 << 20);
}

async function length(stream) {
  let sum = 0;
  for await (const piece of stream) sum += piece.length;
  return sum;
}
