import { ClosedError, FanlightError } from "./errors.js";
import { BrokerRecord } from "./record.js";
import { toMs, toNanos, toOffset } from "./time.js";
import type { WireAnswers, WireAssignment, WireFetched, WireOp, WireRecord } from "./wire.js";

/** A place in a partition: its oldest record, after its newest, an offset, or a time. */
export type Position = "earliest" | "latest" | bigint | number | { sinceMs: number };

/** A partition, and the next offset that a poll will read. */
export interface Assignment {
    topic: string;
    partition: number;
    position: bigint;
}

/** An offset to commit: the next one to read, as in Kafka. */
export interface OffsetToCommit {
    topic: string;
    partition: number;
    offset: bigint | number;
}

/** How to poll. */
export interface PollOptions {
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

/** A record of a topic. */
export class StreamRecord extends BrokerRecord {
    readonly topic: string;
    readonly partition: number;
    readonly offset: bigint;
    /** When the broker appended it, or the first of the records that were read with it. */
    readonly appendedAtMs: number;

    /** @internal */
    constructor(from: WireFetched, index: number, record: WireRecord) {
        super(record);
        this.topic = from.topic;
        this.partition = from.partition;
        this.offset = from.offsets[index] ?? from.base + BigInt(index);
        this.appendedAtMs = toMs(from.appendedAt);
    }
}

/** What a member needs of its connection. @internal */
export interface MemberHost {
    request<K extends keyof WireAnswers>(op: WireOp, kind: K): Promise<WireAnswers[K]>;
    waitFor<T>(promise: Promise<T>): Promise<T>;
    left(member: Member): void;
}

/** How a member came to be. @internal */
export interface Joining {
    group: string;
    topics: readonly string[];
    sessionTimeoutMs: number;
    onAssigned: ((assignment: readonly Assignment[]) => void) | undefined;
}

const POLL_MAX = 500;
const POLL_WAIT_MS_MAX = 20_000;

/**
 * A member of a consumer group. It owns some partitions of the group's topics, reads them by
 * {@link Member.poll} or `for await`, and says how far it got by {@link Member.commit}. What it
 * read and did not commit is read again by whoever owns the partition after it.
 *
 * A member that neither polls, commits nor sends a heartbeat for its session timeout is put out of
 * its group. There is no heartbeat behind its back, so that a test can see that happen.
 */
export class Member implements AsyncIterable<StreamRecord> {
    /** Its number in views and activity. */
    readonly id: bigint;
    /** The group it is in. */
    readonly group: string;
    readonly #host: MemberHost;
    readonly #joining: Joining;
    #generation = 0;
    #assignment: readonly Assignment[] = [];
    #expelled = false;
    /** Polled for an iteration, and not handed out yet. */
    #ahead: StreamRecord[] = [];
    /** Of each partition the next offset after what was handed out and is not committed. */
    readonly #uncommitted = new Map<string, Assignment>();

    /** @internal */
    constructor(id: bigint, joining: Joining, host: MemberHost) {
        this.id = id;
        this.group = joining.group;
        this.#joining = joining;
        this.#host = host;
    }

    /** The group's generation, as this member knows it. */
    get generation(): number {
        return this.#generation;
    }

    /** The partitions it owns, and where it began to read them in this generation. */
    get assignment(): readonly Assignment[] {
        return this.#assignment;
    }

    /** Whether it was put out of its group. */
    get isExpelled(): boolean {
        return this.#expelled;
    }

