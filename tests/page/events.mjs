// Events: seen, explained, approved, replayed; and deliveries that are refused.

import assert from 'node:assert/strict';

export async function events(server, { open, settled, picture }) {
  const page = await open(server, '#/events');
  const main = page.getByRole('main');
  await main.getByText('No event yet.').waitFor();

  assert.equal((await server.deliver('build.failed', { what: 'nightly', tries: 3, big: 1 })).status, 202);
  const failed = main.locator('li', { hasText: 'build.failed' });
  await failed.locator('.badge', { hasText: 'completed' }).waitFor();
  await failed.getByRole('link').click();
  await main.getByRole('heading', { name: 'build.failed' }).waitFor();
  await main.getByRole('heading', { name: 'Which rule matches' }).waitFor();
  const rule = main.locator('.rule.counts');
  await rule.getByText('payload.tries > 2').waitFor();
  assert.equal(await main.locator('.rule').count(), 5);
  await main.getByText('Find out why nightly failed').waitFor();
  await main.getByText('"what": "nightly"').waitFor();
  const task = main.locator('.facts a[href^="#/task/"]');
  const first = await task.textContent();
  await picture(page, 'event');

  // Through the rules again: another task.
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('status').getByText('The event went through the rules again.').waitFor();
  await page.waitForFunction((id) => document.querySelector('.facts a[href^="#/task/"]')?.textContent !== id, first);
  await main.locator('.head .badge', { hasText: 'completed' }).waitFor();
  await task.click();
  await main.getByText('FIND OUT WHY NIGHTLY FAILED', { exact: true }).waitFor();
  await main.getByRole('link', { name: 'by an event' }).click();
  await main.getByRole('heading', { name: 'build.failed' }).waitFor();

  // No rule matches, and why.
  await server.deliver('build.failed', { what: 'nightly', tries: 1 });
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  const skipped = main.locator('li', { hasText: 'skipped' });
  await skipped.getByText('when').waitFor();
  await skipped.getByRole('link').click();
  await main.getByRole('heading', { name: 'Why no rule matches' }).waitFor();
  const check = main.locator('tr[data-passed="false"]', { hasText: 'payload.tries > 2' });
  await check.getByText('false', { exact: true }).waitFor();

  // Waits to be approved.
  await server.deliver('deploy.site', { what: 'the site' });
  await page.getByRole('link', { name: 'Overview' }).click();
  await main.getByText('1 event waits to be approved').waitFor();
  const waiting = main.getByRole('list', { name: 'Events to approve' });
  await waiting.getByRole('link', { name: 'Review: deploy.site' }).click();
  await main.getByText('Deploy the site').waitFor();
  const [prompt, rules] = await Promise.all(['Prompt', 'Which rule matches'].map((name) => main.getByRole('heading', { name }).boundingBox()));
  assert.ok(prompt.y < rules.y, 'the prompt is seen before the rules');
  assert.equal(await main.getByText('Why it').count(), 0);
  await page.getByRole('button', { name: 'Approve' }).click();
  await main.locator('.head .badge', { hasText: 'completed' }).waitFor();
  await main.locator('.facts a[href^="#/task/"]').waitFor();

  // Its prompt cannot be made: all is not well, and the reason is told.
  await page.getByRole('link', { name: 'Overview' }).click();
  await settled(page);
  assert.equal(await main.getByText('failed in the last 24 hours').count(), 0);
  await server.deliver('release', {});
  await main.getByText('1 event failed in the last 24 hours').waitFor();
  const lost = main.getByRole('list', { name: 'Failed events' }).locator('li', { hasText: 'release' });
  await lost.getByText('the prompt names `payload.release`').waitFor();
  // One that failed with its task is told of once, by the text that the fence is around.
  await server.deliver('clone', { what: 'octo/hello' });
  await main.getByText('1 task failed in the last 24 hours').waitFor();
  await main.getByRole('list', { name: 'Failed tasks' }).getByRole('link', { name: 'Clone octo/hello', exact: true }).waitFor();
  await main.getByText('1 event failed in the last 24 hours').waitFor();
  assert.equal(await main.getByRole('list', { name: 'Failed events' }).locator('li').count(), 1);
  await picture(page, 'failed-event');
  await lost.getByRole('button', { name: 'Replay: release' }).click();
  await page.getByRole('status').getByText('The event went through the rules again.').waitFor();
  await lost.getByRole('link').first().click();
  await main.getByRole('heading', { name: 'Why it failed' }).waitFor();

  // Refused.
  assert.equal((await server.deliver('push', {}, { signature: 'f'.repeat(64) })).status, 401);
  await page.getByRole('link', { name: 'Overview' }).click();
  await main.getByText('1 delivery was refused in the last hour').click();
  const refused = main.getByRole('list', { name: 'Refused deliveries' });
  await refused.getByText('wrong signature').waitFor();
  await refused.getByText('made with another secret').waitFor();
  await server.deliver('push', {}, { source: 'github', signature: 'sha256=zz' });
  await refused.getByText('malformed signature').waitFor();
  for (const row of await refused.locator('li').all()) {
    const [sign, name] = [await row.locator('.badge').boundingBox(), await row.locator('.row-title').boundingBox()];
    assert.ok(sign.x + sign.width < name.x, 'the badge lies beside the name');
  }

  // Filters are in the address.
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await settled(page);
  await page.getByLabel('type').fill('deploy.site');
  await page.getByLabel('type').press('Enter');
  await page.waitForURL(/#\/events\?type=deploy\.site/);
  await settled(page);
  assert.equal(await main.locator('.row').count(), 1);
  await page.getByRole('navigation', { name: 'State' }).getByRole('link', { name: 'failed' }).click();
  await main.getByText('No such events.').waitFor();
  await main.getByRole('link', { name: 'Show all' }).click();
  await page.waitForFunction(() => document.querySelectorAll('main .row').length === 5);
}
