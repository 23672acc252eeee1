/**
 * The objects that cross into the core and out of it: the shape of its serde representation. What
 * users see is made of these in `views.ts`, `activity.ts` and `record.ts`.
 */

/** A variant without fields is its name; one with fields is an object with one key. */
export type WireOp = string | { readonly [variant: string]: unknown };

export interface WireRecordIn {
    key?: Uint8Array;
    headers?: (readonly [string, Uint8Array])[];
    timestamp?: bigint;
    ttl?: bigint;
    delay?: bigint;
    priority?: number;
    id?: Uint8Array;
    body: Uint8Array;
}

export interface WireRecord {
    key?: Uint8Array;
    headers: [string, Uint8Array][];
    timestamp?: bigint;
    ttl?: bigint;
    delay?: bigint;
    priority?: number;
    id?: Uint8Array;
    body: Uint8Array;
}

export interface WireLease {
    queue: number;
    offset: bigint;
    delivery: number;
    epoch: number;
}

export interface WireDelivery {
    lease: WireLease;
    attempt: number;
    deadline: bigint;
    appendedAt: bigint;
    via?: { exchange: string; routingKey: string };
    record: WireRecord;
}

export interface WireAssignment {
    topic: string;
    partition: number;
    position: bigint;
}

export interface WireFetched {
    topic: string;
    partition: number;
    base: bigint;
    /** Of each record; empty where they are dense from `base` on. */
    offsets: bigint[];
    appendedAt: bigint;
    records: WireRecord[];
    /** Where to read on. */
    next: bigint;
}

export interface WireAppend {
    place: { queue: number } | { partition: [topic: number, partition: number] };
    base: bigint;
}

/** Events that answer a request, by kind. */
export interface WireAnswers {
    done: { tag: number };
    count: { tag: number; count: bigint; left: bigint };
    refused: { tag: number; refusal: { code: number; message: string } };
    published: { tag: number; appends: WireAppend[]; duplicate: boolean };
    producerReady: { tag: number; producer: bigint; epoch: number };
    consuming: { tag: number; consumer: bigint };
    received: { tag: number; deliveries: WireDelivery[]; left: bigint };
    settled: { tag: number; count: number; stale: WireLease[] };
    joined: { tag: number; member: bigint };
    polled: { tag: number; batches: WireFetched[] };
    readDone: {
        tag: number;
        start: bigint;
        end: bigint;
        stableEnd: bigint;
        batch?: WireFetched;
    };
    inspected: { tag: number; view: WireView };
    offsetsReset: { tag: number; changes: WireOffsetChange[] };
    joinedClassic: {
        tag: number;
        member: bigint;
        generation: number;
        protocolType: string;
        protocol: string;
        leader: bigint;
        skipAssignment: boolean;
        members: { member: bigint; instance?: string; metadata: Uint8Array }[];
    };
    synced: { tag: number; protocolType: string; protocol: string; assignment: Uint8Array };
    membersRemoved: {
        tag: number;
        refused: { index: number; refusal: { code: number; message: string } }[];
    };
}

export interface WireOffsetChange {
    topic: string;
    partition: number;
    from?: bigint;
    to: bigint;
}

/** Events that nobody asked for, by kind. */
export interface WireNews {
    opened: { conn: bigint; epoch: number; now: bigint };
    cancelled: { consumer: bigint };
    delivered: { consumer: bigint; deliveries: WireDelivery[] };
    assigned: { member: bigint; generation: number; partitions: WireAssignment[] };
    pressure: {
        isHigh: boolean;
        storedBytes: bigint;
        low: bigint;
        high: bigint;
        max: bigint;
    };
    expelled: { member: bigint; reason: string };
    activity: { at: bigint; activity: WireActivity };
}

/** An object with one key: the kind. */
export type WireEvent = Partial<WireAnswers & WireNews>;

export interface WireActivity {
    [kind: string]: { [field: string]: unknown };
}

export interface WireView {
    overview?: WireOverview;
    queue?: WireQueueView;
    topic?: WireTopicView;
    group?: WireGroupView;
    messages?: WireMessageView[];
    producers?: WireProducerView[];
}

export interface WireProducerView {
    id: bigint;
    name?: string;
    epoch: number;
    timeout: bigint;
    seen: bigint;
    forgottenAt: bigint;
    sequences: { topic?: string; partition?: number; next: number }[];
    transaction?: {
        began: bigint;
        until: bigint;
        records: bigint;
        logs: number;
        offsets: number;
        writes: { place: WireAppend["place"]; name: string; first: bigint; records: bigint }[];
    };
}

