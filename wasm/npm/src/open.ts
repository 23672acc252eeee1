import init, { Core, type InitInput, initSync } from "../bindings/fanlight_wasm.js";
import { Broker } from "./broker.js";
import { SystemClock, VirtualClock } from "./clock.js";
import { Engine, type Core as EngineCore } from "./engine.js";
import { FanlightError, badArgument } from "./errors.js";
import { toNanos } from "./time.js";

/**
 * Where the WebAssembly module can come from: its address, its bytes, a `Response` or a
 * `WebAssembly.Module`, or a promise of one of these. It is an `object` here, because not every
 * project has the types of a browser.
 */
export type WasmSource = string | URL | object;

/** The bounds of a broker. Each is refused by its own name when it is reached. */
export interface Limits {
    /** Bytes of one record: key, headers and body. 1 MiB by default. */
    recordBytesMax: number;
    /** Bytes of one published batch, and of one read. 8 MiB by default. */
    batchBytesMax: number;
    /** Bytes of all records that the broker holds. 1 GiB by default. */
    storedBytesMax: bigint | number;
    /** Unsettled messages in one queue whose policy names no other bound. */
    queueMessagesMax: bigint | number;
    exchangesMax: number;
    queuesMax: number;
    topicsMax: number;
    /** Partitions of one topic. */
    partitionsMax: number;
    /** Bindings of all exchanges together. */
    bindingsMax: number;
    groupsMax: number;
    /** Members of one group. */
    membersMax: number;
    connectionsMax: number;
    /** Consumers, members and waiting requests of one connection. */
    consumersPerConnectionMax: number;
    prefetchMax: number;
    /** Producers that number their batches. */
    producersMax: number;
    /** Transactions that are open. */
    transactionsMax: number;
    /** Records that one transaction writes, counted in each log. */
    transactionRecordsMax: number;
}

/** How to open a broker. Every part may be left out. */
export interface BrokerOptions {
    /** Where every arbitrary choice comes from: equal seeds, equal runs. 0 by default. */
    seed?: bigint | number;
    /**
     * `"virtual"`, the default: time stands still until {@link Broker.advance} moves it.
     * `"system"`: time passes, and what is due happens by itself.
     */
    clock?: "virtual" | "system";
    /** Where a virtual clock begins. 0 by default. */
    startMs?: number;
    /** Bounds other than the default ones. */
    limits?: Partial<Limits>;
    /** What {@link Broker.snapshot} gave: the broker begins with that. */
    snapshot?: Uint8Array;
    /** The WebAssembly module, where it cannot be found by itself: `fanlight/core.wasm`. */
    wasm?: WasmSource;
}

/** Gives an entry's own copy of the module. @internal */
export type Load = () => WasmSource;

/** @internal */
export async function open(load: Load, options: BrokerOptions = {}): Promise<Broker> {
    const { clock: kind = "virtual", seed = 0, limits = {}, snapshot } = options;
    if (kind !== "virtual" && kind !== "system") {
        throw badArgument(`the clock has to be "virtual" or "system"; it is ${String(kind)}`);
    }
    const start = toNanos(options.startMs ?? 0, "startMs");
    await loaded(options.wasm === undefined ? load : () => options.wasm as WasmSource);
    const clock = kind === "system" ? new SystemClock() : new VirtualClock(start);
    const config = { seed, now: clock.now(), limits: { ...limits } as Record<string, number> };
    const core = made(() => {
        return snapshot === undefined ? new Core(config) : Core.load(config, snapshot);
    });
    // A snapshot may have been taken at a later time than the clock begins with.
    if (clock instanceof VirtualClock) clock.moveTo(core.now);
    return new Broker(new Engine(core as unknown as EngineCore, clock));
}

/** Whether the bindings have their module, which every broker shares. */
let isLoaded = false;

async function loaded(source: Load): Promise<void> {
    if (isLoaded) return;
    try {
        const wasm = source();
        if (wasm instanceof Uint8Array || wasm instanceof WebAssembly.Module) {
            initSync({ module: wasm as BufferSource | WebAssembly.Module });
        } else {
            await init({ module_or_path: wasm as InitInput });
        }
        isLoaded = true;
    } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const message =
            `fanlight's WebAssembly module could not be loaded: ${why}. Import from ` +
            `"fanlight/inline", which carries it within, or hand it over: openBroker({ wasm })`;
        throw new FanlightError("NotLoaded", message, { cause: error });
    }
}

function made<T>(make: () => T): T {
    try {
        return make();
    } catch (error) {
        throw badArgument(error instanceof Error ? error.message : String(error), error);
    }
}
