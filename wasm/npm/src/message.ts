import { RefusedError } from "./errors.js";
import { BrokerRecord } from "./record.js";
import { toMs } from "./time.js";
import type { WireDelivery, WireLease } from "./wire.js";

/** What a message needs of the connection that holds it. @internal */
export interface Settler {
    settle(how: Settlement, messages: readonly Message[]): Promise<SettleResult>;
}

/** @internal */
export type Settlement =
    | { kind: "ack" | "reject" | "release" }
    | { kind: "nack"; delayMs: number }
    | { kind: "extend"; visibilityMs: number };

/** What became of a batch of messages. */
export interface SettleResult {
    /** How many leases still held. */
    settled: number;
    /** Those whose lease had ended before: they are or will be delivered again. */
    stale: Message[];
}

/**
 * One delivery of a message of a queue. It is leased: until {@link Message.deadlineMs} nobody else
 * gets it. Settle it by exactly one of `ack`, `nack` and `reject`.
 */
export class Message extends BrokerRecord {
    /** The queue it came from. */
    readonly queue: string;
    /** Its place in that queue, counted from 0. */
    readonly offset: bigint;
    /** Which attempt this is, from 1. */
    readonly attempt: number;
    /** Whether it was delivered before; also where no attempt was counted, because it was released. */
    readonly redelivered: boolean;
    /** When it came to the queue, in the broker's time. */
    readonly appendedMs: number;
    /** The exchange by which it came to the queue. Undefined if it came straight. */
    readonly exchange: string | undefined;
    /** Its routing key then. Undefined if it came straight. */
    readonly routingKey: string | undefined;
    /** @internal */
    readonly lease: WireLease;
    readonly #settler: Settler;
    #deadline: bigint;

    /** @internal */
    constructor(queue: string, delivery: WireDelivery, settler: Settler) {
        super(delivery.record);
        this.queue = queue;
        this.offset = delivery.lease.offset;
        this.attempt = delivery.attempt;
        this.redelivered = delivery.attempt > 1 || delivery.lease.delivery > 1;
        this.appendedMs = toMs(delivery.appendedAt);
        this.exchange = delivery.via?.exchange;
        this.routingKey = delivery.via?.routingKey;
        this.lease = delivery.lease;
        this.#settler = settler;
        this.#deadline = delivery.deadline;
    }

    /** When the lease ends, in the broker's time. */
    get deadlineMs(): number {
        return toMs(this.#deadline);
    }

    /** @internal */
    get deadline(): bigint {
        return this.#deadline;
    }

    /** @internal */
    set deadline(deadline: bigint) {
        this.#deadline = deadline;
    }

    /**
     * Settles the message as done: it is gone from the queue.
     * @throws RefusedError with `codeName` `"StaleLease"` if the lease has ended.
     */
    ack(): Promise<void> {
        return this.#settle({ kind: "ack" });
    }

    /**
     * Gives it back as a failed attempt: it is ready again after `delayMs` (none, or the queue's
     * `retryDelayMs`), or dead-lettered when the queue's `deliveriesMax` is reached.
     * @throws RefusedError with `codeName` `"StaleLease"` if the lease has ended.
     */
    nack(options: { delayMs?: number } = {}): Promise<void> {
        return this.#settle({ kind: "nack", delayMs: options.delayMs ?? 0 });
    }

    /**
     * Refuses it for good: it is dead-lettered now, or dropped where the queue has no dead-letter
     * queue.
     * @throws RefusedError with `codeName` `"StaleLease"` if the lease has ended.
     */
    reject(): Promise<void> {
        return this.#settle({ kind: "reject" });
    }

    /**
     * Makes the lease end `visibilityMs` from now. Zero ends it now, as a failed attempt.
     * @throws RefusedError with `codeName` `"StaleLease"` if the lease has ended.
     */
    extend(visibilityMs: number): Promise<void> {
        return this.#settle({ kind: "extend", visibilityMs });
    }

    async #settle(how: Settlement): Promise<void> {
        const { stale } = await this.#settler.settle(how, [this]);
        if (stale.length === 0) return;
        const which = `${this.queue}@${this.offset}, attempt ${this.attempt}`;
        const message =
            `the lease on ${which}, is no longer held: it was settled before, or it ended ` +
            `and the message is or will be delivered again`;
        throw new RefusedError("StaleLease", message);
    }
}
