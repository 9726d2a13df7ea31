// Many tasks: pages, what comes meanwhile, and the place of the reader.

import assert from 'node:assert/strict';

import { LONG_NAME } from './server.mjs';

const MANY = 130;

export async function lists(server, { open, settled }) {
  for (let start = 0; start < MANY; start += 1) await server.submit(`number ${start}`, LONG_NAME);
  const page = await open(server, '#/tasks', { viewport: { width: 390, height: 700 } });
  const main = page.getByRole('main');
  await settled(page);
  const titles = () => main.locator('.row-title').allTextContents();
  assert.equal((await titles()).length, 50);
  assert.equal((await titles())[0], `number ${MANY - 1}`);

  // Further down nothing moves: what is new is counted.
  const middle = main.getByRole('link', { name: 'number 100', exact: true });
  await middle.scrollIntoViewIfNeeded();
  const before = await middle.boundingBox();
  await server.submit('new one', LONG_NAME);
  await server.submit('new two', LONG_NAME);
  const pill = page.getByRole('button', { name: '2 new' });
  await pill.waitFor();
  assert.ok(Math.abs((await middle.boundingBox()).y - before.y) < 1);
  await pill.click();
  await page.waitForFunction(() => document.querySelector('main .row-title').textContent === 'new two' && scrollY === 0);
  assert.equal((await titles()).length, 50);

  // Older pages, to the last, and back.
  await main.getByRole('link', { name: 'Older' }).click();
  await page.waitForFunction(() => document.querySelector('main .row-title')?.textContent === 'number 81');
  await settled(page);
  if ((await fetch(`${server.address}/stream`, { method: 'HEAD' })).status !== 404) {
    await server.submit('new three', LONG_NAME);
    await page.getByRole('button', { name: '1 new' }).waitFor();
  }
  await main.getByRole('link', { name: 'Older' }).click();
  await page.waitForFunction(() => document.querySelector('main .row-title')?.textContent === 'number 31');
  await settled(page);
  assert.equal((await titles()).length, 32);
  await main.getByRole('link', { name: 'Older' }).waitFor({ state: 'hidden' });
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('main .row-title')?.textContent === 'number 81');
  await main.getByRole('link', { name: 'Newest' }).click();
  await page.waitForFunction(() => document.querySelector('main .row-title')?.textContent.startsWith('new '));

  // Back from a task is where the reader was.
  const link = main.getByRole('link', { name: 'number 95', exact: true });
  await link.click();
  await main.getByRole('heading', { name: 'Task', exact: true }).waitFor();
  await settled(page);
  await page.goBack();
  await settled(page);
  assert.ok(await page.evaluate(() => scrollY > 1_000), 'the place is kept');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'number 95');

  // A filter by a worker keeps the focus on it.
  const workers = page.getByLabel('worker');
  await workers.focus();
  await workers.selectOption('upper');
  await main.getByText('No such tasks.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'filter-worker');
}
