import assert from 'node:assert/strict';
import { test } from 'node:test';
import { button, open, says, words } from './harness.mjs';

test('the page opens on a running flow within two seconds', async (t) => {
  const { page } = await open(t);
  // The best of three: the machine that tests may do other work as well.
  const times = [];
  for (let round = 0; round < 3 && (times.length === 0 || Math.min(...times) > 2000); round += 1) {
    if (round > 0) await page.reload({ waitUntil: 'commit' });
    await page.locator('.log-row').nth(8).waitFor();
    times.push(await page.evaluate(() => performance.now()));
  }
  assert.ok(Math.min(...times) < 2000, `a log with rows after ${times.map(Math.round)} ms`);
  const [, before] = await says(page, /shop: [^,]*, (\d+) done/);
  await says(page, new RegExp(`shop: [^,]*, (?!${before} )\\d+ done`), 'that the shop went on');
});

test('the stage is drawn, and what is drawn changes', async (t) => {
  const { page } = await open(t);
  await says(page, /partition 0: offsets 0 to [1-9]/);
  const ink = () =>
    page.locator('.stage canvas').evaluateAll((canvases) =>
      canvases.map((canvas) => canvas.toDataURL()),
    );
  const [lanes, tokens] = await ink();
  assert.ok(lanes.length > 20_000 && tokens.length > 10_000, 'both canvases have ink on them');
  await page.waitForTimeout(700);
  assert.notDeepEqual(await ink(), [lanes, tokens], 'a running flow moves');
  await button(page, 'Pause').click();
  await page.waitForTimeout(1500);
  const still = await ink();
  await page.waitForTimeout(400);
  assert.deepEqual(await ink(), still, 'a flow that stands does not');
});

for (const [width, height] of [[1280, 720], [1920, 1080], [820, 1180], [390, 844]]) {
  test(`nothing sticks out at ${width} by ${height}`, async (t) => {
    const { page } = await open(t, { viewport: { width, height } });
    await says(page, /partition 0: offsets 0 to [1-9]/);
    const over = await page.evaluate(() => ({
      x: document.documentElement.scrollWidth - innerWidth,
      y: document.documentElement.scrollHeight - innerHeight,
    }));
    assert.ok(over.x <= 0 && over.y <= 0, `the page itself does not scroll: ${JSON.stringify(over)}`);
    if (width < 900) {
      const small = await page.locator('button:visible').evaluateAll((buttons) =>
        buttons
          .map((button) => [button.textContent || button.ariaLabel, button.getBoundingClientRect()])
          .filter(([, box]) => box.width > 0 && box.height < 44)
          .map(([name, box]) => `${name}: ${box.height}`),
      );
      assert.deepEqual(small.filter((name) => !/published|order \d/.test(name)), []);
    }
  });
}

test('a theme is chosen, and kept', async (t) => {
  const { page } = await open(t);
  await button(page, 'Light theme').click();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.reload();
  await button(page, 'Dark theme').waitFor();
  assert.equal(await background(), light);
});

test('everything on the stage can be reached and broken by keyboard', async (t) => {
  const { page } = await open(t);
  await says(page, /payment: running|payment: working/);
  await page.keyboard.press('p');
  await page.locator('.part', { hasText: /^payment:/ }).first().focus();
  await page.keyboard.press('Enter');
  await page.locator('.inspector h2', { hasText: 'payment' }).waitFor();
  const crash = page.locator('.inspector').getByRole('button', { name: 'Crash' });
  await crash.focus();
  await page.keyboard.press('Enter');
  await says(page, /payment: crashed/);
  await page.keyboard.press('?');
  await page.locator('dialog[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
});

test('without motion nothing travels, and the news is told in words', async (t) => {
  const { page } = await open(t, { reducedMotion: 'reduce' });
  await says(page, /partition 0: offsets 0 to [1-9]/);
  await page.keyboard.press('p');
  await page.locator('.part', { hasText: /^analytics:/ }).first().click();
  await page.locator('.inspector').getByRole('button', { name: 'Crash' }).click();
  await page.waitForFunction(() => /analytics/.test(document.querySelector('#speech').textContent));
  assert.match(await words(page), /analytics: crashed/);
});
