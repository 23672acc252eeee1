import { badArgument } from "./errors.js";

const NANOS_PER_MS = 1e6;
/** The last instant that the broker takes: 292 years after its clock's origin. */
const NANOS_MAX = 2n ** 63n - 1n;

/** Milliseconds as JavaScript counts them, from the broker's nanoseconds. */
export function toMs(nanos: bigint): number {
    return Number(nanos) / NANOS_PER_MS;
}

/** The same for a value that may be missing. */
export function toMsMaybe(nanos: bigint | undefined): number | undefined {
    return nanos === undefined ? undefined : toMs(nanos);
}

/** Nanoseconds for the broker; `name` is what the caller called the value. */
export function toNanos(ms: number, name: string): bigint {
    const nanos = typeof ms === "number" && ms >= 0 ? Math.round(ms * NANOS_PER_MS) : Number.NaN;
    if (!Number.isFinite(nanos) || BigInt(nanos) > NANOS_MAX) {
        const range = "a number of milliseconds from 0 to 292 years";
        throw badArgument(`${name} has to be ${range}; it is ${String(ms)}`);
    }
    return BigInt(nanos);
}

/** The same for a value that may be missing. */
export function toNanosMaybe(ms: number | undefined, name: string): bigint | undefined {
    return ms === undefined ? undefined : toNanos(ms, name);
}

/** An offset for the broker, which counts in 64 bits. */
export function toOffset(offset: bigint | number, name: string): bigint {
    if (typeof offset === "bigint" ? offset >= 0n : Number.isSafeInteger(offset) && offset >= 0) {
        return BigInt(offset);
    }
    throw badArgument(`${name} has to be a whole number from 0; it is ${String(offset)}`);
}
