/** What came and was not taken yet, and those who wait for more. */
export class Inbox<T> {
    readonly #held: T[] = [];
    readonly #takers: ((result: IteratorResult<T, undefined>) => void)[] = [];
    readonly #waiting: (change: 1 | -1) => void;
    #ended = false;

    /** `waiting` is told when somebody begins and ends to wait. */
    constructor(waiting: (change: 1 | -1) => void) {
        this.#waiting = waiting;
    }

    get size(): number {
        return this.#held.length;
    }

    push(value: T): void {
        if (this.#ended) return;
        const taker = this.#takers.shift();
        if (taker === undefined) {
            this.#held.push(value);
            return;
        }
        this.#waiting(-1);
        taker({ value, done: false });
    }

    /** The oldest that is there, now. */
    shift(): T | undefined {
        return this.#held.shift();
    }

    /** Everything that is there, now. */
    drain(): T[] {
        return this.#held.splice(0);
    }

    /** The oldest, or the next to come; done when there will be none. */
    next(): Promise<IteratorResult<T, undefined>> {
        if (this.#held.length > 0) {
            return Promise.resolve({ value: this.#held.shift() as T, done: false });
        }
        if (this.#ended) return Promise.resolve({ value: undefined, done: true });
        this.#waiting(1);
        return new Promise((resolve) => this.#takers.push(resolve));
    }

    /** Nothing more will come. What is there can still be taken. */
    end(): void {
        this.#ended = true;
        for (const taker of this.#takers.splice(0)) {
            this.#waiting(-1);
            taker({ value: undefined, done: true });
        }
    }
}
