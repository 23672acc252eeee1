/* tslint:disable */
/* eslint-disable */

export interface CoreConfig {
    seed?: number | bigint;
    now?: number | bigint;
    limits?: Record<string, number | bigint>;
}
export interface Deadline {
    at: bigint;
    reason: "leaseEnds" | "delayEnds" | "sessionEnds" | "waitEnds";
}
export interface Told {
    conn: bigint;
    event?: Record<string, any>;
    text?: string;
    close?: "badProtocol" | "tooMany" | "notOpen";
}



/**
 * A broker.
 */
export class Core {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Takes input frames, and returns the effects as frames. Each input counts at its own time, or
     * at `now` if that is later. A frame that is none is an error, and then none was taken.
     */
    apply(now: bigint, frames: Uint8Array | number[]): Uint8Array;
    /**
     * Checks every invariant; one that does not hold is an error.
     */
    check(): void;
    /**
     * Takes it that a connection is gone: what it held is ready again.
     */
    closed(now: bigint, conn: bigint): Told[];
    /**
     * When a tick is due, and why; undefined if nothing is. It may be early: ask again after.
     */
    deadline(): Deadline | undefined;
    /**
     * A broker that holds what `snapshot` gave. Bytes that are no snapshot are an error.
     */
    static load(config: CoreConfig | undefined, snapshot: Uint8Array | number[]): Core;
    /**
     * An empty broker. `config` has `seed`, `now` (nanoseconds) and `limits`, all optional.
     */
    constructor(config: CoreConfig | undefined);
    /**
     * Opens a connection. The caller chooses its number and never gives one twice; `client` is a
     * name for people to read.
     */
    open(now: bigint, conn: bigint, client: string): Told[];
    /**
     * A view of everything but the messages, for which nobody has to be connected.
     */
    overview(): object;
    /**
     * Takes a request of a connection: `{ receive: { queue: "jobs", messagesMax: 1 } }`. Its
     * answer carries `tag`; so does a refusal, which is an event and not an error.
     */
    request(now: bigint, conn: bigint, tag: number, op: object | string): Told[];
    /**
     * All that is durable, as bytes that [`Core::load`] takes.
     */
    snapshot(): Uint8Array;
    /**
     * Takes it that nothing but time has passed. Due at `deadline()`.
     */
    tick(now: bigint): Told[];
    /**
     * The time that the broker was last told, in nanoseconds.
     */
    readonly now: bigint;
}

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_core_free: (a: number, b: number) => void;
    readonly core_apply: (a: number, b: bigint, c: number, d: number) => [number, number, number, number];
    readonly core_check: (a: number) => [number, number];
    readonly core_closed: (a: number, b: bigint, c: bigint) => [number, number, number];
    readonly core_deadline: (a: number) => [number, number, number];
    readonly core_load: (a: any, b: number, c: number) => [number, number, number];
    readonly core_new: (a: any) => [number, number, number];
    readonly core_now: (a: number) => bigint;
    readonly core_open: (a: number, b: bigint, c: bigint, d: number, e: number) => [number, number, number];
    readonly core_overview: (a: number) => [number, number, number];
    readonly core_request: (a: number, b: bigint, c: bigint, d: number, e: any) => [number, number, number];
    readonly core_snapshot: (a: number) => [number, number];
    readonly core_tick: (a: number, b: bigint) => [number, number, number];
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
