import { BrokerRecord } from "./record.js";
import { toMs, toMsMaybe } from "./time.js";
import type {
    WireAttempt,
    WireClassic,
    WireDeadlineReason,
    WireExchangeView,
    WireGroupView,
    WireMember,
    WireMessageView,
    WireOverview,
    WireQueuePolicy,
    WireQueueView,
    WireTopicView,
} from "./wire.js";

/** Everything but the messages. */
export interface Overview {
    /** The broker's time. */
    nowMs: number;
    /** Which life of the broker this is: one more after every snapshot that was loaded. */
    epoch: number;
    /** Bytes of all records held. */
    storedBytes: bigint;
    /** When something is due next, and what. */
    due: { atMs: number; reason: DueReason } | undefined;
    /** Exchanges by name, without the built-in ones. */
    exchanges: ExchangeView[];
    /** Queues by name. */
    queues: QueueView[];
    /** Topics by name. */
    topics: TopicView[];
    /** Consumer groups by name. */
    groups: GroupView[];
    /** Open connections. */
    connections: ConnectionView[];
}

/** What is due: the end of a lease, of a delay, of a member's session, or of a wait. */
export type DueReason = WireDeadlineReason;

/** How an exchange routes, as in AMQP: by equal key, by pattern, to every binding, by headers. */
export type ExchangeKind = "direct" | "topic" | "fanout" | "headers";

/** Where a binding leads. */
export type Destination = { queue: string } | { topic: string } | { exchange: string };

/** What a binding of a headers exchange wants of a record's headers. */
export interface WantedHeaders {
    mode: "all" | "any" | "allWithX" | "anyWithX";
    /** A header without a value only has to be there. */
    headers: { name: string; value?: Uint8Array }[];
}

/** An exchange. */
export interface ExchangeView {
    name: string;
    kind: ExchangeKind;
    bindings: { pattern: string; to: Destination; headers: WantedHeaders }[];
}

/** How a queue treats its messages. */
export interface QueuePolicyView {
    visibilityMs: number;
    deliveriesMax: number | undefined;
    deadLetter: string | undefined;
    messagesMax: bigint | undefined;
    retryDelayMs: number;
}

/** A queue. */
export interface QueueView {
    name: string;
    policy: QueuePolicyView;
    /** When it came to be. */
    madeAtMs: number;
    /** Messages that wait for a consumer. */
    ready: bigint;
    /** Messages in the hands of consumers. */
    leased: bigint;
    /** Messages that wait for their delay to end. */
    delayed: bigint;
    /** Messages that wait for an older one of their group. */
    blocked: bigint;
    /** Messages that wait for their transaction to end. */
    held: bigint;
    /** Bytes of its records. */
    bytes: bigint;
    /** The offset that the next message gets: how many ever came. */
    end: bigint;
    /** Messages acknowledged since this broker started. */
    acked: bigint;
    /** Messages that died here since this broker started. */
    deadLettered: bigint;
    /** Messages that died here since this broker started, and that no queue keeps. */
    dropped: bigint;
    /** When the oldest unsettled message came. */
    oldestAtMs: number | undefined;
    /** Its consumers; `conn` is the {@link Connection.id} of theirs. */
    consumers: ConsumerView[];
}

/** A consumer of a queue. */
export interface ConsumerView {
    id: bigint;
    conn: bigint;
    /** How many it may hold. */
    prefetch: number;
    /** How many it holds. */
    outstanding: number;
    /** Whether what it gets is settled before it is told. */
    autoAck: boolean;
    /** Whether it gets messages: one that waits for the single active one to go does not. */
    active: boolean;
}

/** A topic; its partitions are counted from 0. */
export interface TopicView {
    name: string;
    /**
     * Of each its oldest offset, the one after its newest, its bytes, where committed reads end, and
     * up to where it is compacted.
     */
    partitions: WireTopicView["partitions"];
    policy: TopicPolicyView;
}

/** How a topic keeps its records. */
export interface TopicPolicyView {
    /** How old records may become; undefined: however old. */
    retentionMs?: number;
    /** How many bytes a partition keeps; undefined: all. */
    retentionBytes?: bigint;
    /** Whether only the newest record of each key is kept. */
    compact: boolean;
    /** How long a record that deletes its key stays. */
    tombstoneRetentionMs: number;
    /** Whose timestamps the records have. */
    timestamps: "producer" | "broker";
}

/** How partitions are shared out among the members of a group. */
export type Assignor = "range" | "roundRobin" | "sticky" | "cooperativeSticky";

/** A consumer group. */
export interface GroupView {
    name: string;
    /** What it is doing, in Kafka's words. */
    state: WireGroupView["state"];
    /** How often its assignment changed. */
    generation: number;
    assignor: Assignor;
    /** Where its members assign: of what type it is, how they do it, and who. */
    classic?: WireClassic;
    /** Since when it has no members; undefined: it has some, or never had any. */
    vacatedAtMs: number | undefined;
    members: WireMember[];
    /** Every partition that is committed on or assigned. */
    partitions: GroupPartitionView[];
}

/** How far a group is in a partition. */
export interface GroupPartitionView {
    topic: string;
    partition: number;
    /** The next offset to read after a crash; undefined: nothing was committed. */
    committed: bigint | undefined;
    /** The next offset that its owner will poll; undefined: nobody owns it. */
    position: bigint | undefined;
    /** The offset after the partition's newest. */
    end: bigint;
    /** Records between the committed offset (or the log's start) and the end. */
    lag: bigint;
    /** When the oldest of these came; undefined: there is none. */
    oldestAtMs: number | undefined;
    /** When the offset was committed. */
    committedAtMs: number | undefined;
    /** What was noted beside it. */
    metadata: string;
    /** Whether an open transaction may still commit how far it was read. */
    isPending: boolean;
    /** The {@link Member.id} of who reads it. */
    owner: bigint | undefined;
}

