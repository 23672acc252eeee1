import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";

import { build as esbuild } from "esbuild";
import { publint } from "publint";

import { expected, install, root, run, scenario, write } from "./installed.mjs";

const { project, tarball, files, directory, remove } = install();
after(remove);

const tsc = join(root, "node_modules/typescript/bin/tsc");

/**
 * Compiles a user's files strictly, typings of packages included.
 * @param {string} name of a directory for the output
 * @param {string[]} sources
 * @param {object} options over the usual ones
 */
function compile(name, sources, options = {}) {
    const compilerOptions = {
        target: "es2022",
        lib: ["es2022", "esnext.disposable", "dom"],
        module: "nodenext",
        strict: true,
        exactOptionalPropertyTypes: true,
        types: ["node"],
        typeRoots: [join(root, "node_modules/@types")],
        noEmitOnError: true,
        rootDir: ".",
        outDir: name,
        ...options,
    };
    const config = JSON.stringify({ compilerOptions, files: sources });
    write(project, { [`tsconfig.${name}.json`]: config });
    run(project, process.execPath, tsc, "--project", `tsconfig.${name}.json`);
}

test("the package has what it needs, and nothing else", () => {
    const paths = files.map(({ path }) => path);
    for (const path of ["README.md", "core.wasm", "inline/package.json", "dist/index.d.ts"]) {
        assert.ok(paths.includes(path), `${path} is missing`);
    }
    const strange = paths.filter((path) => {
        return !/^((dist|inline)\/|LICENSE|README|core\.wasm|package\.json|bindings\/\w+\.js$)/.test(
            path,
        );
    });
    assert.deepEqual(strange, []);
});

test("what a page loads has not grown", async (t) => {
    const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
    const minified = async (entry) => {
        const { outputFiles } = await esbuild({
            entryPoints: [join(directory, entry)],
            bundle: true,
            minify: true,
            format: "esm",
            write: false,
        });
        return gzipped(outputFiles[0]?.contents ?? assert.fail());
    };
    const core = gzipped(readFileSync(join(directory, "core.wasm")));
    const scripts = await minified("dist/index.js");
    const inline = await minified("dist/inline.js");
    const kb = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
    t.diagnostic(`gzipped: core.wasm ${kb(core)}, scripts ${kb(scripts)}, inline ${kb(inline)}`);
    assert.ok(core < 390_000, `core.wasm is ${kb(core)} gzipped`);
    assert.ok(scripts < 15_000, `the scripts are ${kb(scripts)} gzipped`);
    assert.ok(inline < 545_000, `the inline entry is ${kb(inline)} gzipped`);
});

test("the examples of the README compile and run", () => {
    const readme = readFileSync(join(directory, "README.md"), "utf8");
    const examples = [...readme.matchAll(/^```ts example\n(.*?)^```/gms)].map(([, code]) => code);
    assert.equal(examples.length, 3);
    examples.forEach((code, i) => write(project, { [`example-${i}.ts`]: code }));
    compile("examples", examples.map((_, i) => `example-${i}.ts`));
    const said = examples.map((_, i) => run(project, process.execPath, `examples/example-${i}.js`));
    const promised = readme.split("\n").filter((line) => /^\/\/ 1000 /.test(line));
    assert.equal(promised.length, 1);
    assert.ok(said[2]?.includes(promised[0]?.slice(3) ?? "?"), `${said[2]} is not ${promised[0]}`);
});

test("the typings serve strict users, with and without a browser's types", () => {
    const source = `
        import { type Broker, FanlightError, type Message, openBroker } from "fanlight";
        import { openBroker as inline } from "fanlight/inline";
        export async function main(): Promise<string | undefined> {
            const broker: Broker = await openBroker({ clock: "system", limits: { queuesMax: 5 } });
            const messages: Message[] = await broker.connect().receive("jobs", { waitMs: 5 });
            for (const activity of broker.watch().drain()) {
                if (activity.kind === "returned") return activity.end satisfies "expired" | string;
                // @ts-expect-error: other kinds have no end
                activity.end;
            }
            // @ts-expect-error: times are numbers
            broker.advance("5");
            try {
                await inline();
            } catch (error) {
                if (error instanceof FanlightError && error.codeName === "NotLoaded") throw error;
            }
            return messages[0]?.json<{ name: string }>().name;
        }
    `;
    write(project, { "user.ts": source });
    compile("page", ["user.ts"], { types: [] });
    compile("bundled", ["user.ts"], { types: [], module: "esnext", moduleResolution: "bundler" });
    compile("server", ["user.ts"], { lib: ["es2022"] });
});

