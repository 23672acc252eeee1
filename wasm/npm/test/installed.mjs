// The package as its users have it: packed, and installed into a project of its own.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory of the package's sources. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Runs a program, and fails with what it said if it fails.
 * @param {string} cwd
 * @param {string} program
 * @param {string[]} args
 * @returns {string} what it wrote to its standard output
 */
export function run(cwd, program, ...args) {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
    if (status === 0) return stdout;
    throw new Error(`${program} ${args.join(" ")}: ${status}\n${stdout}\n${stderr}`);
}

/** Packs the package and installs it into a new project. */
export function install() {
    const project = mkdtempSync(join(tmpdir(), "fanlight-package-"));
    const packed = run(root, "npm", "pack", "--json", "--pack-destination", project);
    const [{ filename, files }] = JSON.parse(packed);
    const tarball = join(project, filename);
    write(project, { "package.json": `{ "name": "user", "private": true, "type": "module" }` });
    run(project, "npm", "install", "--offline", "--no-audit", "--no-fund", tarball);
    return {
        project,
        tarball,
        /** What the tarball holds, and how large. */
        files: /** @type {{ path: string, size: number }[]} */ (files),
        directory: join(project, "node_modules/fanlight"),
        remove: () => rmSync(project, { recursive: true, force: true }),
    };
}

/**
 * Writes files into a directory.
 * @param {string} directory
 * @param {{ [path: string]: string }} files
 */
export function write(directory, files) {
    for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), text);
    }
}

/** What a program of a user does, wherever it runs: the attempt that follows a lease that ended. */
export const scenario = `
export async function scenario(openBroker, options) {
    const broker = await openBroker({ seed: 1, ...options });
    broker.declareQueue("jobs", { visibilityMs: 30_000 });
    const conn = broker.connect("worker-1");
    await conn.publish({ queue: "jobs" }, "hello");
    await conn.receive("jobs");
    await broker.advance(30_000);
    const [message] = await conn.receive("jobs");
    const result = message.text() + ", attempt " + message.attempt;
    broker.close();
    return result;
}
`;

/** What it then says. */
export const expected = "hello, attempt 2";
