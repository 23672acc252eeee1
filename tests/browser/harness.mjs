// What every test here needs: the built playground in Chromium, and the real server beside it.
//
// FANLIGHT       the server's binary; else target/release/fanlight, else target/debug/fanlight
// FANLIGHT_PAGE  a directory with a built page to use in place of the one in the binary
// CHROMIUM       the browser; else the first that is found in the usual places

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function firstThere(what, named, places) {
  const found = [named, ...places].filter(Boolean).find((place) => existsSync(place));
  assert.ok(found, `there is no ${what}: looked for ${[named, ...places].filter(Boolean).join(', ')}`);
  return found;
}

export function program() {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  const places = ['release', 'debug'].map((profile) => join(target, profile, 'fanlight'));
  return firstThere('fanlight program', process.env.FANLIGHT ?? process.env.FANLIGHT_BIN, places);
}

function browserPath() {
  const places = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return firstThere('Chromium', process.env.CHROMIUM, places.map((name) => `/usr/bin/${name}`));
}

/** Starts `fanlight serve` on a free port; it is stopped when the test ends. */
export async function serve(t, args = []) {
  const child = spawn(program(), ['serve', '--listen', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, 'line');
  const host = line.match(/http:\/\/([^\s/]+)/)?.[1];
  assert.ok(host, `the server says where it listens: ${line}`);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  };
  t.after(stop);
  return { host, http: `http://${host}/`, ws: `ws://${host}/ws`, stop };
}

/** A file of users in which there is an admin, and a token of it. */
export async function users(t) {
  const dir = await mkdtemp(join(tmpdir(), 'fanlight-users-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const file = join(dir, 'users.toml');
  const run = (...args) => {
    const done = spawnSync(program(), ['users', ...args, '--users', file], { encoding: 'utf8' });
    assert.equal(done.status, 0, `fanlight users ${args.join(' ')}: ${done.stderr}`);
    return done.stdout.trim();
  };
  run('add', 'admin', '--admin', '--no-password');
  return { file, token: run('token', 'admin') };
}

/** Runs a command of the `fanlight` program against a server, and gives what it printed. */
export function command(server, args, input = '', variables = {}) {
  const env = { ...process.env, ...variables };
  const done = spawnSync(program(), [...args, '--server', server.ws], { input, env, encoding: 'utf8' });
  assert.equal(done.status, 0, `fanlight ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** Where the page is: in the server's binary, or in a directory that the environment names. */
async function pageAddress(t) {
  const dir = process.env.FANLIGHT_PAGE;
  if (!dir) return (await serve(t)).http;
  const files = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://page').pathname;
    const name = path === '/' ? 'index.html' : path.slice(1);
    try {
      const body = await readFile(join(dir, name));
      response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'text/plain' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  files.listen(0, '127.0.0.1');
  await once(files, 'listening');
  t.after(() => files.close());
  return `http://127.0.0.1:${files.address().port}/`;
}

/** Starts Chromium. It has been seen to crash at its start, which says nothing of the page. */
async function launch(tries = 3) {
  try {
    return await chromium.launch({ executablePath: browserPath(), args: FLAGS });
  } catch (error) {
    if (tries === 1) throw error;
    return launch(tries - 1);
  }
}

/**
 * Opens the playground. What the console complains of is collected in `complaints`, and fails the
 * test at its end unless `mayComplain` says what is to be expected.
 */
export async function open(t, { query = '', viewport, reducedMotion, mayComplain } = {}) {
  const browser = await launch();
  t.after(() => browser.close());
  const context = await browser.newContext({
    viewport: viewport ?? { width: 1440, height: 900 },
    reducedMotion: reducedMotion ?? 'no-preference',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(45_000);
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const address = await pageAddress(t);
  t.after(() => {
    const unexpected = complaints.filter((text) => !mayComplain?.test(text));
    assert.deepEqual(unexpected, [], 'the console stays silent');
  });
  await page.goto(address + query, { waitUntil: 'commit' });
  return { page, address, complaints };
}

/** The stage in words. */
export async function words(page) {
  return page.locator('#parts').evaluate((parts) => parts.textContent);
}

/** Waits until the stage in words says so, and gives the match. */
export async function says(page, pattern, what = String(pattern)) {
  const deadline = Date.now() + 45_000;
  for (;;) {
    const text = await words(page).catch(() => '');
    const found = text.match(pattern);
    if (found) return found;
    assert.ok(Date.now() < deadline, `the stage never said ${what}; last: ${text}`);
    await page.waitForTimeout(60);
  }
}

/** The lag of a group, as the stage in words tells it. */
export async function lag(page, group) {
  const found = (await words(page)).match(new RegExp(`group ${group}: lag (\\d+)`));
  assert.ok(found, `there is a group ${group}`);
  return Number(found[1]);
}

/** A button by all the words on it, or by a pattern; of several the first. */
export function button(page, name) {
  return page.getByRole('button', { name, exact: typeof name === 'string' }).first();
}

/** Sets the speed by its button. */
export async function speed(page, times) {
  await page.getByRole('button', { name: `Speed ${times}`, exact: true }).click();
}

/** Opens one of the four lessons, and gives its part of the page. */
export async function lesson(page, title) {
  const flow = page.locator('.flow', { has: page.locator('.flow-title', { hasText: title }) });
  const head = flow.locator('.flow-title');
  if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
  return flow;
}

/** Waits until every step of a lesson has ticked itself. */
export async function isDone(flow) {
  await flow.and(flow.page().locator('.done')).waitFor();
}

/** The first `count` rows of the event log: the log shows only what is in view, so it is scrolled. */
export async function firstRows(page, count) {
  const height = 24;
  const log = page.locator('.log');
  const rows = new Map();
  for (let row = 0; row < count; row += 3) {
    // Again and again: a log that still follows its newest row jumps back to it.
    await page.waitForFunction(
      ([place, top]) => {
        place.scrollTo(0, top);
        return [...document.querySelectorAll('.log-row')].some((shown) => parseInt(shown.style.top, 10) === top);
      },
      [await log.elementHandle(), row * height],
      { polling: 50 },
    );
    const shown = await page.locator('.log-row').evaluateAll((all) =>
      all.map((row) => [
        parseInt(row.style.top, 10),
        ['time', '.said'].map((part) => row.querySelector(part).textContent).join(' '),
      ]),
    );
    shown.forEach(([at, text]) => rows.set(at / height, text));
  }
  return Array.from({ length: count }, (_, row) => rows.get(row));
}
