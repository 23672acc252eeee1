import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { BrokenError, ClosedError, FanlightError, RefusedError, codes, openBroker } from "fanlight";
import { Broker } from "../dist/broker.js";
import { VirtualClock } from "../dist/clock.js";
import { Engine } from "../dist/engine.js";

test("a refusal is an error with a class, a number, a name and a sentence", async () => {
    const broker = await openBroker();
    assert.throws(() => broker.queue("jobs"), (error) => {
        assert.ok(error instanceof RefusedError && error instanceof FanlightError);
        assert.equal(error.name, "RefusedError");
        assert.equal(error.codeName, "UnknownQueue");
        assert.equal(error.code, codes.UnknownQueue);
        assert.match(error.message, /no queue "jobs"; declare it first/);
        return true;
    });
    broker.close();
});

test("what makes no sense is an error with a sentence, and the broker goes on", async () => {
    const broker = await openBroker();
    broker.declareQueue("jobs");
    const conn = broker.connect();
    const bad = { name: "FanlightError", codeName: "BadArgument" };
    const rejects = (promise, message) => assert.rejects(promise, { ...bad, message });
    await rejects(broker.advance(-1), /number of milliseconds from 0 to 292 years; it is -1/);
    await rejects(broker.advance(Number.NaN), /it is NaN/);
    // @ts-expect-error
    await rejects(conn.receive("jobs", { waitMs: "5" }), /waitMs has to be/);
    // @ts-expect-error
    await rejects(conn.publish({ queue: "jobs" }, [{ body: 5 }]), /body of message 0 has to be/);
    await rejects(conn.publish({ queue: "jobs" }, [{ body: "", json: 1 }]), /both a body and json/);
    // @ts-expect-error
    await rejects(conn.publish({}, "x"), /publish to \{ queue \}/);
    // @ts-expect-error
    await rejects(conn.publish({ queue: 7 }, "x"), /the request is not one/);
    await rejects(conn.publish({ queue: "jobs" }, []), /1 to 4096 records/);
    await rejects(conn.receive("jobs", { max: -1 }), /the request is not one/);
    assert.throws(() => broker.declareQueue("q", { deliveriesMax: 1.5 }), bad);
    assert.throws(() => broker.peek("jobs", { from: -1 }), bad);
    // @ts-expect-error
    await rejects(openBroker({ clock: "lunar" }), /"virtual" or "system"; it is lunar/);
    // @ts-expect-error
    await rejects(openBroker({ seed: "x" }), /the configuration is not one/);
    await rejects(openBroker({ snapshot: new Uint8Array([1, 2, 3]) }), /no snapshot/);
    await assert.rejects(conn.receive("jobs", { max: 0 }), { name: "RefusedError", code: 102 });
    await conn.publish({ queue: "jobs" }, "still here");
    assert.equal((await conn.receive("jobs"))[0].text(), "still here");
    broker.close();
});

test("a broker that is closed rejects what waits, ends what loops, and says so", async () => {
    let waiting;
    let loop;
    let closed;
    {
        using broker = await openBroker();
        closed = broker;
        broker.declareQueue("jobs");
        const conn = broker.connect();
        waiting = conn.receive("jobs", { waitMs: 1_000 });
        loop = (await conn.consume("jobs")).next();
    }
    await assert.rejects(waiting, (error) => error instanceof ClosedError && error.code === 900);
    assert.equal((await loop).done, true);
    assert.equal(closed.isClosed, true);
    assert.throws(() => closed.inspect(), ClosedError);
    assert.throws(() => closed.connect(), ClosedError);
    await assert.rejects(closed.advance(1), ClosedError);
    closed.close();
});

test("ten thousand brokers can be opened and closed in one go", async () => {
    for (let i = 0; i < 10_000; i++) {
        using broker = await openBroker({ seed: i });
        broker.declareQueue("jobs");
    }
});

test("the memory of closed brokers is used again", async () => {
    // Together more than the 4 GiB that WebAssembly can have.
    const body = new Uint8Array(1_000_000);
    for (let i = 0; i < 650; i++) {
        using broker = await openBroker();
        broker.declareQueue("jobs");
        await broker.connect().publish({ queue: "jobs" }, Array(7).fill(body));
    }
});

test("a broker that met a fault answers nothing any more, and says why", async () => {
    for (const fault of [
        new WebAssembly.RuntimeError("unreachable"),
        Object.assign(new Error("a lease without a message"), { name: "FanlightPanic" }),
    ]) {
        const freed = mock.fn();
        let healthy = true;
        const core = {
            open: (_now, conn) => [{ conn, event: { opened: { conn, epoch: 1, now: 0n } } }],
            request: () => {
                if (healthy) return [];
                throw fault;
            },
            deadline: () => undefined,
            free: freed,
        };
        // @ts-expect-error: the constructor is not for users, and not in the typings
        const broker = new Broker(new Engine(/** @type {any} */ (core), new VirtualClock(0n)));
        const conn = broker.connect();
        const waiting = conn.receive("jobs", { waitMs: 1_000 });
        healthy = false;
        const broken = { name: "BrokenError", codeName: "Broken", code: 901, cause: fault };
        await assert.rejects(conn.publish({ queue: "jobs" }, "x"), broken);
        await assert.rejects(waiting, broken);
        assert.throws(() => broker.connect(), BrokenError);
        assert.throws(() => broker.snapshot(), BrokenError);
        broker.close();
        assert.equal(freed.mock.callCount(), 0, "what may be half changed is not touched");
    }
});

