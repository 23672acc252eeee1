/**
 * Every kind of failure by name, with its number. Numbers are stable: one is never used again for
 * another kind. Those below 900 are the broker's, the same on every transport; those from 900 are
 * this package's own.
 */
export const codes = {
    /** The bytes are not a frame of this protocol. */
    BadFrame: 100,
    /** The protocol's version is not spoken here. */
    BadProtocol: 101,
    /** A value is out of its range, or two values contradict each other. */
    BadArgument: 102,
    /** The connection is not open. */
    NotOpen: 103,
    /** A name is empty, too long, or has control characters, or is reserved. */
    BadName: 200,
    /** There is no such exchange. */
    UnknownExchange: 201,
    /** There is no such queue. */
    UnknownQueue: 202,
    /** There is no such topic. */
    UnknownTopic: 203,
    /** The topic has no such partition. */
    UnknownPartition: 204,
    /** There is no such group. */
    UnknownGroup: 205,
    /** There is no such binding. */
    UnknownBinding: 206,
    /** The connection has no such consumer. */
    UnknownConsumer: 207,
    /** The connection has no such member. */
    UnknownMember: 208,
    /** The queue holds no such message, or it is not ready. */
    UnknownMessage: 209,
    /** The name is taken by something that was declared otherwise. */
    Conflict: 210,
    /** It is still used by something else. */
    InUse: 211,
    /** No binding took the message, and it would have been lost. */
    Unroutable: 212,
    /** There is no such producer, or it was forgotten because nothing was heard of it for long. */
    UnknownProducer: 220,
    /** The exchange is internal: only other exchanges route to it. */
    Internal: 230,
    /** There is no such job that redrives messages, or it ended. */
    UnknownRedrive: 231,
    /** The queue is another connection's alone. */
    Exclusive: 240,
    /** The queue remembers as many messages as it may, so as not to store them twice. */
    DeduplicationFull: 241,
    /** The record needs a key: its topic is compacted. */
    KeyMissing: 260,
    /** The lease ended, was settled, or belongs to another connection. */
    StaleLease: 300,
    /** The offset is not in the log. */
    OffsetOutOfRange: 301,
    /** The member no longer owns the partition, or speaks for an old generation. */
    Fenced: 302,
    /** The generation is not the group's. */
    IllegalGeneration: 310,
    /** Another has joined under the member's instance name. */
    FencedInstanceId: 311,
    /** The group rebalances: join again. */
    RebalanceInProgress: 312,
    /** The group shares out in another way: by the broker or its members, of another type. */
    InconsistentGroupProtocol: 313,
    /** The batch's number is not the next one: a batch before it is missing. */
    OutOfOrderSequence: 320,
    /** The batch's number was used before, by a batch that is no longer remembered or was another. */
    DuplicateSequence: 321,
    /** A newer life of the producer took its place, or the broker aborted its transaction. */
    ProducerFenced: 322,
    /** The transaction is not in a state in which this can be done. */
    InvalidTransaction: 323,
    /** A record or batch is larger than the limit. */
    TooLarge: 400,
    /** The queue holds as many messages as it may. */
    QueueFull: 401,
    /** The broker holds as many bytes as it may. */
    BrokerFull: 402,
    /** There are as many of these as there may be. */
    TooMany: 403,
    /** The user takes more than its quota gives; try again a little later. */
    QuotaExceeded: 480,
    /** The server is going down; try again with the next one. */
    ShuttingDown: 500,
    /** Who asks is not permitted to (AMQP's `access-refused`). */
    AccessRefused: 600,
    /** The broker or the connection was closed on this side. */
    Closed: 900,
    /** The broker met a fault of its own and cannot be used any more. */
    Broken: 901,
    /** The clock is the system's, and only a virtual one can be moved. */
    NotVirtual: 902,
    /** The WebAssembly module could not be loaded. */
    NotLoaded: 903,
    /** The member was put out of its group: its session timed out, or its topic is gone. */
    Expelled: 904,
} as const;

/** The name of a kind of failure: `"UnknownQueue"`, `"StaleLease"`, … */
export type CodeName = keyof typeof codes;

const names = new Map<number, CodeName>(
    Object.entries(codes).map(([name, code]) => [code, name as CodeName]),
);

/** The name that belongs to a number; `BadFrame` for one that this version does not know. */
export function nameOf(code: number): CodeName {
    return names.get(code) ?? "BadFrame";
}