test("publint finds nothing", async () => {
    const { messages } = await publint({ pkgDir: directory, strict: true });
    assert.deepEqual(messages, []);
});

test("arethetypeswrong finds nothing", () => {
    const attw = join(root, "node_modules/@arethetypeswrong/cli/dist/index.js");
    const args = ["--profile", "esm-only", "--exclude-entrypoints", "./core.wasm"];
    const report = run(project, process.execPath, attw, tarball, ...args, "--format", "json");
    const { analysis, problems } = JSON.parse(report);
    assert.equal(analysis.packageName, "fanlight");
    assert.deepEqual(Object.keys(analysis.entrypoints), [".", "./inline", "./package.json"]);
    // What the profile is about: `require` gives an ES module, as Node can since 20.19.
    assert.deepEqual(Object.keys(problems ?? {}).filter((kind) => kind !== "CJSResolvesToESM"), []);
});

test("every entry runs in Node, and all of them are one broker", () => {
    const main = `
        import { strict as assert } from "node:assert";
        import { readFileSync } from "node:fs";
        import { FanlightError, openBroker } from "fanlight";
        import * as inline from "fanlight/inline";
        ${scenario}
        assert.equal(await scenario(inline.openBroker), ${JSON.stringify(expected)});
        assert.equal(await scenario(openBroker), ${JSON.stringify(expected)});
        assert.equal(inline.FanlightError, FanlightError);
        const bytes = readFileSync(new URL(import.meta.resolve("fanlight/core.wasm")));
        assert.ok(WebAssembly.validate(bytes));
    `;
    write(project, { "entries.mjs": main });
    run(project, process.execPath, "entries.mjs");
    const required = `
        const { openBroker } = require("fanlight");
        openBroker().then((broker) => broker.close());
    `;
    write(project, { "required.cjs": required });
    if (process.features.require_module) run(project, process.execPath, "required.cjs");
});

test("importing does nothing, where pages are rendered on a server too", () => {
    const main = `
        import { strict as assert } from "node:assert";
        const before = Object.getOwnPropertyNames(globalThis);
        const never = () => { throw new Error("importing is not to do this"); };
        const forbid = (owner, names) => names.forEach((name) => { owner[name] = never; });
        forbid(globalThis, ["fetch", "atob", "setTimeout", "MessageChannel"]);
        forbid(WebAssembly, ["Module", "Instance", "instantiate", "compile"]);
        for (const entry of ["index", "node", "inline"]) {
            const { openBroker } = await import("./node_modules/fanlight/dist/" + entry + ".js");
            assert.equal(typeof openBroker, "function");
        }
        assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
    `;
    write(project, { "import-only.mjs": main });
    run(project, process.execPath, "import-only.mjs");
});

test("a module that does not load is an error that says what to do, and can be tried again", () => {
    const main = `
        import { strict as assert } from "node:assert";
        import { readFileSync } from "node:fs";
        import { openBroker } from "fanlight";
        ${scenario}
        await assert.rejects(openBroker({ wasm: new Uint8Array([1, 2, 3]) }), {
            codeName: "NotLoaded",
            code: 903,
            message: /fanlight\\/inline.*openBroker\\({ wasm }\\)/,
        });
        const bytes = readFileSync(new URL(import.meta.resolve("fanlight/core.wasm")));
        const module = new WebAssembly.Module(bytes);
        assert.equal(await scenario(openBroker, { wasm: module }), ${JSON.stringify(expected)});
    `;
    write(project, { "not-loaded.mjs": main });
    run(project, process.execPath, "not-loaded.mjs");
});

test("a waiting consumer keeps a program alive, and an idle broker does not", () => {
    const main = `
        import { openBroker } from "fanlight";
        const broker = await openBroker({ clock: "system" });
        broker.declareQueue("jobs", { visibilityMs: 600_000 });
        const conn = broker.connect();
        await conn.publish({ queue: "jobs" }, "x");
        await conn.receive("jobs");
        console.log((await conn.receive("jobs", { waitMs: 50 })).length);
        // The lease would end in ten minutes. Nobody waits for that.
    `;
    write(project, { "alive.mjs": main });
    assert.equal(run(project, process.execPath, "alive.mjs"), "0\n");
});
