import type { AttemptEnd, DeathReason } from "./views.js";
import { type CodeName, nameOf } from "./codes.js";
import { toMs } from "./time.js";
import type { WireActivity } from "./wire.js";

/** Why a member is no longer in its group. */
export type LeaveReason =
    | "left"
    | "disconnected"
    | "sessionTimeout"
    | "topicDeleted"
    | "rebalanceTimeout"
    | "instanceFenced"
    | "removed";

/** What can happen inside a broker, by kind, with what is told of each. */
export interface Happenings {
    /** A connection opened. */
    connected: { conn: bigint; client: string };
    /** A connection closed. */
    disconnected: { conn: bigint; client: string };
    /** An exchange, queue, topic, binding or group came, went or changed. */
    topologyChanged: { what: string };
    /** A batch came to lie in a queue, from offset `base`. */
    enqueued: Published & { queue: string };
    /** A batch came to lie in a partition, from offset `base`. */
    appended: Published & { topic: string; partition: number };
    /** A message was handed to a consumer, or to a `receive` if `consumer` is undefined. */
    leased: Held & { attempt: number; conn: bigint; consumer?: bigint; untilMs: number };
    /** A lease was extended. */
    extended: Held & { untilMs: number };
    /** An attempt failed; the message is ready again, at once if `readyAtMs` is undefined. */
    returned: Held & {
        attempt: number;
        deliveriesMax?: number;
        conn: bigint;
        end: AttemptEnd;
        readyAtMs?: number;
    };
    /** A delayed message became ready. */
    due: Held;
    /** A message was acknowledged and is gone. */
    acked: Held & { attempt: number; conn: bigint };
    /** A message died and lies in the dead-letter queue. */
    deadLettered: Held & { attempts: number; reason: DeathReason; to: string; toOffset: bigint };
    /** A message died where no queue keeps the dead, and is gone. */
    dropped: Held & { reason: DeathReason };
    /** Consecutive messages were purged. */
    purged: { queue: string; base: bigint; count: bigint };
    /** A message was moved out of a dead-letter queue. */
    redriven: Held & { to: string; toOffset: bigint; mended: boolean };
    /** A member came into a group. */
    memberJoined: { group: string; member: bigint; conn: bigint };
    /** A member left a group or was put out. */
    memberLeft: { group: string; member: bigint; conn: bigint; reason: LeaveReason };
    /** A partition went to a member; `again` records had been read but not committed before. */
    partitionAssigned: Read & { generation: number; position: bigint; again: bigint };
    /** A member read records: its position moved. */
    polled: Read & { from: bigint; to: bigint };
    /** A group committed; without a member: it was reset. */
    committed: Omit<Read, "member"> & { from?: bigint; to: bigint; member?: bigint };
    /** A member moved its own position. */
    sought: Read & { to: bigint };
    /** A delivery was given back unseen; no attempt was counted. */
    released: Held & { conn: bigint };
    /** The bytes that are held passed a mark: publishers were told to slow down, or to go on. */
    pressure: { isHigh: boolean; storedBytes: bigint; low: bigint; high: bigint };
    /** Records of a partition went, and it starts later. */
    trimmed: Omit<Read, "member" | "group"> & {
        from: bigint;
        to: bigint;
        reason: "retention" | "deleted";
    };
    /** A partition was compacted: each key is there once before `clean`. */
    compacted: Omit<Read, "member" | "group"> & { clean: bigint; removed: bigint };
    /** A request was refused. */
    refused: { conn: bigint; refusal: { code: number; codeName: CodeName; message: string } };
    /** A producer that numbers its batches is there, or began another life. */
    producerReady: { producer: bigint; epoch: number; name: string; conn: bigint };
    /** A batch was sent again, and not stored again. */
    deduplicated: { producer: bigint; sequence: number; count: number; conn: bigint };
    /** A producer was forgotten: nothing was heard of it for long. */
    producerExpired: { producer: bigint; name: string };
    /** A producer's transaction began. */
    transactionBegan: { producer: bigint; epoch: number; name: string; until: bigint };
    /** A producer's transaction ended. */
    transactionEnded: {
        producer: bigint;
        name: string;
        end: "committed" | "aborted" | "timedOut" | "fenced";
        records: bigint;
    };
    /** A consumer takes over where only one is active. */
    consumerActive: { queue: string; consumer: bigint };
    /** A group whose members assign needs another generation: all are to join again. */
    groupRebalancing: {
        group: string;
        member: bigint;
        cause: "joined" | "changed" | "leaderAgain" | "left";
        members: number;
    };
    /** The members of a group have joined a generation, and one of them is to assign. */
    leaderChosen: {
        group: string;
        generation: number;
        protocol: string;
        leader: bigint;
        members: number;
    };
    /** A leader has assigned. */
    leaderAssigned: { group: string; generation: number; leader: bigint };
    /** A member reads other topics. */
    subscriptionChanged: { group: string; member: bigint; topics: string };
    /** What a group without members had committed was forgotten; it was kept for `kept` ns. */
    offsetExpired: Omit<Read, "member"> & { from: bigint; kept: bigint };
    /** A message came to a queue that had come before, and was not stored again. */
    cameBefore: Held & { conn: bigint };
}

interface Published {
    base: bigint;
    count: number;
    conn: bigint;
    exchange: string;
    routingKey: string;
}

interface Held {
    queue: string;
    offset: bigint;
}

interface Read {
    group: string;
    member: bigint;
    topic: string;
    partition: number;
}

/** A kind of activity. */
export type ActivityKind = keyof Happenings;

/**
 * One thing that happened inside the broker: tell them apart by `kind`. `text` says it in a
 * sentence, with its reason.
 */
export type Activity = {
    [K in ActivityKind]: { kind: K; atMs: number; text: string } & Happenings[K];
}[ActivityKind];

/** @internal */
export function toActivity(at: bigint, wire: WireActivity, text: string): Activity {
    const [kind, body] = Object.entries(wire)[0] as [string, { [field: string]: unknown }];
    const { until, readyAt, ...rest } = body as { until?: bigint; readyAt?: bigint };
    const activity: { [field: string]: unknown } = { kind, atMs: toMs(at), text, ...rest };
    if (until !== undefined) activity.untilMs = toMs(until);
    if (readyAt !== undefined) activity.readyAtMs = toMs(readyAt);
    if (kind === "refused") {
        const refusal = body.refusal as { code: number; message: string };
        activity.refusal = { ...refusal, codeName: nameOf(refusal.code) };
    }
    return activity as Activity;
}
