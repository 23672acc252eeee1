import assert from 'node:assert/strict';
import { test } from 'node:test';
import { button, command, open, says, serve, users } from './harness.mjs';

async function attach(page, url) {
  await button(page, 'This page').click();
  await page.getByLabel('Address of the server').fill(url);
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
}

test('a server that has users is attached to with a token, and not without', async (t) => {
  const { file, token } = await users(t);
  const server = await serve(t, ['--users', file]);
  const { page } = await open(t, { mayComplain: /WebSocket connection/ });
  await attach(page, server.ws);
  await page.locator('.popover .wrong', { hasText: 'token' }).waitFor();
  await page.getByLabel('Token').fill('fanlight_wrong');
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
  await page.locator('.popover .wrong', { hasText: 'does not take this token' }).waitFor();
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
  await page.getByText(`Attached to ${server.ws}`).waitFor();
  command(server, ['topics', 'create', 'readings'], '', { FANLIGHT_TOKEN: token });
  await says(page, /topic readings/);
});

test('what the command line publishes appears in the page that is attached', async (t) => {
  const server = await serve(t);
  const { page } = await open(t);
  await attach(page, server.ws);
  await button(page, server.host).waitFor();
  command(server, ['topics', 'create', 'readings', '--partitions', '2']);
  const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ sensor: `s${i % 7}`, value: i }));
  command(server, ['publish', 'readings', '--key', 'sensor'], lines.join('\n'));
  await says(page, /topic readings, 2 partitions/);
  const [, a] = await says(page, /readings, 2 partitions.*?partition 0: offsets 0 to ([1-9]\d*)/);
  const [, b] = await says(page, /partition 1: offsets 0 to ([1-9]\d*)/);
  assert.equal(Number(a) + Number(b), 40);
  await page.locator('.log-row', { hasText: 'readings' }).first().waitFor();
});

test('the page drives the server: its clients work there, and the command line sees them', async (t) => {
  const server = await serve(t);
  const { page } = await open(t, { query: `?attach=${encodeURIComponent(server.ws)}` });
  await button(page, server.host).waitFor();
  await button(page, 'Start the order flow here').click();
  await says(page, /payment: committed [1-9]\d*/);
  const told = command(server, ['groups', 'describe', 'payment']);
  assert.match(told, /TOPIC\s+PARTITION\s+CURRENT-OFFSET\s+LOG-END-OFFSET\s+LAG/);
  assert.match(told, /orders/);
  await page.keyboard.press('p');
  await page.locator('.part', { hasText: /^payment:/ }).first().click();
  await page.locator('.inspector').getByRole('button', { name: 'Crash' }).click();
  await says(page, /payment: crashed/);
  await says(page, /group payment: lag \d+, 0 members/);
});

test('a page that is attached can come back to its own broker', async (t) => {
  const server = await serve(t);
  const { page } = await open(t, { query: `?attach=${encodeURIComponent(server.ws)}` });
  await button(page, server.host).click();
  await button(page, /Back to this page/).click();
  await button(page, 'This page').waitFor();
  await says(page, /partition 0: offsets 0 to [1-9]/);
});

test('an address without a server, and a server that goes, are told in words', async (t) => {
  const server = await serve(t);
  const { page } = await open(t, { mayComplain: /WebSocket connection/ });
  await attach(page, 'http//nonsense');
  await page.locator('.notice.wrong, .popover .wrong').first().waitFor();
  await page.getByLabel('Address of the server').fill(server.ws);
  await page.getByRole('button', { name: 'Attach', exact: true }).click();
  await page.getByText(`Attached to ${server.ws}`).waitFor();
  await server.stop();
  await page.locator('.popover .wrong').waitFor();
  assert.match(await page.locator('.popover .wrong').innerText(), /\w+ \w+ \w+/);
  await button(page, /Back to this page/).click();
  await says(page, /partition 0: offsets 0 to [1-9]/);
});
