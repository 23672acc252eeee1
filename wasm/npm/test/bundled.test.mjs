import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";

import { build as esbuild } from "esbuild";
import { chromium } from "playwright-core";
import { build as viteBuild, createServer as createViteServer } from "vite";

import { expected, install, run, scenario, write } from "./installed.mjs";

/** Chromium runs without a display, and keeps from the network. */
const FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

const { project, remove } = install();
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
    browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS });
});
after(async () => {
    await browser?.close();
    remove();
});

function findChromium() {
    if (process.env.CHROMIUM) return process.env.CHROMIUM;
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
        const { status, stdout } = spawnSync("which", [name], { encoding: "utf8" });
        if (status === 0) return stdout.trim();
    }
    return assert.fail("there is no Chromium: set CHROMIUM, or run `cargo xtask test package`");
}

/**
 * Serves a directory for as long as a page needs it.
 * @param {string} directory
 * @param {(address: string) => Promise<void>} use
 */
async function served(directory, use) {
    const server = createHttpServer((request, response) => {
        const { pathname } = new URL(request.url ?? "/", "http://localhost");
        const path = join(directory, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
        if (!existsSync(path)) return void response.writeHead(404).end();
        response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
        createReadStream(path).pipe(response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    try {
        await use(`http://127.0.0.1:${port}/`);
    } finally {
        server.close();
    }
}

/**
 * Opens a page, and asserts that the scenario ran in it.
 * @param {string} address
 */
async function runsAt(address) {
    const page = await browser.newPage();
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("response", (response) => {
        if (response.status() >= 400 && !response.url().endsWith("favicon.ico")) {
            errors.push(`${response.status()} ${response.url()}`);
        }
    });
    try {
        await page.goto(address);
        await page.waitForFunction(() => document.title !== "" || undefined, null, {
            timeout: 60_000,
        });
        assert.deepEqual([await page.title(), errors], [expected, []]);
    } finally {
        await page.close();
    }
}

/**
 * A page's script that shows in its title how the scenario went.
 * @param {string} imports
 * @param {string} options
 */
function script(imports, options = "{}") {
    const show = "(error) => { document.title = String(error); throw error; }";
    return `${imports}\n${scenario}
        scenario(openBroker, ${options}).then((result) => { document.title = result; }, ${show});`;
}

const page = (src) => {
    const icon = `<link rel="icon" href="data:,">`;
    return `<!doctype html>${icon}<script type="module" src="${src}"></script>`;
};

test("a page loads it without a bundler", async () => {
    const entry = "/node_modules/fanlight/dist/index.js";
    write(project, {
        "plain/index.html": page("main.js"),
        "plain/main.js": script(`import { openBroker } from "${entry}";`),
    });
    await served(project, (address) => runsAt(`${address}plain/`));
});

test("vite builds it, with the module as an asset of its own", async () => {
    const root = join(project, "vite");
    write(root, {
        "index.html": page("/main.js"),
        "main.js": script(`import { openBroker } from "fanlight";`),
    });
    await viteBuild({ root, configFile: false, logLevel: "error" });
    const assets = readdirSync(join(root, "dist/assets"));
    assert.equal(assets.filter((name) => name.endsWith(".wasm")).length, 1, assets.join());
    await served(join(root, "dist"), runsAt);
});

test("vite serves it during development", async () => {
    const root = join(project, "vite-dev");
    write(root, {
        "index.html": page("/main.js"),
        "main.js": script(`import { openBroker } from "fanlight";`),
    });
    const server = await createViteServer({
        root,
        configFile: false,
        logLevel: "error",
        server: { host: "127.0.0.1", port: 0, hmr: false, fs: { allow: [project] } },
    });
    try {
        await server.listen();
        const [address] = server.resolvedUrls?.local ?? assert.fail("vite does not listen");
        await runsAt(address);
    } finally {
        await server.close();
    }
});

test("esbuild bundles the inline entry into one script, for a page and for Node", async () => {
    const root = join(project, "esbuild");
    write(root, {
        "main.js": script(`import { openBroker } from "fanlight/inline";`),
        "node.js": `import { openBroker } from "fanlight/inline";
            ${scenario} console.log(await scenario(openBroker));`,
        "out/index.html": page("main.js"),
    });
    await esbuild({
        entryPoints: [join(root, "main.js"), join(root, "node.js")],
        bundle: true,
        minify: true,
        format: "esm",
        outdir: join(root, "out"),
    });
    assert.deepEqual(readdirSync(join(root, "out")).sort(), ["index.html", "main.js", "node.js"]);
    assert.equal(run(join(root, "out"), process.execPath, "node.js"), `${expected}\n`);
    await served(join(root, "out"), runsAt);
});

test("esbuild copies the module where it is imported as a file", async () => {
    const root = join(project, "esbuild-file");
    const imports = `
        import { openBroker } from "fanlight";
        import wasm from "fanlight/core.wasm";`;
    write(root, {
        "main.js": script(imports, "{ wasm: new URL(wasm, import.meta.url) }"),
        "out/index.html": page("main.js"),
    });
    await esbuild({
        entryPoints: [join(root, "main.js")],
        bundle: true,
        format: "esm",
        loader: { ".wasm": "file" },
        outdir: join(root, "out"),
    });
    await served(join(root, "out"), runsAt);
});
