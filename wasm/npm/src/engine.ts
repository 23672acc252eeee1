import { type Clock, VirtualClock, settle } from "./clock.js";
import { BrokenError, ClosedError, FanlightError, badArgument, refused } from "./errors.js";
import type { WireAnswers, WireEvent, WireNews, WireOp } from "./wire.js";

/** One thing that a connection is told, or that is done to it. */
export interface Told {
    conn: bigint;
    event?: WireEvent;
    text?: string;
    close?: string;
}

/** The part of the bindings that the engine drives. */
export interface Core {
    open(now: bigint, conn: bigint, client: string): Told[];
    request(now: bigint, conn: bigint, tag: number, op: WireOp): Told[];
    closed(now: bigint, conn: bigint): Told[];
    tick(now: bigint): Told[];
    deadline(): { at: bigint; reason: string } | undefined;
    overview(): object;
    snapshot(): Uint8Array;
    check(): void;
    free(): void;
}

/** Takes what a connection is told without having asked. */
export interface Listener {
    told<K extends keyof WireNews>(kind: K, news: WireNews[K], text: string | undefined): void;
    /** The connection is gone, and these requests with it. */
    gone(): void;
}

/** How a request ended. */
type Answer = (answer: WireEvent | FanlightError) => void;

interface Line {
    readonly listener: Listener;
    readonly pending: Map<number, Answer>;
}

/** The longest that `setTimeout` can wait. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** Requests of this kind were answered before the call that made them returned. */
const UNANSWERED = "the core left a request unanswered that never waits";

/**
 * Drives one core: hands it requests with the time, hands on what it says, and wakes it when
 * something is due. Everything that calls into the core goes through here, so here is where a core
 * that met a fault is put out of use.
 */
export class Engine {
    readonly clock: Clock;
    #core: Core | undefined;
    #broken: BrokenError | undefined;
    readonly #lines = new Map<bigint, Line>();
    #lastConn = 0n;
    #lastTag = 0;
    #timer: ReturnType<typeof setTimeout> | undefined;
    #waiting = 0;
    #moving: Promise<void> = Promise.resolve();

    constructor(core: Core, clock: Clock) {
        this.#core = core;
        this.clock = clock;
    }

    get isClosed(): boolean {
        return this.#core === undefined;
    }

