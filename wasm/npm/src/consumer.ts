import { Inbox } from "./inbox.js";
import type { Message } from "./message.js";

/** What a consumer needs of its connection. @internal */
export interface ConsumerHost {
    now(): bigint;
    waiting(change: 1 | -1): void;
    cancel(consumer: Consumer): Promise<void>;
    release(messages: readonly Message[]): Promise<void>;
}

/**
 * Messages of a queue, pushed as they become ready, never more unsettled at once than the prefetch.
 * Iterate with `for await`; leaving the loop cancels it. It ends by itself when its connection or
 * its queue is gone.
 */
export class Consumer implements AsyncIterableIterator<Message, undefined> {
    /** Its number in views and activity. */
    readonly id: bigint;
    /** The queue it consumes. */
    readonly queue: string;
    readonly #host: ConsumerHost;
    readonly #inbox: Inbox<Message>;
    #open = true;

    /** @internal */
    constructor(id: bigint, queue: string, host: ConsumerHost) {
        this.id = id;
        this.queue = queue;
        this.#host = host;
        this.#inbox = new Inbox((change) => host.waiting(change));
    }

    /** Whether more messages can come. */
    get isOpen(): boolean {
        return this.#open;
    }

    /** The next message; done when the consumer was cancelled. */
    async next(): Promise<IteratorResult<Message, undefined>> {
        for (;;) {
            const result = await this.#inbox.next();
            // A lease that ended while its message lay here is no use: the message comes again.
            if (result.done === true || result.value.deadline > this.#host.now()) return result;
        }
    }

    /** What `for await` calls when its loop is left: {@link Consumer.cancel}. */
    async return(): Promise<IteratorResult<Message, undefined>> {
        await this.cancel();
        return { value: undefined, done: true };
    }

    /**
     * Asks for no more. Messages that were handed out stay leased until they are settled; those
     * that nobody has seen go back to the queue.
     */
    async cancel(): Promise<void> {
        if (!this.#open) return;
        this.end();
        await this.#host.cancel(this);
        await this.#host.release(this.unseen());
    }

    [Symbol.asyncIterator](): this {
        return this;
    }

    /** @internal */
    push(message: Message): void {
        this.#inbox.push(message);
    }

    /** @internal */
    unseen(): Message[] {
        return this.#inbox.drain().filter((message) => message.deadline > this.#host.now());
    }

    /** Nothing more comes. @internal */
    end(): void {
        this.#open = false;
        this.#inbox.end();
    }
}
