// The server goes away and comes back.

import assert from 'node:assert/strict';

export async function restart(server, { open, settled, picture }) {
  const page = await open(server, '#/tasks', { allowed: ['ERR_INCOMPLETE', 'ERR_CONNECTION', 'ERR_EMPTY_RESPONSE'] });
  await server.finished('before', 'upper');
  await page.getByRole('link', { name: 'before' }).waitFor();
  await settled(page);
  const { host } = new URL(server.address);
  await server.kill();
  await page.getByText('mecha does not answer. What you see is as of').waitFor();
  await page.locator('#link[data-link="gone"]').waitFor();
  assert.ok(await page.getByRole('link', { name: 'before' }).isVisible(), 'what was there is still there');
  await picture(page, 'offline');

  // What is sent meanwhile is not lost, and not sent twice.
  await page.getByRole('link', { name: 'New task' }).click();
  await page.getByLabel('Prompt').fill('meanwhile');
  await page.getByLabel('Worker').selectOption('upper');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('Sending again makes no second task.').waitFor();

  await server.run(host);
  await page.getByRole('status').getByText('mecha is back.').waitFor();
  await page.getByText('What you see is as of').waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('MEANWHILE', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Tasks', exact: true }).click();
  await server.finished('after', 'upper');
  await page.getByRole('link', { name: 'after' }).waitFor();
  const prompts = (await server.ask('GET', '/tasks')).map(({ prompt }) => prompt);
  assert.deepEqual(prompts, ['after', 'meanwhile', 'before']);
}
