// Compiles the tests, which use `using` and so need it on Node 20 and 22, checks their types, and
// runs them. The runner's summary comes last.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

function run(...args) {
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
}

rmSync(join(root, "test-build"), { recursive: true, force: true });
run("node_modules/typescript/bin/tsc", "--project", "test");
const tests = readdirSync(join(root, "test-build")).filter((name) => name.endsWith(".test.mjs"));
const named = process.argv.slice(2);
const isChosen = (test) => named.length === 0 || named.some((name) => test.includes(name));
const chosen = tests.filter(isChosen).map((name) => join("test-build", name));
run("--test", "--test-timeout=300000", ...chosen);
