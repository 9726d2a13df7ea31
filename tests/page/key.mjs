// A server with a key.

import assert from 'node:assert/strict';

export async function key(server, { browser, open, settled, fits, picture }) {
  await server.finished('a secret prompt', 'upper');
  const page = await open(server, '', { allowed: [401, 'ERR_INCOMPLETE', 'ERR_CONNECTION', 'ERR_EMPTY_RESPONSE'], viewport: { width: 390, height: 844 } });
  const dialog = page.getByRole('dialog', { name: 'This server has a key' });
  await dialog.waitFor();
  await page.locator('#link[data-link="locked"]', { hasText: 'locked' }).waitFor();
  await fits(page, 'the question for the key');
  await picture(page, 'key');
  assert.equal(await page.getByText('a secret prompt').count(), 0);
  const field = dialog.getByLabel('API key');
  assert.ok(await field.evaluate((element) => element === document.activeElement));
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await dialog.waitFor();
  for (const [wrong, complaint] of [['open sesame', 'This is none of the keys'], ['sésame', 'of ASCII characters']]) {
    await field.fill(wrong);
    await field.press('Enter');
    await dialog.getByText(complaint).waitFor();
  }
  await field.fill('sesame');
  await dialog.getByRole('button', { name: 'Open' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('a secret prompt').first().waitFor();
  if ((await fetch(`${server.address}/stream`, { headers: { authorization: 'Bearer sesame' }, method: 'HEAD' })).status !== 404) {
    await page.locator('#link[data-link="live"]').waitFor();
  }

  // Kept over a reload, in this tab alone, and nowhere else.
  await page.reload();
  await page.getByText('a secret prompt').first().waitFor();
  assert.ok(await dialog.isHidden());
  const stored = await page.context().storageState();
  assert.deepEqual([stored.cookies, stored.origins], [[], []]);
  assert.ok(!page.url().includes('sesame'));
  const sibling = await page.context().newPage();
  await sibling.goto(server.address);
  await sibling.getByRole('dialog').waitFor();
  await sibling.close();
  const stranger = await open(server, '', { allowed: [401] });
  await stranger.getByRole('dialog').waitFor();
  await stranger.close();

  // The key is changed while the page is open.
  await server.kill();
  server.key = 'another';
  await server.run(new URL(server.address).host);
  await dialog.getByText('not valid any more').waitFor();
  assert.ok(await page.getByText('a secret prompt').first().isHidden());
  await field.fill('another');
  await field.press('Enter');
  await page.getByText('a secret prompt').first().waitFor();
  await settled(page);

  await page.getByRole('button', { name: 'Forget the key' }).click();
  await dialog.waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.ok(browser.isConnected());
}