test("what happens is told in sentences, in order, with its times", async () => {
    using broker = await openBroker();
    broker.declareQueue("jobs", { visibilityMs: 1_000 });
    using activity = broker.watch();
    const conn = broker.connect("worker-1");
    await conn.publish({ queue: "jobs" }, "hello");
    await conn.receive("jobs");
    await broker.advance(1_000);
    const told = activity.drain();
    assert.deepEqual(
        told.map(({ kind, atMs }) => [kind, atMs]),
        [["connected", 0], ["enqueued", 0], ["leased", 0], ["returned", 1_000]],
    );
    const [, , leased, returned] = told;
    assert.ok(leased?.kind === "leased" && returned?.kind === "returned");
    assert.equal(leased.untilMs, 1_000);
    assert.equal(leased.conn, conn.id);
    assert.equal(returned.end, "expired");
    assert.match(returned.text, /jobs@0 returned from c\d+: its lease ran out, attempt 1/);

    const next = activity.next();
    conn.crash();
    assert.equal((await next).value?.kind, "disconnected");
});

test("a watcher that does not look loses the oldest, and can tell how many", async () => {
    using broker = await openBroker();
    broker.declareQueue("jobs");
    using activity = broker.watch({ bufferMax: 2 });
    const conn = broker.connect();
    for (const body of ["1", "2", "3"]) await conn.publish({ queue: "jobs" }, body);
    assert.equal(activity.missed, 2);
    assert.deepEqual(activity.drain().map((one) => one.kind === "enqueued" && one.base), [1n, 2n]);
});

test("the overview shows what is there, and not the broker's own connection", async () => {
    using broker = await openBroker({ startMs: 5_000 });
    broker.declareQueue("jobs", { visibilityMs: 1_000, messagesMax: 10 });
    broker.createTopic("orders", { partitions: 3 });
    broker.declareExchange("events", "fanout");
    broker.bind("events", { queue: "jobs" });
    const conn = broker.connect("worker-1");
    await conn.publish({ exchange: "events" }, "hello");
    await conn.receive("jobs");
    const { nowMs, due, queues, topics, exchanges, connections } = broker.inspect();
    assert.equal(nowMs, 5_000);
    assert.deepEqual(due, { atMs: 6_000, reason: "leaseEnds" });
    assert.deepEqual(connections, [{ id: conn.id, client: "worker-1" }]);
    assert.deepEqual(queues.map(({ name, leased }) => [name, leased]), [["jobs", 1n]]);
    assert.deepEqual(queues[0].policy, {
        visibilityMs: 1_000,
        deliveriesMax: undefined,
        deadLetter: undefined,
        messagesMax: 10n,
        retryDelayMs: 0,
    });
    assert.equal(topics[0].partitions.length, 3);
    assert.equal(broker.topic("orders").partitions.length, 3);
    const [{ name, bindings }] = exchanges;
    const headers = { mode: "all", headers: [] };
    assert.deepEqual([name, bindings], [
        "events",
        [{ pattern: "", to: { queue: "jobs" }, headers }],
    ]);
});

test("a snapshot opened again holds what was there, and what was leased is ready", async () => {
    using before = await openBroker();
    before.declareQueue("jobs");
    const conn = before.connect();
    await before.advance(1_000);
    await conn.publish({ queue: "jobs" }, ["a", "b"]);
    const [a] = await conn.receive("jobs");
    await a.ack();
    await conn.receive("jobs");

    using after = await openBroker({ snapshot: before.snapshot() });
    assert.equal(after.nowMs, 1_000);
    assert.equal(after.queue("jobs").ready, 1n);
    const [b] = await after.connect().receive("jobs");
    assert.equal(b.text(), "b");
    await assert.rejects(
        openBroker({ snapshot: before.snapshot().subarray(0, 20) }),
        { codeName: "BadArgument", message: /snapshot/ },
    );
});

test("equal seeds and equal requests give equal runs", async () => {
    const run = async () => {
        using broker = await openBroker({ seed: 42n });
        broker.createTopic("orders", { partitions: 16 });
        const conn = broker.connect();
        for (let i = 0; i < 50; i++) await conn.publish({ topic: "orders" }, `${i}`);
        return broker.snapshot();
    };
    assert.deepEqual(await run(), await run());
});

test("bounds can be chosen, and are refused by name", async () => {
    using broker = await openBroker({ limits: { queuesMax: 1, connectionsMax: 2 } });
    broker.declareQueue("one");
    assert.throws(() => broker.declareQueue("two"), { codeName: "TooMany" });
    const conn = broker.connect();
    assert.throws(() => broker.connect(), { codeName: "TooMany" });
    conn.close();
    broker.connect();
});

test("timers of a test framework that stand still do not stop the broker's clock", async () => {
    mock.timers.enable();
    try {
        using broker = await openBroker();
        broker.declareQueue("jobs", { visibilityMs: 1_000 });
        const conn = broker.connect();
        await conn.publish({ queue: "jobs" }, "x");
        await conn.receive("jobs");
        await broker.advance(1_000);
        assert.equal((await conn.receive("jobs"))[0].attempt, 2);
    } finally {
        mock.timers.reset();
    }
});

test("advances that are not waited for happen one after the other", async () => {
    using broker = await openBroker();
    await Promise.all([broker.advance(10), broker.advance(20), broker.advanceTo(5)]);
    assert.equal(broker.nowMs, 30);
});

test("with the system's clock time passes by itself, and cannot be moved", async () => {
    using broker = await openBroker({ clock: "system" });
    assert.ok(Math.abs(broker.nowMs - Date.now()) < 60_000);
    await assert.rejects(broker.advance(1), { codeName: "NotVirtual", code: 902 });
    broker.declareQueue("jobs", { visibilityMs: 20 });
    const conn = broker.connect();
    await conn.publish({ queue: "jobs" }, "x");
    await conn.receive("jobs");
    const [again] = await conn.receive("jobs", { waitMs: 30_000 });
    assert.equal(again.attempt, 2);
});