    /** Reads on from its positions in the partitions that it owns, and moves them. */
    async poll(options: PollOptions = {}): Promise<StreamRecord[]> {
        const records = this.#ahead.splice(0, options.max ?? POLL_MAX);
        if (records.length === 0) records.push(...(await this.#poll(options)));
        for (const record of records) this.#handedOut(record);
        return records;
    }

    /**
     * Every record as it comes. Nothing is committed by itself: call {@link Member.commit} in the
     * loop, and it commits what the loop was given. It ends when the connection is closed or the
     * member left.
     * @throws FanlightError with `codeName` `"Expelled"` if the member is put out of its group.
     */
    async *[Symbol.asyncIterator](): AsyncGenerator<StreamRecord, void, undefined> {
        const waitMs = Math.min(this.#joining.sessionTimeoutMs / 3, POLL_WAIT_MS_MAX);
        for (;;) {
            const record = this.#ahead.shift();
            if (record !== undefined) {
                this.#handedOut(record);
                yield record;
                continue;
            }
            try {
                this.#ahead.push(...(await this.#poll({ waitMs })));
            } catch (error) {
                if (error instanceof ClosedError) return;
                throw this.#expelled ? this.#expulsion(error) : error;
            }
        }
    }

    /**
     * Commits everything that was handed out so far, or only `upTo` these records: of each
     * partition the highest. All or none.
     * @throws RefusedError with `codeName` `"Fenced"` if it no longer owns one of the partitions.
     */
    async commit(upTo?: StreamRecord | Iterable<StreamRecord>): Promise<void> {
        const next = new Map<string, Assignment>();
        if (upTo === undefined) {
            for (const [key, one] of this.#uncommitted) next.set(key, one);
        } else {
            for (const record of upTo instanceof StreamRecord ? [upTo] : upTo) after(next, record);
        }
        if (next.size === 0) return;
        await this.#commit([...next.values()]);
        for (const [key, { position }] of next) {
            const open = this.#uncommitted.get(key);
            if (open !== undefined && open.position <= position) this.#uncommitted.delete(key);
        }
    }

    /**
     * Commits offsets of one's own choice: of each partition the next one to read. All or none.
     * @throws RefusedError with `codeName` `"Fenced"` if it no longer owns one of the partitions.
     */
    async commitOffsets(offsets: Iterable<OffsetToCommit>): Promise<void> {
        const next = [...offsets].map(({ topic, partition, offset }) => {
            return { topic, partition, position: toOffset(offset, "the offset to commit") };
        });
        await this.#commit(next);
    }

    /** Moves its own position in a partition; what was committed stays. */
    async seek(topic: string, partition: number, to: Position): Promise<void> {
        const op = { seek: { member: this.id, topic, partition, to: toPosition(to) } };
        await this.#host.request(op, "done");
        const elsewhere = (one: { topic: string; partition: number }) =>
            one.topic !== topic || one.partition !== partition;
        this.#ahead = this.#ahead.filter(elsewhere);
        this.#uncommitted.delete(keyOf({ topic, partition }));
    }

    /** Says that it lives. `poll` and `commit` say so too. */
    async heartbeat(): Promise<void> {
        await this.#host.request({ heartbeat: { member: this.id } }, "done");
    }

    /** Leaves the group; its partitions go to the others. */
    async leave(): Promise<void> {
        await this.#host.request({ leave: { member: this.id } }, "done");
        this.#host.left(this);
        this.#assignment = [];
    }

    /** @internal */
    assigned(generation: number, partitions: readonly WireAssignment[]): void {
        this.#generation = generation;
        this.#assignment = partitions;
        const owned = new Set(partitions.map(keyOf));
        this.#ahead = this.#ahead.filter((record) => owned.has(keyOf(record)));
        for (const key of this.#uncommitted.keys()) {
            if (!owned.has(key)) this.#uncommitted.delete(key);
        }
        const { onAssigned } = this.#joining;
        // The broker is done with what it is doing before anyone else's code runs.
        if (onAssigned !== undefined) queueMicrotask(() => onAssigned(partitions));
    }

    /** @internal */
    expelled(): void {
        this.#expelled = true;
        this.#assignment = [];
        this.#ahead = [];
        this.#uncommitted.clear();
    }

    async #poll({ max = POLL_MAX, ...options }: PollOptions): Promise<StreamRecord[]> {
        const op = { poll: { member: this.id, budget: toBudget(max, options) } };
        const { batches } = await this.#host.waitFor(this.#host.request(op, "polled"));
        return batches.flatMap(toRecords);
    }

    async #commit(next: readonly Assignment[]): Promise<void> {
        const offsets = next.map(({ topic, partition, position }) => {
            return { topic, partition, offset: position };
        });
        const commit = { member: this.id, generation: this.#generation, offsets };
        await this.#host.request({ commit }, "done");
    }

    #handedOut(record: StreamRecord): void {
        after(this.#uncommitted, record);
    }

    #expulsion(cause: unknown): FanlightError {
        const message =
            `the member is out of group ${this.group}: it was silent for its session timeout ` +
            `of ${this.#joining.sessionTimeoutMs} ms, or its topic was deleted; join again`;
        return new FanlightError("Expelled", message, { cause });
    }
}

/** @internal */
export function toRecords(from: WireFetched): StreamRecord[] {
    return from.records.map((record, index) => new StreamRecord(from, index, record));
}

/** @internal */
export function toBudget(recordsMax: number, options: Omit<PollOptions, "max">): WireOp {
    const { maxBytes, minBytes = 0, waitMs = 0, committed = false } = options;
    return {
        recordsMax,
        bytesMax: maxBytes,
        bytesMin: minBytes,
        wait: toNanos(waitMs, "waitMs"),
        isolation: committed ? "committed" : "uncommitted",
    };
}

/** @internal */
export function toPosition(position: Position): WireOp {
    if (position === "earliest" || position === "latest") return position;
    if (typeof position === "object") return { since: toNanos(position.sinceMs, "sinceMs") };
    return { at: toOffset(position, "the position") };
}

function keyOf({ topic, partition }: { topic: string; partition: number }): string {
    return `${partition}/${topic}`;
}

function after(next: Map<string, Assignment>, record: StreamRecord): void {
    const { topic, partition } = record;
    const position = record.offset + 1n;
    const before = next.get(keyOf(record));
    if (before === undefined || before.position < position) {
        next.set(keyOf(record), { topic, partition, position });
    }
}
