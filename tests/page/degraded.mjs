// Where a proxy keeps the stream back: the page asks again and again.

import assert from 'node:assert/strict';

export async function degraded(server, { open, settled }) {
  const page = await open(server, '#/tasks', { allowed: [404] });
  const absent = (route) => route.fulfill({ status: 404, contentType: 'application/json', body: '{"error": "there is nothing at this path", "code": "unknown_path"}' });
  await page.route('**/stream', absent);
  await page.route('**/stats', absent);
  await page.route('**/attempts', absent);
  await page.reload();
  await settled(page);
  await page.locator('#link[data-link="poll"]').waitFor();
  const { id } = await server.submit('say hello', 'upper');
  await page.locator(`[data-id="${id}"]`).locator('.badge', { hasText: 'completed' }).waitFor();
  await page.goto(`${server.address}/#/task/${id}`);
  await page.getByText('SAY HELLO', { exact: true }).waitFor();
  await page.locator('.story').getByText('Attempt 1').waitFor();
  await page.goto(`${server.address}/#/`);
  await page.getByRole('list', { name: 'Workers' }).getByRole('link', { name: 'upper' }).waitFor();
  assert.ok(await page.getByRole('heading', { name: 'The last hour' }).isHidden());
}
