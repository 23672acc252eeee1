import { Consumer } from "./consumer.js";
import type { Engine, Listener } from "./engine.js";
import { FanlightError, badArgument } from "./errors.js";
import {
    type Assignment,
    Member,
    type Position,
    type StreamRecord,
    toBudget,
    toPosition,
    toRecords,
} from "./member.js";
import { Message, type SettleResult, type Settlement } from "./message.js";
import { type MessageInput, toWire } from "./record.js";
import { toNanos, toNanosMaybe } from "./time.js";
import type { Assignor } from "./views.js";
import type { WireAnswers, WireAppend, WireLease, WireNews, WireOp } from "./wire.js";

/**
 * Where to publish: to a queue, to a topic (`partition` only to choose it by hand), or through an
 * exchange. The exchange with the empty name routes to the queue that the routing key names.
 */
export type Target =
    | { queue: string }
    | { topic: string; partition?: number }
    | { exchange: string; routingKey?: string };

/** Where a batch, or its part for one partition, lies, and the offset of its first record. */
export type Placed =
    | { queue: string; offset: bigint }
    | { topic: string; partition: number; offset: bigint };

/** How to publish. */
export interface PublishOptions {
    /** Whether to wait until the batch is stored. True by default. */
    confirm?: boolean;
}

/** How to receive. */
export interface ReceiveOptions {
    /** At most this many messages. 1 by default. */
    max?: number;
    /** How long to wait for the first, at most a minute. Not at all by default. */
    waitMs?: number;
    /** How long each is leased. By default as the queue's policy says. */
    visibilityMs?: number;
}

/** How to consume. */
export interface ConsumeOptions {
    /** How many messages may be unsettled at once. 1 by default. */
    prefetch?: number;
    /** How long each is leased. By default as the queue's policy says. */
    visibilityMs?: number;
}

/** How to join a group. */
export interface JoinOptions {
    /** How partitions are shared out. The first member's choice holds. `"range"` by default. */
    assignor?: Exclude<Assignor, "cooperativeSticky">;
    /** Where to begin where the group has committed nothing. `"earliest"` by default. */
    start?: "earliest" | "latest";
    /** After this long without a sign of life the member is out. 45,000 by default. */
    sessionTimeoutMs?: number;
    /** Is told whenever the assignment changes: all of its partitions, not only what is new. */
    onAssigned?: (assignment: readonly Assignment[]) => void;
}

/** How to read a partition. */
export interface ReadOptions {
    /** From where. `"earliest"` by default. */
    from?: Position;
    /** At most this many records. 500 by default. */
    max?: number;
    /** At most these bytes, but one record in any case. The broker's limit by default. */
    maxBytes?: number;
    /** How long to wait for the first record, or for `minBytes`. Not at all by default. */
    waitMs?: number;
    /** Wait until so many bytes are there. 0 by default: until a record is. */
    minBytes?: number;
    /** Only what was committed is read; what an aborted transaction wrote is not. */
    committed?: boolean;
}

/** A piece of a partition. */
export interface ReadResult {
    /** The oldest offset in the partition. */
    start: bigint;
    /** The offset after its newest. */
    end: bigint;
    /** Where committed reads end: every transaction before it has ended. */
    stableEnd: bigint;
    /** Where to read on; undefined if there was nothing. */
    next?: bigint;
    records: StreamRecord[];
}

/** What a connection needs of its broker. @internal */
export interface ConnectionHost {
    readonly engine: Engine;
    placed(append: WireAppend): Placed;
}

const SESSION_TIMEOUT_MS_DEFAULT = 45_000;
const READ_MAX = 500;

/**
 * One client of the broker: what it holds comes back when it is gone. Everything is asked by
 * promise, and refused by a {@link RefusedError}.
 */
export class Connection {
    /** Its number in views and activity. */
    readonly id: bigint;
    /** What it is called in views and activity. */
    readonly client: string;
    readonly #host: ConnectionHost;
    readonly #consumers = new Map<bigint, Consumer>();
    readonly #members = new Map<bigint, Member>();
    #open = true;
    #slowed = false;

    /** @internal */
    constructor(client: string, host: ConnectionHost) {
        this.client = client;
        this.#host = host;
        const listener: Listener = {
            told: (kind, news) => this.#told(kind, news),
            gone: () => this.#gone(),
        };
        this.id = host.engine.open(client, listener);
    }

    /**
     * Whether the broker asked it to slow down: it has published, and the broker holds more bytes
     * than its high mark. What it publishes is still taken, until the broker is full.
     */
    get isSlowed(): boolean {
        return this.#slowed;
    }

    /** Whether it can be used. */
    get isOpen(): boolean {
        return this.#open;
    }

