import { toNanos } from "./time.js";

/** Tells the time, in nanoseconds, and never goes back. */
export interface Clock {
    now(): bigint;
}

/** Stands still until it is moved. */
export class VirtualClock implements Clock {
    #now: bigint;

    constructor(now: bigint) {
        this.#now = now;
    }

    now(): bigint {
        return this.#now;
    }

    moveTo(now: bigint): void {
        if (now > this.#now) this.#now = now;
    }
}

/** The time of day, as precise as the platform tells it. */
export class SystemClock implements Clock {
    #last = 0n;

    now(): bigint {
        const now = toNanos(performance.timeOrigin + performance.now(), "the time of day");
        if (now > this.#last) this.#last = now;
        return this.#last;
    }
}

/**
 * Lets everything run that only waits for promises. A message to oneself comes after all of it, and
 * unlike `setTimeout` and `setImmediate` no test framework puts a fake in its place.
 */
export function settle(): Promise<void> {
    return new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            port1.close();
            resolve();
        };
        port2.postMessage(undefined);
    });
}
