import type { Activity } from "./activity.js";
import { Inbox } from "./inbox.js";

/**
 * Everything that happens in a broker, from now on, each as an {@link Activity}. Iterate with
 * `for await`, or take what is there with {@link ActivityStream.drain}.
 */
export class ActivityStream implements AsyncIterableIterator<Activity, undefined> {
    readonly #inbox: Inbox<Activity>;
    readonly #bufferMax: number;
    readonly #stopped: (stream: ActivityStream) => void;
    #missed = 0;

    /** @internal */
    constructor(
        bufferMax: number,
        waiting: (change: 1 | -1) => void,
        stopped: (stream: ActivityStream) => void,
    ) {
        this.#bufferMax = bufferMax;
        this.#inbox = new Inbox(waiting);
        this.#stopped = stopped;
    }

    /** How many were dropped, the oldest first, because nobody took them in time. */
    get missed(): number {
        return this.#missed;
    }

    /** The next that happens; done after {@link ActivityStream.stop}. */
    next(): Promise<IteratorResult<Activity, undefined>> {
        return this.#inbox.next();
    }

    /** Everything that happened and was not taken yet. */
    drain(): Activity[] {
        return this.#inbox.drain();
    }

    /** Ends the stream. What is there can still be taken. */
    stop(): void {
        this.#inbox.end();
        this.#stopped(this);
    }

    /** What `for await` calls when its loop is left: {@link ActivityStream.stop}. */
    return(): Promise<IteratorResult<Activity, undefined>> {
        this.stop();
        return Promise.resolve({ value: undefined, done: true });
    }

    [Symbol.asyncIterator](): this {
        return this;
    }

    /** Stops it: `using activity = broker.watch()`. */
    [Symbol.dispose](): void {
        this.stop();
    }

    /** @internal */
    push(activity: Activity): void {
        this.#inbox.push(activity);
        if (this.#inbox.size <= this.#bufferMax) return;
        this.#inbox.shift();
        this.#missed += 1;
    }
}