    /**
     * Publishes a batch: to all of its destinations, or refused and to none.
     * @returns where it came to lie; nothing without `confirm`.
     */
    async publish(
        to: Target,
        messages: MessageInput | readonly MessageInput[],
        options: PublishOptions = {},
    ): Promise<Placed[]> {
        const batch = Array.isArray(messages) ? messages : [messages as MessageInput];
        const confirm = options.confirm ?? true;
        const publish = { to: toTarget(to), confirm, records: batch.map(toWire) };
        if (confirm) {
            const { appends } = await this.#request({ publish }, "published");
            return appends.map((append) => this.#host.placed(append));
        }
        await this.#send({ publish });
        return [];
    }

    /** Takes messages of a queue that are ready, or waits for the first. None if none came. */
    async receive(queue: string, options: ReceiveOptions = {}): Promise<Message[]> {
        const receive = {
            queue,
            messagesMax: options.max ?? 1,
            wait: toNanos(options.waitMs ?? 0, "waitMs"),
            visibility: toNanosMaybe(options.visibilityMs, "visibilityMs"),
        };
        const { deliveries } = await this.#waitFor(this.#request({ receive }, "received"));
        const settler = this.#settler;
        return deliveries.map((delivery) => new Message(queue, delivery, settler));
    }

    /** Asks for messages of a queue to be pushed as they become ready. */
    consume(queue: string, options: ConsumeOptions = {}): Promise<Consumer> {
        const { prefetch = 1 } = options;
        return new Promise((resolve, reject) => {
            const visibility = toNanosMaybe(options.visibilityMs, "visibilityMs");
            const consume = { queue, prefetch, visibility };
            this.#host.engine.ask(this.id, { consume }, (answer) => {
                if (answer instanceof FanlightError) return reject(answer);
                const { consumer: id } = answer.consuming as WireAnswers["consuming"];
                // Before the first delivery, which comes right after the answer.
                const consumer = new Consumer(id, queue, this.#consumerHost);
                this.#consumers.set(id, consumer);
                resolve(consumer);
            });
        });
    }

    /** Settles messages as done. Stale ones are told, and the others done. */
    ack(messages: Iterable<Message>): Promise<SettleResult> {
        return this.#settle({ kind: "ack" }, [...messages]);
    }

    /** Gives messages back as failed attempts. Stale ones are told, and the others done. */
    nack(messages: Iterable<Message>, options: { delayMs?: number } = {}): Promise<SettleResult> {
        return this.#settle({ kind: "nack", delayMs: options.delayMs ?? 0 }, [...messages]);
    }

    /** Refuses messages for good. Stale ones are told, and the others done. */
    reject(messages: Iterable<Message>): Promise<SettleResult> {
        return this.#settle({ kind: "reject" }, [...messages]);
    }

    /** Makes leases end `visibilityMs` from now. Stale ones are told, and the others done. */
    extend(messages: Iterable<Message>, visibilityMs: number): Promise<SettleResult> {
        return this.#settle({ kind: "extend", visibilityMs }, [...messages]);
    }

