import type { Broker } from "./broker.js";
import { type BrokerOptions, open } from "./open.js";

export * from "./api.js";

/**
 * Opens a broker. The first call loads the WebAssembly module from beside this one.
 * @throws FanlightError with `codeName` `"NotLoaded"` or `"BadArgument"`.
 */
export function openBroker(options?: BrokerOptions): Promise<Broker> {
    return open(() => new URL("../core.wasm", import.meta.url), options);
}