/** A connection. */
export interface ConnectionView {
    id: bigint;
    client: string;
}

/** What a message of a queue is doing. */
export type MessageState =
    | { kind: "ready" }
    | { kind: "leased"; conn: bigint; untilMs: number }
    | { kind: "delayed"; untilMs: number }
    /** It waits for an older message of its group. */
    | { kind: "blocked" }
    /** It waits for its transaction to end. */
    | { kind: "held" };

/** How an attempt ended that was not acknowledged. */
export type AttemptEnd = WireAttempt["end"];

/** Why a message died. */
export type DeathReason = "deliveriesExhausted" | "rejected" | "expired" | "maxLength";

/** An attempt that ended without an acknowledgement. */
export interface Attempt {
    /** Which one, from 1. */
    number: number;
    atMs: number;
    end: AttemptEnd;
    /** The client that held the message. */
    client: string;
}

/** A message's death in a queue: what other brokers write into `x-death`. */
export interface Death {
    queue: string;
    /** Its offset there. */
    offset: bigint;
    reason: DeathReason;
    atMs: number;
    /** When it had come to that queue. */
    appendedAtMs: number;
    /** Its attempts there, oldest first: the newest sixteen. */
    attempts: Attempt[];
}

/** A message as it lies in a queue, with what happened to it. */
export class StoredMessage extends BrokerRecord {
    readonly offset: bigint;
    /** When it came. */
    readonly atMs: number;
    /** The exchange by which it came. Undefined if it came straight. */
    readonly exchange: string | undefined;
    /** Its routing key then. Undefined if it came straight. */
    readonly routingKey: string | undefined;
    readonly state: MessageState;
    /** Its failed attempts here, oldest first: the newest sixteen of them. */
    readonly attempts: readonly Attempt[];
    /** How many attempts failed here. */
    readonly attemptsFailed: number;
    /** Its deaths in other queues, oldest first. */
    readonly deaths: readonly Death[];

    /** @internal */
    constructor(view: WireMessageView) {
        super(view.record);
        this.offset = view.offset;
        this.atMs = toMs(view.at);
        this.exchange = view.via?.exchange;
        this.routingKey = view.via?.routingKey;
        this.state = toState(view.state);
        this.attempts = view.attempts.map(toAttempt);
        this.attemptsFailed = view.attemptsFailed;
        this.deaths = view.deaths.map(({ at, appendedAt, attempts, ...death }) => ({
            ...death,
            atMs: toMs(at),
            appendedAtMs: toMs(appendedAt),
            attempts: attempts.map(toAttempt),
        }));
    }
}

/** @internal */
export function toOverview(view: WireOverview): Overview {
    return {
        nowMs: toMs(view.now),
        epoch: view.epoch,
        storedBytes: view.storedBytes,
        due: view.due && { atMs: toMs(view.due[0]), reason: view.due[1] },
        exchanges: view.exchanges.map((exchange: WireExchangeView) => exchange),
        queues: view.queues.map(toQueueView),
        topics: view.topics.map(toTopicView),
        groups: view.groups.map(toGroupView),
        connections: view.connections,
    };
}

/** @internal */
export function toQueueView(wire: WireQueueView): QueueView {
    const { id: _, policy, madeAt, oldestAt, ...view } = wire;
    return {
        ...view,
        policy: toPolicyView(policy),
        madeAtMs: toMs(madeAt),
        oldestAtMs: toMsMaybe(oldestAt),
    };
}

/** @internal */
export function toTopicView({ id: _, policy, ...view }: WireTopicView): TopicView {
    const { retention, tombstoneRetention, ...rest } = policy;
    const shown: TopicPolicyView = { ...rest, tombstoneRetentionMs: toMs(tombstoneRetention) };
    if (retention !== undefined) shown.retentionMs = toMs(retention);
    return { ...view, policy: shown };
}

/** @internal */
export function toGroupView({ id: _, partitions, vacatedAt, ...view }: WireGroupView): GroupView {
    return {
        ...view,
        vacatedAtMs: toMsMaybe(vacatedAt),
        partitions: partitions.map(
            ({ committed, position, owner, oldestAt, committedAt, ...partition }) => {
                const oldestAtMs = toMsMaybe(oldestAt);
                const committedAtMs = toMsMaybe(committedAt);
                return { ...partition, committed, position, owner, oldestAtMs, committedAtMs };
            },
        ),
    };
}

function toPolicyView(policy: WireQueuePolicy): QueuePolicyView {
    return {
        visibilityMs: toMs(policy.visibility),
        deliveriesMax: policy.deliveriesMax,
        deadLetter: policy.deadLetter,
        messagesMax: policy.messagesMax,
        retryDelayMs: toMs(policy.retryDelay),
    };
}

function toState(state: WireMessageView["state"]): MessageState {
    if (typeof state === "string") return { kind: state };
    if ("leased" in state) {
        const { conn, until } = state.leased;
        return { kind: "leased", conn, untilMs: toMs(until) };
    }
    return { kind: "delayed", untilMs: toMs(state.delayed.until) };
}

function toAttempt({ at, ...attempt }: WireAttempt): Attempt {
    return { ...attempt, atMs: toMs(at) };
}
