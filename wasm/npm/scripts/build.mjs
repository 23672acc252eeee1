// Makes the package out of src/ and of the bindings that `cargo xtask package` puts into bindings/.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const bindings = join(root, "bindings/fanlight_wasm_bg.wasm");
const repository = join(root, "../..");

/** Custom sections that a page has no use for: names are for debuggers, and a sixth of the size. */
const UNUSED = new Set(["name", "producers", "target_features"]);

if (!existsSync(bindings)) {
    console.error("there are no bindings to build from: `cargo xtask package` makes them");
    process.exit(1);
}
rmSync(join(root, "dist"), { recursive: true, force: true });

const wasm = strip(readFileSync(bindings));
if (!WebAssembly.validate(wasm)) throw new Error("what was stripped is no WebAssembly any more");
writeFileSync(join(root, "core.wasm"), wasm);

const tsc = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc")], {
    cwd: root,
    stdio: "inherit",
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

const base64 = wasm.toString("base64");
writeFileSync(join(root, "dist/core-base64.js"), `export const base64 = "${base64}";\n`);

for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) {
    const license = join(repository, name);
    if (existsSync(license)) writeFileSync(join(root, name), readFileSync(license));
}

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
const gzipped = gzipSync(wasm, { level: 9 }).length;
console.log(`core.wasm: ${kilobytes(wasm.length)}, gzipped ${kilobytes(gzipped)}`);

/** The module without the custom sections of those names. */
function strip(module) {
    const kept = [module.subarray(0, 8)];
    for (let at = 8; at < module.length; ) {
        const [size, content] = leb128(module, at + 1);
        const end = content + size;
        if (module[at] !== 0 || !UNUSED.has(nameAt(module, content))) {
            kept.push(module.subarray(at, end));
        }
        at = end;
    }
    return Buffer.concat(kept);
}

function nameAt(module, at) {
    const [length, start] = leb128(module, at);
    return module.toString("utf8", start, start + length);
}

/** The number at `at`, and where it ends. */
function leb128(bytes, at) {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++];
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return [value, at];
    }
}
