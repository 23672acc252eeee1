import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDone, lag, lesson, open, says, speed, words } from './harness.mjs';

test('fan-out: a group that stops holds up nobody, and catches up from its own flag', async (t) => {
  const { page } = await open(t);
  const flow = await lesson(page, 'Fan-out');
  await flow.getByLabel('It carries on').check();
  await flow.getByText('Right.').waitFor();
  await says(page, /partition 2: .*?analytics: committed \d/, 'that analytics has its flags');
  await flow.getByRole('button', { name: 'Stop analytics' }).click();
  await says(page, /analytics: stopped/);
  const [, before] = await says(page, /payment: [^,]*, (\d+) done/);
  await speed(page, 8);
  await says(page, /group analytics: lag [2-9]\d/, 'that analytics is far behind');
  const [, after] = await says(page, /payment: [^,]*, (\d+) done/);
  assert.ok(Number(after) > Number(before) + 8, `payment went on: ${before} to ${after}`);
  assert.ok((await lag(page, 'payment')) < 20, 'payment keeps up');
  await flow.getByRole('button', { name: 'Start analytics' }).click();
  await says(page, /group analytics: lag [0-9],/, 'that analytics caught up');
  await isDone(flow);
});

test('offset commits: a crash delivers again what lies between the flags, and nothing else', async (t) => {
  const { page } = await open(t, { query: '?seed=3' });
  const flow = await lesson(page, 'Offset commits');
  const cursors = async () =>
    [...(await words(page)).matchAll(/payment: committed (\d+), position (\w+), lag \d+, read by (\w+)/g)]
      .map(([, committed, position, owner]) => ({ committed, position, owner }));
  // Time stands, and is stepped until there is a span between the flags.
  await says(page, /payment: committed \d+, position \d+/);
  await page.keyboard.press(' ');
  let before = [];
  for (let step = 0; step < 400; step += 1) {
    before = await cursors();
    const spans = before.map((c) => Number(c.position) - Number(c.committed));
    if (spans.some((span) => span >= 2)) break;
    await page.keyboard.press('.');
    await page.waitForTimeout(130);
  }
  const atRisk = before.map((c) => Number(c.position) - Number(c.committed));
  assert.ok(atRisk.some((span) => span >= 2), `there is a span between the flags: ${atRisk}`);

  await flow.getByRole('button', { name: /Crash payment/ }).click();
  await says(page, /payment: crashed/);
  await page.keyboard.press(' ');
  await says(page, /payment: committed \d+, position nothing/, 'that nobody reads for payment');
  const during = await cursors();
  assert.deepEqual(during.map((c) => c.committed), before.map((c) => c.committed), 'solid flags stay');

  await flow.getByRole('button', { name: /Start payment/ }).click();
  await isDone(flow);
  await page.locator('.filter input').fill('payment again');
  const told = await page.locator('.log-row').allInnerTexts();
  const total = atRisk.reduce((sum, span) => sum + span, 0);
  const again = told.flatMap((line) => [...line.matchAll(/(\d+) records? comes? again/g)]);
  const counted = again.reduce((sum, [, count]) => sum + Number(count), 0);
  assert.equal(counted, total, `exactly ${total} come again; the log: ${told.join(' | ')}`);
});

test('crash and redelivery: a lease ends, and another worker gets the message, attempt 2', async (t) => {
  const { page } = await open(t, { query: '?seed=5' });
  const flow = await lesson(page, 'Crash and redelivery');
  await says(page, /shipper \d: working on shipping/);
  await flow.getByRole('button', { name: 'Silence a worker' }).click();
  const [, silent] = await says(page, /shipper (\d): silent/);
  await speed(page, 2);
  await isDone(flow);
  await page.locator('.filter input').fill('attempt 2');
  const row = page.locator('.log-row', { hasText: 'delivered' }).first();
  await row.waitFor();
  assert.doesNotMatch(await row.innerText(), new RegExp(`to shipper ${silent}`), 'another worker got it');
  await row.click();
  const journey = await page.locator('.journey').innerText();
  assert.match(journey, /lease/, `its journey says why: ${journey}`);
});

test('dead letters: a poison message dies of its attempts, is mended, redriven, and shipped', async (t) => {
  const { page } = await open(t, { query: '?seed=2' });
  const flow = await lesson(page, 'Dead letters');
  await flow.getByRole('button', { name: 'Poison next order' }).click();
  await speed(page, 8);
  await says(page, /dead-letter queue shipping\.dead: [1-9]/);
  await page.keyboard.press(' ');
  await flow.getByRole('button', { name: 'Open the dead letters' }).click();
  const letters = page.locator('.letters > li');
  const before = await letters.count();
  assert.ok(before >= 1);
  await letters.first().getByRole('button').first().click();
  const letter = letters.first();
  assert.match(await letter.innerText(), /maximum of deliveries/);
  assert.equal(await letter.locator('.journey li').count(), 3, 'three attempts are told');
  const field = letter.locator('textarea');
  const body = await field.inputValue();
  assert.match(body, /"unit_price": 0\b|"description": null/);
  const title = JSON.parse(body).order_id;
  const mended = { ...JSON.parse(body), unit_price: 4.25, description: 'MENDED BY A TEST' };
  await field.fill(JSON.stringify(mended, null, 2));
  await letter.getByRole('button', { name: 'Redrive mended' }).click();
  await page.keyboard.press(' ');
  await page.locator('.filter input').fill(`${title} acknowledged`);
  await page.locator('.log-row', { hasText: title }).first().waitFor();
  await isDone(flow);
  assert.doesNotMatch(await page.locator('.letters, .empty').first().innerText(), new RegExp(title));
});