    /** Joins a consumer group, making it if there is none. */
    join(
        group: string,
        topics: string | readonly string[],
        options: JoinOptions = {},
    ): Promise<Member> {
        const { assignor = "range", start = "earliest", onAssigned } = options;
        const sessionTimeoutMs = options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS_DEFAULT;
        const names = typeof topics === "string" ? [topics] : [...topics];
        return new Promise((resolve, reject) => {
            const sessionTimeout = toNanos(sessionTimeoutMs, "sessionTimeoutMs");
            const join = { group, topics: names, assignor, start, sessionTimeout };
            this.#host.engine.ask(this.id, { join }, (answer) => {
                if (answer instanceof FanlightError) return reject(answer);
                const { member: id } = answer.joined as WireAnswers["joined"];
                const joining = { group, topics: names, sessionTimeoutMs, onAssigned };
                const member = new Member(id, joining, this.#memberHost);
                // Before its assignment, which comes right after the answer.
                this.#members.set(id, member);
                resolve(member);
            });
        });
    }

    /** Reads a partition without a group. Nobody's position moves. */
    async read(topic: string, partition: number, options: ReadOptions = {}): Promise<ReadResult> {
        const { from = "earliest", max = READ_MAX } = options;
        const budget = toBudget(max, options);
        const read = { topic, partition, from: toPosition(from), budget };
        const { start, end, stableEnd, batch } = await this.#request({ read }, "readDone");
        const records = batch === undefined ? [] : toRecords(batch);
        const result: ReadResult = { start, end, stableEnd, records };
        if (batch !== undefined) result.next = batch.next;
        return result;
    }

    /**
     * Ends it in good order: messages that nobody has seen go back, members leave their groups.
     * Messages that were handed out and not settled count as failed attempts.
     */
    close(): void {
        if (!this.#open) return;
        const { engine } = this.#host;
        const ignore = (): void => undefined;
        for (const consumer of this.#consumers.values()) {
            engine.ask(this.id, { cancel: { consumer: consumer.id } }, ignore);
            const leases = consumer.unseen().map((message) => message.lease);
            if (leases.length > 0) engine.ask(this.id, { release: { leases } }, ignore);
        }
        for (const member of this.#members.values()) {
            engine.ask(this.id, { leave: { member: member.id } }, ignore);
        }
        this.crash();
    }

    /**
     * Ends it as a crash would, without a word: what it held comes back as failed attempts, its
     * members are out, and what they read and did not commit is read again by others.
     */
    crash(): void {
        if (this.#open) this.#host.engine.close(this.id);
    }

    /** Closes it: `using conn = broker.connect()`. */
    [Symbol.dispose](): void {
        this.close();
    }

    readonly #settler = {
        settle: (how: Settlement, messages: readonly Message[]) => this.#settle(how, messages),
    };

    readonly #consumerHost = {
        now: () => this.#host.engine.clock.now(),
        waiting: (change: 1 | -1) => this.#host.engine.waiting(change),
        cancel: async ({ id }: Consumer) => {
            this.#consumers.delete(id);
            if (this.#open) await this.#request({ cancel: { consumer: id } }, "done");
        },
        release: async (messages: readonly Message[]) => {
            if (this.#open) await this.#settle({ kind: "release" }, messages);
        },
    };

    readonly #memberHost = {
        request: <K extends keyof WireAnswers>(op: WireOp, kind: K) => this.#request(op, kind),
        waitFor: <T>(promise: Promise<T>) => this.#waitFor(promise),
        left: ({ id }: Member) => {
            this.#members.delete(id);
        },
    };

    #request<K extends keyof WireAnswers>(op: WireOp, kind: K): Promise<WireAnswers[K]> {
        return this.#host.engine.request(this.id, op, kind);
    }

    /** Sends what is answered only by a refusal. */
    #send(op: WireOp): Promise<void> {
        const { engine } = this.#host;
        return new Promise((resolve, reject) => {
            const tag = engine.ask(this.id, op, (answer) => {
                if (answer instanceof FanlightError) reject(answer);
            });
            if (engine.forget(this.id, tag)) resolve();
        });
    }

    async #waitFor<T>(promise: Promise<T>): Promise<T> {
        const { engine } = this.#host;
        engine.waiting(1);
        try {
            return await promise;
        } finally {
            engine.waiting(-1);
        }
    }

    async #settle(how: Settlement, messages: readonly Message[]): Promise<SettleResult> {
        if (messages.length === 0) return { settled: 0, stale: [] };
        const leases = messages.map((message) => message.lease);
        const { count, stale } = await this.#request(toSettlement(how, leases), "settled");
        const gone = new Set(stale.map(leaseKey));
        const isStale = ({ lease }: Message) => gone.has(leaseKey(lease));
        if (how.kind === "extend") {
            const deadline = this.#host.engine.clock.now() + toNanos(how.visibilityMs, "");
            for (const message of messages) if (!isStale(message)) message.deadline = deadline;
        }
        return { settled: count, stale: messages.filter(isStale) };
    }

    #told<K extends keyof WireNews>(kind: K, news: WireNews[K]): void {
        const told = { [kind]: news } as Partial<WireNews>;
        const { delivered, cancelled, assigned, expelled, pressure } = told;
        if (delivered !== undefined) {
            const consumer = this.#consumers.get(delivered.consumer);
            for (const delivery of delivered.deliveries) {
                consumer?.push(new Message(consumer.queue, delivery, this.#settler));
            }
        } else if (cancelled !== undefined) {
            this.#consumers.get(cancelled.consumer)?.end();
            this.#consumers.delete(cancelled.consumer);
        } else if (assigned !== undefined) {
            this.#members.get(assigned.member)?.assigned(assigned.generation, assigned.partitions);
        } else if (expelled !== undefined) {
            this.#members.get(expelled.member)?.expelled();
        } else if (pressure !== undefined) {
            this.#slowed = pressure.isHigh;
        }
    }

    #gone(): void {
        this.#open = false;
        for (const consumer of this.#consumers.values()) {
            consumer.unseen();
            consumer.end();
        }
        this.#consumers.clear();
        this.#members.clear();
    }
}

function toTarget(to: Target): WireOp {
    if (typeof to === "object" && to !== null) {
        if ("queue" in to) return { queue: { name: to.queue } };
        if ("topic" in to) return { topic: { name: to.topic, partition: to.partition } };
        if ("exchange" in to) {
            return { exchange: { name: to.exchange, routingKey: to.routingKey ?? "" } };
        }
    }
    throw badArgument("publish to { queue }, { topic } or { exchange, routingKey }");
}

function toSettlement(how: Settlement, leases: WireLease[]): WireOp {
    switch (how.kind) {
        case "nack":
            return { nack: { leases, delay: toNanos(how.delayMs, "delayMs") } };
        case "extend": {
            const visibility = toNanos(how.visibilityMs, "visibilityMs");
            return { extend: { leases, visibility } };
        }
        case "ack":
        case "reject":
        case "release":
            return { [how.kind]: { leases } };
    }
}

function leaseKey({ queue, offset, delivery, epoch }: WireLease): string {
    return `${queue}/${offset}/${delivery}/${epoch}`;
}
