import type { Broker } from "./broker.js";
import { base64 } from "./core-base64.js";
import { type BrokerOptions, open } from "./open.js";

export * from "./api.js";

/**
 * Opens a broker. The WebAssembly module is in the script itself: nothing else is loaded.
 * @throws FanlightError with `codeName` `"BadArgument"`.
 */
export function openBroker(options?: BrokerOptions): Promise<Broker> {
    // Asynchronously, since browsers compile no large module on the page's own thread.
    return open(() => Promise.resolve(bytes()), options);
}

function bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