export interface WireOverview {
    now: bigint;
    epoch: number;
    storedBytes: bigint;
    due?: [bigint, WireDeadlineReason];
    exchanges: WireExchangeView[];
    queues: WireQueueView[];
    topics: WireTopicView[];
    groups: WireGroupView[];
    connections: { id: bigint; client: string }[];
}

export type WireDeadlineReason =
    | "leaseEnds"
    | "delayEnds"
    | "sessionEnds"
    | "rebalanceEnds"
    | "waitEnds"
    | "producerIdle"
    | "transactionEnds"
    | "messageExpires"
    | "queueExpires"
    | "queueOverflows"
    | "retentionEnds"
    | "compactionDue"
    | "keptLongEnough"
    | "redriveGoesOn"
    | "offsetsExpire";

export interface WireExchangeView {
    name: string;
    kind: "direct" | "topic" | "fanout";
    bindings: {
        pattern: string;
        to: { queue: string } | { topic: string } | { exchange: string };
        headers: {
            mode: "all" | "any" | "allWithX" | "anyWithX";
            headers: { name: string; value?: Uint8Array }[];
        };
    }[];
}

export interface WireQueuePolicy {
    visibility: bigint;
    deliveriesMax?: number;
    deadLetter?: string;
    messagesMax?: bigint;
    retryDelay: bigint;
}

export interface WireQueueView {
    id: number;
    name: string;
    policy: WireQueuePolicy;
    madeAt: bigint;
    ready: bigint;
    leased: bigint;
    delayed: bigint;
    blocked: bigint;
    held: bigint;
    bytes: bigint;
    end: bigint;
    acked: bigint;
    deadLettered: bigint;
    dropped: bigint;
    oldestAt?: bigint;
    consumers: WireConsumerView[];
}

export interface WireConsumerView {
    id: bigint;
    conn: bigint;
    prefetch: number;
    outstanding: number;
    autoAck: boolean;
    active: boolean;
}

export interface WireTopicView {
    id: number;
    name: string;
    partitions: WirePartitionView[];
    policy: WireTopicPolicy;
}

export interface WirePartitionView {
    start: bigint;
    end: bigint;
    bytes: bigint;
    stableEnd: bigint;
    clean?: bigint;
}

export interface WireTopicPolicy {
    retention?: bigint;
    retentionBytes?: bigint;
    compact: boolean;
    tombstoneRetention: bigint;
    timestamps: "producer" | "broker";
}

export interface WireGroupView {
    id: number;
    name: string;
    state: "empty" | "stable" | "reconciling" | "preparingRebalance" | "completingRebalance";
    generation: number;
    assignor: "range" | "roundRobin" | "sticky" | "cooperativeSticky";
    classic?: WireClassic;
    vacatedAt?: bigint;
    members: WireMember[];
    partitions: {
        topic: string;
        partition: number;
        committed?: bigint;
        position?: bigint;
        end: bigint;
        lag: bigint;
        oldestAt?: bigint;
        committedAt?: bigint;
        metadata: string;
        isPending: boolean;
        owner?: bigint;
    }[];
}

/** Of a group whose members assign. */
export interface WireClassic {
    protocolType: string;
    protocol?: string;
    leader: bigint;
}

export interface WireMember {
    id: bigint;
    conn?: bigint;
    client: string;
    instance?: string;
    /** What it proposes and was given, where members assign. */
    metadata: Uint8Array;
    assignment: Uint8Array;
}

export interface WireAttempt {
    number: number;
    at: bigint;
    end: "expired" | "nacked" | "rejected" | "disconnected";
    client: string;
}

export interface WireMessageView {
    offset: bigint;
    at: bigint;
    via?: { exchange: string; routingKey: string };
    state: "ready" | "blocked" | "held" | { leased: { conn: bigint; until: bigint } } | { delayed: { until: bigint } };
    attempts: WireAttempt[];
    attemptsFailed: number;
    deaths: {
        queue: string;
        offset: bigint;
        reason: "deliveriesExhausted" | "rejected" | "expired" | "maxLength";
        at: bigint;
        appendedAt: bigint;
        attempts: WireAttempt[];
    }[];
    record: WireRecord;
}
