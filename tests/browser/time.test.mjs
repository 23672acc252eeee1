import assert from 'node:assert/strict';
import { test } from 'node:test';
import { button, firstRows, open, says, speed } from './harness.mjs';

const clock = (page) => page.locator('.clock').innerText();

async function rowsOf(t, seed) {
  const { page } = await open(t, { query: `?seed=${seed}` });
  await speed(page, 8);
  await says(page, /partition 0: offsets 0 to \d\d/);
  await button(page, 'Pause').click();
  return firstRows(page, 120);
}

test('the same seed gives the same event log, another seed another', async (t) => {
  const first = await rowsOf(t, 41);
  assert.deepEqual(await rowsOf(t, 41), first);
  assert.notDeepEqual(await rowsOf(t, 42), first);
});

test('a seed typed into the page begins the run again', async (t) => {
  const { page } = await open(t);
  await says(page, /shop: [^,]*, [5-9] done/);
  await page.getByLabel('Seed', { exact: true }).fill('12');
  await button(page, 'Begin again from this seed').click();
  await says(page, /shop: [^,]*, [0-2] done/);
  assert.equal(await page.getByLabel('Seed', { exact: true }).inputValue(), '12');
});

test('time is held, stepped, stepped back, and runs on', async (t) => {
  const { page } = await open(t);
  await says(page, /partition 0: offsets 0 to [1-9]/);
  await button(page, 'Pause').click();
  const held = await clock(page);
  await page.waitForTimeout(500);
  assert.equal(await clock(page), held, 'time stands');
  const newest = () => page.locator('.log-row').last().innerText();
  const before = await newest();
  await button(page, 'Step').click();
  await page.waitForFunction((was) => [...document.querySelectorAll('.log-row')].at(-1).innerText !== was, before);
  await button(page, 'Step back').click();
  await page.waitForFunction((was) => [...document.querySelectorAll('.log-row')].at(-1).innerText === was, before);
  await button(page, 'Run').click();
  await page.waitForFunction((was) => document.querySelector('.clock').textContent !== was, held);
});

test('speed is what it says', async (t) => {
  const { page } = await open(t);
  await says(page, /partition 0: offsets 0 to [1-9]/);
  const now = () => page.evaluate(() => {
    const [m, s] = document.querySelector('.clock').textContent.replace(' s', '').split(':');
    return s === undefined ? Number(m) : Number(m) * 60 + Number(s);
  });
  const rate = async () => {
    const [from, since] = [await now(), Date.now()];
    await page.waitForTimeout(1500);
    return (await now() - from) / ((Date.now() - since) / 1000);
  };
  await speed(page, 8);
  const fast = await rate();
  await speed(page, 0.5);
  const slow = await rate();
  assert.ok(fast > 4 && fast < 9, `eight times: ${fast}`);
  assert.ok(slow > 0.25 && slow < 0.7, `half: ${slow}`);
});

test('the run is pulled back to any instant, and is the same there', async (t) => {
  const { page } = await open(t, { query: '?seed=9' });
  await speed(page, 8);
  await says(page, /partition 0: offsets 0 to 1\d/);
  await button(page, 'Pause').click();
  const rows = await firstRows(page, 40);
  const scrub = page.getByLabel('Instant of the run');
  await scrub.evaluate((field) => {
    field.value = 3000;
    field.dispatchEvent(new InputEvent('input', { bubbles: true }));
  });
  await page.waitForFunction(() => document.querySelector('.clock').textContent.trim() === '3.00 s');
  assert.deepEqual((await firstRows(page, 12)), rows.slice(0, 12));
});