    open(client: string, listener: Listener): bigint {
        const conn = ++this.#lastConn;
        this.#lines.set(conn, { listener, pending: new Map() });
        this.#call((core, now) => core.open(now, conn, client));
        if (this.#lines.has(conn)) return conn;
        const message = "the broker took no further connection: close one, or raise connectionsMax";
        throw new FanlightError("TooMany", message);
    }

    /** Takes it that a connection is gone. Its listener is told. */
    close(conn: bigint): void {
        if (!this.#lines.has(conn)) return;
        this.#call((core, now) => core.closed(now, conn));
        this.#drop(conn);
    }

    /** Asks, and hands the answer to `then`, perhaps before this returns. */
    ask(conn: bigint, op: WireOp, then: Answer): number {
        const line = this.#lines.get(conn);
        if (line === undefined) {
            then(this.#broken ?? new ClosedError("the connection"));
            return 0;
        }
        const tag = this.#nextTag(line);
        line.pending.set(tag, then);
        try {
            this.#call((core, now) => core.request(now, conn, tag, op));
        } catch (error) {
            if (line.pending.delete(tag)) then(error as FanlightError);
        }
        return tag;
    }

    /** Asks, and takes one kind of answer; any other is a rejection. */
    request<K extends keyof WireAnswers>(
        conn: bigint,
        op: WireOp,
        kind: K,
    ): Promise<WireAnswers[K]> {
        return new Promise((resolve, reject) => {
            this.ask(conn, op, (answer) => {
                if (answer instanceof FanlightError) reject(answer);
                else resolve(expected(answer, kind));
            });
        });
    }

    /** The same for requests that never wait: the answer, or an error thrown. */
    requestNow<K extends keyof WireAnswers>(conn: bigint, op: WireOp, kind: K): WireAnswers[K] {
        let answer: WireEvent | FanlightError | undefined;
        this.ask(conn, op, (given) => {
            answer = given;
        });
        if (answer === undefined) throw new BrokenError(UNANSWERED);
        if (answer instanceof FanlightError) throw answer;
        return expected(answer, kind);
    }

    /** Takes it that nobody waits for the answer any more. */
    forget(conn: bigint, tag: number): boolean {
        return this.#lines.get(conn)?.pending.delete(tag) ?? false;
    }

    /** Calls the core outside of a connection. */
    look<T>(how: (core: Core) => T): T {
        return this.#guard(how);
    }

    /**
     * Counts those who wait for something to come. While there are some, a timer of the broker
     * keeps a Node process alive, as a socket would.
     */
    waiting(change: 1 | -1): void {
        this.#waiting += change;
        this.#hold();
    }

    /** Moves a virtual clock, stopping wherever something is due. */
    advance(target: (now: bigint) => bigint): Promise<void> {
        const { clock } = this;
        if (!(clock instanceof VirtualClock)) {
            const message = "the clock is the system's; open the broker with clock: \"virtual\"";
            return Promise.reject(new FanlightError("NotVirtual", message));
        }
        const moved = this.#moving.then(() => this.#advance(clock, target));
        this.#moving = moved.catch(() => undefined);
        return moved;
    }

    async #advance(clock: VirtualClock, target: (now: bigint) => bigint): Promise<void> {
        // Whoever has begun to do something gets to ask for it before the clock moves.
        await settle();
        const end = target(clock.now());
        for (;;) {
            const due = this.#guard((core) => core.deadline());
            if (due === undefined || due.at > end) break;
            clock.moveTo(due.at);
            this.#call((core, now) => core.tick(now));
            await settle();
        }
        clock.moveTo(end);
        this.#call((core, now) => core.tick(now));
        await settle();
    }

    /** Ends it all: every connection is gone, and the core's memory is free. */
    dispose(): void {
        const core = this.#core;
        this.#core = undefined;
        clearTimeout(this.#timer);
        for (const conn of [...this.#lines.keys()]) this.#drop(conn);
        // A core that met a fault may be in the middle of something, and must not be touched.
        if (this.#broken === undefined) core?.free();
    }

    #nextTag(line: Line): number {
        do {
            this.#lastTag = (this.#lastTag % 0xffff_ffff) + 1;
        } while (line.pending.has(this.#lastTag));
        return this.#lastTag;
    }

    /** Calls the core, hands on what it says, and sees to the next deadline. */
    #call(how: (core: Core, now: bigint) => Told[]): void {
        const told = this.#guard((core) => how(core, this.clock.now()));
        for (const one of told) this.#tell(one);
        this.#arm();
    }

    #guard<T>(how: (core: Core) => T): T {
        if (this.#broken !== undefined) throw this.#broken;
        if (this.#core === undefined) throw new ClosedError("the broker");
        try {
            return how(this.#core);
        } catch (error) {
            if (isFault(error)) {
                this.#broken = new BrokenError(error);
                this.dispose();
                throw this.#broken;
            }
            throw badArgument(error instanceof Error ? error.message : String(error), error);
        }
    }

    #tell({ conn, event, text, close }: Told): void {
        if (close !== undefined) this.#drop(conn);
        const line = this.#lines.get(conn);
        if (line === undefined || event === undefined) return;
        const [kind, body] = Object.entries(event)[0] as [string, { tag?: number }];
        const answer = body.tag === undefined ? undefined : line.pending.get(body.tag);
        if (answer === undefined) {
            const news = kind as keyof WireNews;
            line.listener.told(news, body as WireNews[typeof news], text);
            return;
        }
        line.pending.delete(body.tag as number);
        answer(event.refused === undefined ? event : refused(event.refused.refusal));
    }

    #drop(conn: bigint): void {
        const line = this.#lines.get(conn);
        if (line === undefined) return;
        this.#lines.delete(conn);
        const what = this.isClosed ? "the broker" : "the connection";
        const why = this.#broken ?? new ClosedError(what);
        const answers = [...line.pending.values()];
        line.pending.clear();
        for (const answer of answers) answer(why);
        line.listener.gone();
    }

    /** Sets the timer for the next deadline, where time passes by itself. */
    #arm(): void {
        if (this.clock instanceof VirtualClock || this.#core === undefined) return;
        clearTimeout(this.#timer);
        this.#timer = undefined;
        const due = this.#guard((core) => core.deadline());
        if (due === undefined) return;
        const ms = Number(due.at - this.clock.now()) / 1e6;
        const wait = Math.min(Math.max(Math.ceil(ms), 0), TIMEOUT_MS_MAX);
        this.#timer = setTimeout(() => this.#tick(), wait);
        this.#hold();
    }

    #tick(): void {
        try {
            this.#call((core, now) => core.tick(now));
        } catch (error) {
            // Everyone who waits has been told, and nobody called this.
            if (!(error instanceof BrokenError)) throw error;
        }
    }

    #hold(): void {
        const timer = this.#timer as { ref?(): void; unref?(): void } | undefined;
        if (this.#waiting > 0) timer?.ref?.();
        else timer?.unref?.();
    }
}

/**
 * Whether the core met a fault, rather than said what is wrong with its input: a trap, a panic, or
 * bindings that find an object still in use by a call that never returned.
 */
function isFault(error: unknown): boolean {
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return true;
    if (!(error instanceof Error)) return true;
    return error.name === "FanlightPanic" || /recursive use|null pointer/.test(error.message);
}

function expected<K extends keyof WireAnswers>(event: WireEvent, kind: K): WireAnswers[K] {
    const answer = event[kind];
    if (answer !== undefined) return answer as WireAnswers[K];
    throw new FanlightError("BadFrame", `expected ${kind}, and got ${Object.keys(event).join()}`);
}

