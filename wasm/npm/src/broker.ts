import { type Activity, toActivity } from "./activity.js";
import { Connection, type ConnectionHost, type Placed } from "./connection.js";
import type { Engine, Listener } from "./engine.js";
import { type Position, toPosition } from "./member.js";
import { type Bytes, toBytes } from "./record.js";
import { toMs, toNanos, toNanosMaybe, toOffset } from "./time.js";
import {
    type Destination,
    type ExchangeKind,
    type GroupView,
    type Overview,
    type QueueView,
    StoredMessage,
    type TopicView,
    toGroupView,
    toOverview,
    toQueueView,
    toTopicView,
} from "./views.js";
import { ActivityStream } from "./watch.js";
import type { WireAnswers, WireAppend, WireNews, WireOp, WireOverview, WireView } from "./wire.js";

/** How a queue treats its messages. */
export interface QueuePolicy {
    /** How long a delivery is leased before the message is ready again. 30,000 by default. */
    visibilityMs?: number;
    /** After this many attempts a message is dead-lettered. Never by default. */
    deliveriesMax?: number;
    /** The queue that dead messages go to. It has to exist. */
    deadLetter?: string;
    /** Unsettled messages it holds; a publish beyond is refused. */
    messagesMax?: bigint | number;
    /** How long a failed attempt keeps a message from being ready again. 0 by default. */
    retryDelayMs?: number;
}

/** How a topic keeps its records. */
export interface TopicOptions {
    /** How old records may become. However old by default. */
    retentionMs?: number;
    /** How many bytes a partition keeps. All by default. */
    retentionBytes?: bigint | number;
    /** Whether only the newest record of each key is kept. */
    compact?: boolean;
    /** How long a record that deletes its key stays. 24 hours by default. */
    tombstoneRetentionMs?: number;
    /** Whose timestamps the records have. The producer's by default. */
    timestamps?: "producer" | "broker";
}

/** Which messages to redrive, and where to. */
export type RedriveOptions = {
    /** Where to. By default each goes to the queue it last died in. */
    to?: string;
} & (
    | {
          /** One message. */
          offset: bigint | number;
          /** A body in place of its own: the message mended. */
          body?: Bytes;
      }
    | {
          /** The oldest that are ready, at most so many. All of them by default. */
          max?: number;
      }
);

/** How to watch. */
export interface WatchOptions {
    /** How much is kept that nobody has taken yet; beyond, the oldest goes. 10,000 by default. */
    bufferMax?: number;
}

/** The broker's limit on messages shown or moved by one request. */
const PEEK_MAX = 1_024;
const WATCH_BUFFER_MAX = 10_000;
const CONTROL = "control";

/**
 * A whole broker, in this process. What concerns the broker itself is asked here, and answered at
 * once; what a client does goes by way of a {@link Connection}.
 */
export class Broker {
    readonly #engine: Engine;
    readonly #streams = new Set<ActivityStream>();
    readonly #queueNames = new Map<number, string>();
    readonly #topicNames = new Map<number, string>();
    readonly #host: ConnectionHost;
    #control: bigint | undefined;
    #connections = 0;

    /** @internal */
    constructor(engine: Engine) {
        this.#engine = engine;
        this.#host = { engine, placed: (append) => this.#placed(append) };
    }

    /** Whether it was closed, or met a fault of its own. */
    get isClosed(): boolean {
        return this.#engine.isClosed;
    }

