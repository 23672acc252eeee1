import { readFileSync } from "node:fs";

import type { Broker } from "./broker.js";
import { type BrokerOptions, open } from "./open.js";

export * from "./api.js";

/**
 * Opens a broker. The first call reads the WebAssembly module from the package.
 * @throws FanlightError with `codeName` `"NotLoaded"` or `"BadArgument"`.
 */
export function openBroker(options?: BrokerOptions): Promise<Broker> {
    return open(() => readFileSync(new URL("../core.wasm", import.meta.url)), options);
}
