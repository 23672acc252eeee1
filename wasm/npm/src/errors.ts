import { type CodeName, codes, nameOf } from "./codes.js";

/**
 * What every failure of this package is. Tell kinds apart by {@link FanlightError.codeName} or by
 * {@link FanlightError.code}; the message is a sentence for people, and may change.
 */
export class FanlightError extends Error {
    override name = "FanlightError";
    /** The stable number of the kind of failure: see {@link codes}. */
    readonly code: number;
    /** The name of the kind of failure, as `"UnknownQueue"`. */
    readonly codeName: CodeName;

    /** @internal */
    constructor(codeName: CodeName, message: string, options?: ErrorOptions) {
        super(message, options);
        this.codeName = codeName;
        this.code = codes[codeName];
    }
}

/** The broker refused a request. A refused request has changed nothing. */
export class RefusedError extends FanlightError {
    override name = "RefusedError";
    /** Whether the same request may succeed later without anyone changing it. */
    get transient(): boolean {
        return ["DeduplicationFull", "QueueFull", "BrokerFull", "QuotaExceeded", "ShuttingDown"]
            .includes(this.codeName);
    }
}

/** The broker or the connection was closed on this side, by `close`, `crash` or `using`. */
export class ClosedError extends FanlightError {
    override name = "ClosedError";

    /** @internal */
    constructor(what: string) {
        super("Closed", `${what} is closed`);
    }
}

/**
 * The broker met a fault of its own. It answers nothing any more; open another one. `cause` has
 * what happened; please report it.
 */
export class BrokenError extends FanlightError {
    override name = "BrokenError";

    /** @internal */
    constructor(cause: unknown) {
        const words = cause instanceof Error ? cause.message : String(cause);
        super("Broken", `the broker met a fault of its own and is unusable: ${words}`, { cause });
    }
}

/** @internal */
export function refused(refusal: { code: number; message: string }): RefusedError {
    return new RefusedError(nameOf(refusal.code), refusal.message);
}

/** @internal */
export function badArgument(message: string, cause?: unknown): FanlightError {
    return new FanlightError("BadArgument", message, cause === undefined ? {} : { cause });
}
