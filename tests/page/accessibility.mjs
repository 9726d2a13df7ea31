// For all readers: axe in both themes, a phone, and a keyboard alone.

import assert from 'node:assert/strict';

import { LONG_NAME } from './server.mjs';

async function prepared(server) {
  await server.finished('Summarize the README for a newcomer', 'upper');
  const failed = await server.finished('Review pull request #8 of octo/hello', 'flaky');
  await server.submit('Write the weekly report', 'slow');
  await server.submit('Nightly digest', LONG_NAME);
  const { json: event } = await server.deliver('deploy.site', { what: 'the site' });
  await server.deliver('build.failed', { what: 'nightly', tries: 1 });
  await server.deliver('release', {});
  await server.deliver('push', {}, { signature: 'f'.repeat(64) });
  return { overview: '#/', tasks: '#/tasks?state=failed', events: '#/events', refused: '#/refused', new: '#/new', task: `#/task/${failed.id}`, event: `#/event/${event.id}` };
}

export async function accessibility(server, { open, settled, fits, picture, axe }) {
  const hashes = await prepared(server);
  const views = {
    'light': { colorScheme: 'light' },
    'dark': { colorScheme: 'dark' },
    'phone-light': { colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
    'phone-dark': { colorScheme: 'dark', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
    'narrow': { colorScheme: 'light', viewport: { width: 320, height: 640 } },
  };
  for (const [view, options] of Object.entries(views)) {
    const page = await open(server, '', options);
    for (const [name, hash] of Object.entries(hashes)) {
      await page.goto(`${server.address}/${hash}`);
      await settled(page);
      await fits(page, `${name} (${view})`);
      await picture(page, `${name}-${view}`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      const found = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`);
      assert.deepEqual(found, [], `${name} (${view})`);
    }
    await page.context().close();
  }
  await keyboard(server, { open, settled });
}

/** From the first tab stop to a task that was run again, without a mouse. */
async function keyboard(server, { open, settled }) {
  const page = await open(server);
  await settled(page);
  const named = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
  const press = async (name) => {
    for (let count = 0; count < 60; count += 1) {
      await page.keyboard.press('Tab');
      if ((await named()) === name) return;
    }
    assert.fail(`no tab stop is ${name}`);
  };
  await page.keyboard.press('Tab');
  assert.equal(await named(), 'Skip to the content');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await press('All failed tasks');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Tasks', exact: true }).waitFor();
  assert.equal(await named(), 'Tasks', 'a new page begins at its heading');
  await press('Review pull request #8 of octo/hello');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement.closest('.row')).outlineStyle);
  assert.equal(outline, 'solid', 'one sees where one is');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Why it failed' }).waitFor();
  server.mend();
  await press('Run again');
  await page.keyboard.press('Enter');
  await page.locator('.head .badge', { hasText: 'completed' }).waitFor();
  await page.goBack();
  await page.getByText('No such tasks.').waitFor();
}