    /** The time on its clock: milliseconds from the clock's origin. */
    get nowMs(): number {
        return toMs(this.#engine.clock.now());
    }

    /** Opens a connection. `client` is a name for people to read. */
    connect(client?: string): Connection {
        this.#connections += 1;
        return new Connection(client ?? `client-${this.#connections}`, this.#host);
    }

    /**
     * Moves a virtual clock on by `ms`, stopping at everything that falls due on the way, in its
     * order, and letting whoever waits for it act before it goes on.
     * @throws FanlightError with `codeName` `"NotVirtual"` if the clock is the system's.
     */
    async advance(ms: number): Promise<void> {
        const span = toNanos(ms, "the time to advance by");
        await this.#engine.advance((now) => now + span);
    }

    /** Moves a virtual clock to a time; one that has passed leaves it where it is. */
    async advanceTo(ms: number): Promise<void> {
        const time = toNanos(ms, "the time to advance to");
        await this.#engine.advance((now) => (time > now ? time : now));
    }

    /** Makes a queue. The same again changes nothing; another policy is refused. */
    declareQueue(name: string, policy: QueuePolicy = {}): void {
        const { messagesMax } = policy;
        const wire = {
            visibility: toNanosMaybe(policy.visibilityMs, "visibilityMs"),
            deliveriesMax: policy.deliveriesMax,
            deadLetter: policy.deadLetter,
            messagesMax: messagesMax && toOffset(messagesMax, "messagesMax"),
            retryDelay: toNanosMaybe(policy.retryDelayMs, "retryDelayMs"),
        };
        this.#do({ declareQueue: { name, policy: given(wire) } });
    }

    /** Removes a queue with all that is in it; its consumers end. */
    deleteQueue(name: string): void {
        this.#do({ deleteQueue: { name } });
    }

    /** Removes the messages that are ready in a queue, and says how many. */
    purgeQueue(name: string): bigint {
        return this.#ask({ purgeQueue: { name } }, "count").count;
    }

    /** Makes a topic. The same again changes nothing. */
    createTopic(name: string, options: TopicOptions & { partitions?: number } = {}): void {
        const { partitions = 1, ...policy } = options;
        this.#do({ createTopic: { name, partitions, policy: toTopicPolicy(policy) } });
    }

    /** Changes how a topic keeps its records: all of it; what is not named is as by default. */
    alterTopic(name: string, options: TopicOptions = {}): void {
        this.#do({ alterTopic: { name, policy: toTopicPolicy(options) } });
    }

    /** Gives a topic more partitions: so many in all. */
    addPartitions(topic: string, partitions: number): void {
        this.#do({ addPartitions: { topic, partitions } });
    }

    /** Deletes the records of a partition before a position. */
    deleteRecords(topic: string, partition: number, before: Position): void {
        this.#do({ deleteRecords: { topic, partition, before: toPosition(before) } });
    }

    /** Removes a topic with its records. */
    deleteTopic(name: string): void {
        this.#do({ deleteTopic: { name } });
    }

    /** Makes an exchange. The same again changes nothing; another kind is refused. */
    declareExchange(name: string, kind: ExchangeKind): void {
        this.#do({ declareExchange: { name, kind } });
    }

    /** Removes an exchange with its bindings. */
    deleteExchange(name: string): void {
        this.#do({ deleteExchange: { name } });
    }

    /**
     * Binds an exchange to where it routes. `pattern` is the routing key of a direct exchange, and
     * words of a topic exchange where `*` stands for one word and `#` for any number.
     */
    bind(exchange: string, to: Destination, pattern = ""): void {
        this.#do({ bind: { exchange, to: { ...to }, pattern } });
    }

    /** Removes a binding. */
    unbind(exchange: string, to: Destination, pattern = ""): void {
        this.#do({ unbind: { exchange, to: { ...to }, pattern } });
    }

    /** Shows messages of a queue without leasing them, with what happened to each. */
    peek(queue: string, options: { from?: bigint | number; max?: number } = {}): StoredMessage[] {
        const from = toOffset(options.from ?? 0n, "from");
        const peek = { queue, from, messagesMax: options.max ?? PEEK_MAX };
        const { messages = [] } = this.#ask({ peek }, "inspected").view;
        return messages.map((message) => new StoredMessage(message));
    }

    /** Moves messages out of a dead-letter queue, or any other, and says how many. */
    redrive(queue: string, options: RedriveOptions = {}): bigint {
        const { to } = options;
        if ("offset" in options) {
            const body = options.body && toBytes(options.body, "the body");
            const pick = { one: { offset: toOffset(options.offset, "offset"), body } };
            return this.#ask({ redrive: { queue, pick, to } }, "count").count;
        }
        // What is moved may come back here; that it does must not keep this going for ever.
        const { max } = options;
        let left = max === undefined ? this.queue(queue).ready : toOffset(max, "max");
        let moved = 0n;
        do {
            const messagesMax = Number(left < PEEK_MAX ? left : PEEK_MAX);
            if (messagesMax === 0) break;
            const redrive = { queue, pick: { oldest: { messagesMax } }, to };
            const { count } = this.#ask({ redrive }, "count");
            moved += count;
            left = count < BigInt(messagesMax) ? 0n : left - count;
        } while (left > 0n);
        return moved;
    }

    /** Moves a group's committed offsets, in one partition or all, while it has no member. */
    resetOffsets(group: string, topic: string, to: Position, partition?: number): void {
        const reset = { group, topic, partition, to: toPosition(to) };
        this.#ask({ resetOffsets: reset }, "offsetsReset");
    }

    /** Removes a group and its offsets. The group must have no member. */
    deleteGroup(group: string): void {
        this.#do({ deleteGroup: { group } });
    }

    /** Everything but the messages. */
    inspect(): Overview {
        const overview = toOverview(this.#overview());
        overview.connections = overview.connections.filter(({ id }) => id !== this.#control);
        return overview;
    }

    /** One queue. */
    queue(name: string): QueueView {
        return toQueueView(this.#view({ queue: name }, "queue"));
    }

    /** One topic. */
    topic(name: string): TopicView {
        return toTopicView(this.#view({ topic: name }, "topic"));
    }

    /** One consumer group. */
    group(name: string): GroupView {
        return toGroupView(this.#view({ group: name }, "group"));
    }

    /** Tells everything that happens from now on. */
    watch(options: WatchOptions = {}): ActivityStream {
        const stream: ActivityStream = new ActivityStream(
            options.bufferMax ?? WATCH_BUFFER_MAX,
            (change) => this.#engine.waiting(change),
            () => this.#unwatch(stream),
        );
        if (this.#streams.size === 0) this.#do({ watch: { on: true } });
        this.#streams.add(stream);
        return stream;
    }

    /** All that is durable, as bytes that `openBroker({ snapshot })` takes. */
    snapshot(): Uint8Array {
        return this.#engine.look((core) => core.snapshot());
    }

    /** Ends it: connections are gone, streams end, its memory is free. */
    close(): void {
        this.#engine.dispose();
        for (const stream of [...this.#streams]) stream.stop();
    }

    /** Closes it: `using broker = await openBroker()`. */
    [Symbol.dispose](): void {
        this.close();
    }

    #do(op: WireOp): void {
        this.#ask(op, "done");
    }

    #ask<K extends keyof WireAnswers>(op: WireOp, kind: K): WireAnswers[K] {
        return this.#engine.requestNow(this.#controlLine(), op, kind);
    }

    #view<K extends keyof WireView>(what: WireOp, kind: K): NonNullable<WireView[K]> {
        const { view } = this.#ask({ inspect: { what } }, "inspected");
        return view[kind] as NonNullable<WireView[K]>;
    }

    #overview(): WireOverview {
        return this.#engine.look((core) => core.overview()) as WireOverview;
    }

    /** The broker's own connection, which nobody is shown. */
    #controlLine(): bigint {
        const listener: Listener = {
            told: (kind, news, text) => this.#heard(kind, news, text),
            gone: () => undefined,
        };
        this.#control ??= this.#engine.open(CONTROL, listener);
        return this.#control;
    }

    #heard<K extends keyof WireNews>(kind: K, news: WireNews[K], text = ""): void {
        if (kind !== "activity") return;
        const { at, activity: wire } = news as WireNews["activity"];
        const activity: Activity = toActivity(at, wire, text);
        for (const stream of this.#streams) stream.push(activity);
    }

    #unwatch(stream: ActivityStream): void {
        const was = this.#streams.delete(stream);
        if (was && this.#streams.size === 0 && !this.isClosed) this.#do({ watch: { on: false } });
    }

    /** Names where a batch lies; the broker tells numbers, which are never used twice. */
    #placed({ place, base }: WireAppend): Placed {
        const [id, names] =
            "queue" in place
                ? [place.queue, this.#queueNames]
                : [place.partition[0], this.#topicNames];
        if (!names.has(id)) {
            const overview = this.#overview();
            for (const queue of overview.queues) this.#queueNames.set(queue.id, queue.name);
            for (const topic of overview.topics) this.#topicNames.set(topic.id, topic.name);
        }
        const name = names.get(id) ?? "";
        if ("queue" in place) return { queue: name, offset: base };
        return { topic: name, partition: place.partition[1], offset: base };
    }
}

/** Only what was given: what is missing is as the broker has it by default. */
function given(fields: { [name: string]: unknown }): { [name: string]: unknown } {
    return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function toTopicPolicy(options: TopicOptions): WireOp {
    const { retentionMs, retentionBytes, compact, tombstoneRetentionMs, timestamps } = options;
    const policy: { [field: string]: unknown } = {};
    if (retentionMs !== undefined) policy.retention = toNanos(retentionMs, "retentionMs");
    if (retentionBytes !== undefined) {
        policy.retentionBytes = toOffset(retentionBytes, "retentionBytes");
    }
    if (compact !== undefined) policy.compact = compact;
    if (tombstoneRetentionMs !== undefined) {
        policy.tombstoneRetention = toNanos(tombstoneRetentionMs, "tombstoneRetentionMs");
    }
    if (timestamps !== undefined) policy.timestamps = timestamps;
    return policy;
}
