import { badArgument } from "./errors.js";
import { toMsMaybe, toNanos } from "./time.js";
import type { WireRecord, WireRecordIn } from "./wire.js";

/** Bytes, or text that stands for its UTF-8. */
export type Bytes = string | Uint8Array | ArrayBuffer;

/** A message to publish. Text alone is a body. */
export type MessageInput = string | Uint8Array | MessageFields;

/** The parts of a message to publish. */
export interface MessageFields {
    /** The message itself, which the broker does not look into. Empty without this and `json`. */
    body?: Bytes;
    /** A value to send as JSON, in place of `body`. */
    json?: unknown;
    /** What picks the partition of a topic: equal keys keep their order. */
    key?: Bytes | undefined;
    /** Names and values. A name may come more than once where pairs are given. */
    headers?: Readonly<Record<string, Bytes>> | Iterable<readonly [string, Bytes]> | undefined;
    /** When it happened, as the producer says: milliseconds, as of `Date.now()`. */
    timestampMs?: number | undefined;
    /** How long it may wait in a queue. Where the queue has a time to live, too, the smaller counts. */
    ttlMs?: number | undefined;
    /** How long it waits before it is ready, in place of the queue's own delay. */
    delayMs?: number | undefined;
    /** How urgent it is, from 0 to 255: a higher one goes first, in queues that have priorities. */
    priority?: number | undefined;
    /** What makes it the same message as another, where a queue deduplicates: 1 to 128 bytes. */
    id?: Bytes | undefined;
}

/** The header in which the broker keeps a message's deaths, in a format of its own. */
const DEATHS = "x-death";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What every message and record has, wherever it was read. */
export class BrokerRecord {
    /** The message itself. */
    readonly body: Uint8Array;
    /** What picks the partition of a topic, if it was given. */
    readonly key: Uint8Array | undefined;
    /** Names and values, in the producer's order; `x-death`, which is the broker's own, is not. */
    readonly headers: readonly (readonly [name: string, value: Uint8Array])[];
    /** When it happened, as the producer said: milliseconds. */
    readonly timestampMs: number | undefined;
    /** How long it may wait in a queue: milliseconds. */
    readonly ttlMs: number | undefined;
    /** How long it was to wait before it was ready: milliseconds. */
    readonly delayMs: number | undefined;
    /** How urgent it is, from 0 to 255. */
    readonly priority: number | undefined;
    /** What makes it the same message as another. */
    readonly id: Uint8Array | undefined;

    /** @internal */
    constructor(record: WireRecord) {
        this.body = record.body;
        this.key = record.key;
        this.headers = record.headers.filter(([name]) => name !== DEATHS);
        this.timestampMs = toMsMaybe(record.timestamp);
        this.ttlMs = toMsMaybe(record.ttl);
        this.delayMs = toMsMaybe(record.delay);
        this.priority = record.priority;
        this.id = record.id;
    }

    /** The body as text. Bytes that are not UTF-8 become U+FFFD. */
    text(): string {
        return decoder.decode(this.body);
    }

    /**
     * The body as the JSON it is.
     * @throws SyntaxError if it is none.
     */
    json<T = unknown>(): T {
        return JSON.parse(this.text()) as T;
    }

    /** The key as text, if there is one. */
    keyText(): string | undefined {
        return this.key === undefined ? undefined : decoder.decode(this.key);
    }

    /** The first header of that name, as text. */
    header(name: string): string | undefined {
        const found = this.headers.find(([one]) => one === name);
        return found === undefined ? undefined : decoder.decode(found[1]);
    }
}

/** @internal */
export function toBytes(value: Bytes, name: string): Uint8Array {
    if (typeof value === "string") return encoder.encode(value);
    if (value instanceof Uint8Array) return value;
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    throw badArgument(`${name} has to be a string, a Uint8Array or an ArrayBuffer`);
}

/** @internal */
export function toWire(message: MessageInput, index: number): WireRecordIn {
    const name = `message ${index}`;
    if (typeof message === "string" || message instanceof Uint8Array) {
        return { body: toBytes(message, name) };
    }
    if (typeof message !== "object" || message === null) {
        throw badArgument(`${name} has to be text, bytes, or an object with a body or json`);
    }
    const record: WireRecordIn = { body: toBody(message, name) };
    if (message.key !== undefined) record.key = toBytes(message.key, `the key of ${name}`);
    if (message.headers !== undefined) record.headers = toHeaders(message.headers, name);
    if (message.timestampMs !== undefined) {
        record.timestamp = toNanos(message.timestampMs, `timestampMs of ${name}`);
    }
    if (message.ttlMs !== undefined) record.ttl = toNanos(message.ttlMs, `ttlMs of ${name}`);
    if (message.delayMs !== undefined) {
        record.delay = toNanos(message.delayMs, `delayMs of ${name}`);
    }
    if (message.priority !== undefined) record.priority = message.priority;
    if (message.id !== undefined) record.id = toBytes(message.id, `the id of ${name}`);
    return record;
}

function toBody({ body, json }: MessageFields, name: string): Uint8Array {
    if (json === undefined) return toBytes(body ?? "", `the body of ${name}`);
    if (body !== undefined) throw badArgument(`${name} has both a body and json: give one of them`);
    const text = JSON.stringify(json) as string | undefined;
    if (text === undefined) throw badArgument(`the json of ${name} is nothing that JSON can say`);
    return encoder.encode(text);
}

function toHeaders(
    headers: NonNullable<MessageFields["headers"]>,
    name: string,
): [string, Uint8Array][] {
    const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
    return pairs.map(([header, value]) => {
        return [header, toBytes(value, `header ${header} of ${name}`)];
    });
}
