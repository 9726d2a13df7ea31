// Tasks: submitted and followed to the end, failed and run again, cancelled.

import assert from 'node:assert/strict';

import { LONG_NAME, until } from './server.mjs';

export async function tasks(server, { open, settled, picture }) {
  const page = await open(server);
  const main = page.getByRole('main');
  await main.getByText('No task yet.').waitFor();
  const hasStream = (await fetch(`${server.address}/stream`, { method: 'HEAD' })).status !== 404;
  await page.locator(`#link[data-link="${hasStream ? 'live' : 'poll'}"]`).waitFor();

  // Submitted, and followed.
  await page.getByRole('link', { name: 'New task' }).click();
  const prompt = page.getByLabel('Prompt');
  await prompt.waitFor();
  assert.ok(await prompt.evaluate((field) => field === document.activeElement), 'the prompt has the focus');
  await page.getByRole('button', { name: 'Send' }).click();
  await main.getByText('A prompt is wanted.').waitFor();
  await prompt.fill('say hello');
  await page.getByLabel('Worker').selectOption('upper');
  await page.getByText('Context for the worker').click();
  await page.getByLabel('A JSON object').fill('[1]');
  await prompt.press('Control+Enter');
  await main.getByText('must be a JSON object').waitFor();
  await page.getByLabel('A JSON object').fill('{"big": 12345678901234567890}');
  await page.getByRole('button', { name: 'Send' }).click();
  await main.getByRole('heading', { name: 'Task', exact: true }).waitFor();
  await main.getByText('SAY HELLO', { exact: true }).waitFor();
  await main.locator('.head .badge', { hasText: 'completed' }).waitFor();
  assert.match(page.url(), /#\/task\/[0-9a-z]{16}$/);
  assert.match(await page.title(), /^Task .* mecha$/);

  // A task that comes by another way is there without a reload, and the list stays where it is.
  await page.getByRole('link', { name: 'Tasks', exact: true }).click();
  await main.getByRole('link', { name: 'say hello' }).waitFor();
  const { id } = await server.submit('from elsewhere', 'slow');
  const row = main.locator(`[data-id="${id}"]`);
  await row.locator('.badge', { hasText: 'dispatched' }).waitFor();

  // Cancelled, at the second press.
  await row.getByRole('link').click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Really cancel?' }).click();
  await main.locator('.head .badge', { hasText: 'failed' }).waitFor();
  await main.locator('.story').getByText('Cancelled', { exact: true }).waitFor();
  assert.equal((await server.ask('GET', `/task/${id}`)).error, 'cancelled');

  // Failed: found at a glance, the reason read, run again.
  await server.finished('clone octo/hello', 'flaky');
  await page.getByRole('link', { name: 'mecha', exact: true }).click();
  await main.getByText('1 task failed in the last 24 hours').waitFor();
  await picture(page, 'failed-task');
  const failed = main.getByRole('list', { name: 'Failed tasks' });
  await failed.getByText('no such repository: octo/hello').waitFor();
  await failed.getByRole('link', { name: 'clone octo/hello' }).click();
  await main.getByRole('heading', { name: 'Why it failed' }).waitFor();
  await main.locator('.reason pre', { hasText: 'exited with 3: no such repository: octo/hello' }).waitFor();
  await page.goBack();
  await settled(page);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'clone octo/hello', 'back is where one was');
  server.mend();
  await failed.getByRole('button', { name: 'Run again: clone octo/hello' }).click();
  await page.getByRole('status').getByText('The task is pending again.').waitFor();
  await failed.waitFor({ state: 'hidden' });
  await main.getByRole('list', { name: 'Latest tasks' }).locator('li', { hasText: 'clone octo/hello' }).locator('.badge', { hasText: 'completed' }).waitFor();

  // Cancelled ones are no failures, and hide none.
  await server.finished('fail\n', 'mean');
  for (let count = 0; count < 25; count += 1) {
    const { id: unwanted } = await server.submit(`unwanted ${count}`, LONG_NAME);
    await server.ask('DELETE', `/task/${unwanted}`);
  }
  await main.getByRole('list', { name: 'Latest tasks' }).getByRole('link', { name: 'unwanted 24' }).waitFor();
  await main.getByText('1 task failed in the last 24 hours').waitFor();
  await failed.getByRole('link', { name: 'fail', exact: true }).waitFor();

  // One that waits says what for.
  const waiting = await server.submit('for nobody', LONG_NAME);
  await main.getByText('1 task waits for it').waitFor();
  await page.goto(`${server.address}/#/task/${waiting.id}`);
  await main.getByText(`Waits: ${LONG_NAME} is offline`).waitFor();

  // A draft of an old one.
  await page.getByRole('link', { name: 'Use as a draft' }).click();
  await until('the draft', async () => (await page.getByLabel('Prompt').inputValue()) === 'for nobody');

  // No such task, and no such page.
  const lost = await open(server, '#/task/0000000000000000', { allowed: [404] });
  await lost.getByText('there is no task 0000000000000000').waitFor();
  await lost.goto(`${server.address}/#/nowhere`);
  await lost.getByRole('heading', { name: 'There is nothing here' }).waitFor();
}
