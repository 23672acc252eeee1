import assert from "node:assert/strict";
import { test } from "node:test";

import { openBroker } from "fanlight";

/** A broker with a queue `jobs` whose messages die after three attempts, closed after the test. */
async function withJobs(t, policy = {}) {
    const broker = await openBroker({ seed: 1 });
    t.after(() => broker.close());
    broker.declareQueue("jobs.dead");
    const base = { visibilityMs: 30_000, deliveriesMax: 3, deadLetter: "jobs.dead" };
    broker.declareQueue("jobs", { ...base, ...policy });
    return { broker, conn: broker.connect("worker-1") };
}

test("a message whose lease runs out is delivered again, as attempt 2", async (t) => {
    const { broker, conn } = await withJobs(t);
    const placed = await conn.publish({ queue: "jobs" }, "hello");
    assert.deepEqual(placed, [{ queue: "jobs", offset: 0n }]);

    const [first] = await conn.receive("jobs");
    assert.equal(first.attempt, 1);
    assert.equal(first.text(), "hello");
    assert.equal(first.deadlineMs, 30_000);

    await broker.advance(29_999);
    assert.deepEqual(await conn.receive("jobs"), []);
    await broker.advance(1);
    const [second] = await conn.receive("jobs");
    assert.equal(second.attempt, 2);
    assert.equal(second.offset, first.offset);

    await second.ack();
    const { ready, leased, acked } = broker.queue("jobs");
    assert.deepEqual({ ready, leased, acked }, { ready: 0n, leased: 0n, acked: 1n });
});

test("a message says by which exchange and routing key it came, and when", async (t) => {
    const { broker, conn } = await withJobs(t);
    broker.declareExchange("orders", "topic");
    broker.bind("orders", { queue: "jobs" }, "order.*");
    await broker.advance(250);
    await conn.publish({ exchange: "orders", routingKey: "order.placed" }, "by the exchange");
    await conn.publish({ queue: "jobs" }, "straight");
    await broker.advance(250);
    const [routed, straight] = await conn.receive("jobs", { max: 2 });
    const of = ({ exchange, routingKey, appendedMs, redelivered }) =>
        [exchange, routingKey, appendedMs, redelivered];
    assert.deepEqual(of(routed), ["orders", "order.placed", 250, false]);
    assert.deepEqual(of(straight), [undefined, undefined, 250, false]);
    assert.equal(broker.peek("jobs")[0].routingKey, "order.placed");

    await routed.nack();
    const [again] = await conn.receive("jobs");
    assert.deepEqual(of(again), ["orders", "order.placed", 250, true]);
});

test("a message has its key, headers, timestamp and body back", async (t) => {
    const { conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, [
        { json: { a: [1] }, key: "k", headers: { trace: "t-1" }, timestampMs: 1_700_000_000_000 },
        { body: new Uint8Array([0, 255]), headers: [["x", "1"], ["x", new Uint8Array([2])]] },
        "text",
    ]);
    const [json, bytes, text] = await conn.receive("jobs", { max: 3 });
    assert.deepEqual(json.json(), { a: [1] });
    assert.equal(json.keyText(), "k");
    assert.equal(json.header("trace"), "t-1");
    assert.equal(json.timestampMs, 1_700_000_000_000);
    assert.deepEqual(bytes.body, new Uint8Array([0, 255]));
    assert.equal(bytes.key, undefined);
    assert.deepEqual(bytes.headers.map(([name]) => name), ["x", "x"]);
    assert.equal(bytes.header("none"), undefined);
    assert.equal(text.text(), "text");
    assert.equal(text.timestampMs, undefined);
});

test("a poison message dies after its maximum, keeps its history, and is redriven", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, "poison");
    for (const attempt of [1, 2, 3]) {
        const [message] = await conn.receive("jobs");
        assert.equal(message.attempt, attempt);
        await message.nack();
    }
    assert.deepEqual(await conn.receive("jobs"), []);

    const [dead] = broker.peek("jobs.dead");
    assert.equal(dead.text(), "poison");
    assert.deepEqual(dead.headers, [], "what the broker keeps with it is shown as deaths");
    assert.deepEqual(dead.state, { kind: "ready" });
    const [death] = dead.deaths;
    assert.equal(death.queue, "jobs");
    assert.equal(death.reason, "deliveriesExhausted");
    assert.deepEqual(death.attempts, [1, 2, 3].map((number) => {
        return { number, end: "nacked", client: "worker-1", atMs: 0 };
    }));

    assert.equal(broker.redrive("jobs.dead", { offset: dead.offset, body: "mended" }), 1n);
    const [mended] = await conn.receive("jobs");
    assert.equal(mended.text(), "mended");
    await mended.reject();
    assert.equal(broker.peek("jobs.dead")[0].deaths.at(-1)?.reason, "rejected");
    assert.equal(broker.redrive("jobs.dead"), 1n);
    assert.equal(broker.queue("jobs").ready, 1n);
});

test("all dead letters are redriven, however many", async (t) => {
    const { broker, conn } = await withJobs(t);
    for (let batch = 0; batch < 3; batch++) {
        await conn.publish({ queue: "jobs" }, Array.from({ length: 1_000 }, (_, i) => `${i}`));
    }
    let rejected = 0;
    while (rejected < 3_000) {
        const messages = await conn.receive("jobs", { max: 256 });
        rejected += (await conn.reject(messages)).settled;
    }
    assert.equal(broker.queue("jobs.dead").ready, 3_000n);
    assert.equal(broker.redrive("jobs.dead"), 3_000n);
    assert.equal(broker.queue("jobs").ready, 3_000n);
});

test("a message given back with a delay is not ready before it", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, "later");
    const [message] = await conn.receive("jobs");
    await message.nack({ delayMs: 5_000 });
    assert.equal(broker.queue("jobs").delayed, 1n);
    assert.deepEqual(broker.peek("jobs")[0].state, { kind: "delayed", untilMs: 5_000 });
    await broker.advance(5_000);
    assert.equal((await conn.receive("jobs"))[0].attempt, 2);
});

test("a lease can be extended, and then ends later", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, "slow");
    const [message] = await conn.receive("jobs", { visibilityMs: 1_000 });
    await broker.advance(900);
    await message.extend(10_000);
    assert.equal(message.deadlineMs, 10_900);
    await broker.advance(5_000);
    await message.ack();
});

test("settling a lease that ended is refused as stale, and harms nobody", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, ["one", "two"]);
    const [one] = await conn.receive("jobs", { visibilityMs: 1_000 });
    const [two] = await conn.receive("jobs");
    await broker.advance(1_000);
    await assert.rejects(one.ack(), {
        name: "RefusedError",
        codeName: "StaleLease",
        code: 300,
        message: /jobs@0, attempt 1/,
    });
    assert.deepEqual(await conn.ack([one, two]), { settled: 1, stale: [one] });
    assert.equal((await conn.receive("jobs"))[0].attempt, 2);
});

test("a receive waits for the first message, or for its time to pass", async (t) => {
    const { broker, conn } = await withJobs(t);
    const waiting = conn.receive("jobs", { waitMs: 2_000 });
    const producer = broker.connect("producer");
    await broker.advance(1_000);
    await producer.publish({ queue: "jobs" }, "at last");
    assert.equal((await waiting)[0].text(), "at last");

    const inVain = conn.receive("jobs", { waitMs: 2_000 });
    await broker.advance(2_000);
    assert.deepEqual(await inVain, []);
});

test("what a crashed worker held goes to another, as attempt 2", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, "precious");
    await conn.receive("jobs");
    conn.crash();
    assert.equal(conn.isOpen, false);
    const other = broker.connect("worker-2");
    const [message] = await other.receive("jobs");
    assert.equal(message.attempt, 2);
    assert.equal(broker.peek("jobs")[0].attempts[0].end, "disconnected");
    await assert.rejects(conn.receive("jobs"), { name: "ClosedError", codeName: "Closed" });
});

test("a consumer is given messages as they come, no more than its prefetch", async (t) => {
    const { broker, conn } = await withJobs(t);
    const consumer = await conn.consume("jobs", { prefetch: 2 });
    await conn.publish({ queue: "jobs" }, ["1", "2", "3"]);
    assert.deepEqual(
        { ready: broker.queue("jobs").ready, leased: broker.queue("jobs").leased },
        { ready: 1n, leased: 2n },
    );
    const seen = [];
    for await (const message of consumer) {
        seen.push(message.text());
        await message.ack();
        if (seen.length === 3) break;
    }
    assert.deepEqual(seen, ["1", "2", "3"]);
    assert.equal(consumer.isOpen, false);
    assert.deepEqual(broker.queue("jobs").consumers, []);
});

test("what a consumer was sent and never looked at goes back without a count", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, ["1", "2", "3"]);
    for await (const message of await conn.consume("jobs", { prefetch: 3 })) {
        await message.ack();
        break;
    }
    assert.equal(broker.queue("jobs").ready, 2n);
    const messages = await conn.receive("jobs", { max: 3 });
    assert.deepEqual(messages.map((m) => [m.text(), m.attempt]), [["2", 1], ["3", 1]]);

    await conn.nack(messages);
    await conn.consume("jobs", { prefetch: 3 });
    conn.close();
    const [again] = await broker.connect().receive("jobs");
    assert.equal(again.attempt, 2);
});

test("a consumer does not hand out what it holds no lease on any more", async (t) => {
    const { broker, conn } = await withJobs(t);
    const consumer = await conn.consume("jobs", { prefetch: 2 });
    await conn.publish({ queue: "jobs" }, ["1", "2"]);
    const { value: first } = await consumer.next();
    assert.equal(first?.attempt, 1);
    await broker.advance(30_000);
    const { value: again } = await consumer.next();
    assert.deepEqual([again?.text(), again?.attempt], ["1", 2]);
});

test("a consumer's loop ends when its queue or its connection is gone", async (t) => {
    const { broker, conn } = await withJobs(t);
    broker.declareQueue("short");
    const byQueue = (await conn.consume("short")).next();
    broker.deleteQueue("short");
    assert.deepEqual(await byQueue, { value: undefined, done: true });

    const byCrash = (await conn.consume("jobs")).next();
    conn.crash();
    assert.deepEqual(await byCrash, { value: undefined, done: true });
});

test("consumers work while the clock moves, each at the time that is due", async (t) => {
    const { broker, conn } = await withJobs(t, { visibilityMs: 1_000, deliveriesMax: 5 });
    const log = [];
    const consumer = await conn.consume("jobs");
    const work = (async () => {
        for await (const message of consumer) {
            log.push([broker.nowMs, message.attempt]);
            if (message.attempt === 3) await message.ack();
        }
    })();
    await conn.publish({ queue: "jobs" }, "third time lucky");
    await broker.advance(60_000);
    assert.deepEqual(log, [[0, 1], [1_000, 2], [2_000, 3]]);
    await consumer.cancel();
    await work;
});

test("who began before the clock was moved asks at the time before", async (t) => {
    const { broker, conn } = await withJobs(t);
    await conn.publish({ queue: "jobs" }, "x");
    const begun = (async () => {
        await null;
        await null;
        return conn.receive("jobs");
    })();
    await broker.advance(1_000);
    assert.equal((await begun)[0]?.deadlineMs, 30_000);
});

test("an exchange routes by pattern, and what nobody wants is refused", async (t) => {
    const { broker, conn } = await withJobs(t);
    broker.declareExchange("events", "topic");
    broker.createTopic("audit", { partitions: 2 });
    broker.bind("events", { queue: "jobs" }, "order.*");
    broker.bind("events", { topic: "audit" }, "#");
    const placed = await conn.publish({ exchange: "events", routingKey: "order.placed" }, "o");
    assert.equal(placed.length, 2);
    assert.ok(placed.some((one) => "queue" in one && one.queue === "jobs"));
    assert.ok(placed.some((one) => "topic" in one && one.topic === "audit"));

    broker.unbind("events", { topic: "audit" }, "#");
    await assert.rejects(
        conn.publish({ exchange: "events", routingKey: "payment.made" }, "p"),
        { codeName: "Unroutable", transient: false },
    );
    await assert.rejects(
        conn.publish({ queue: "nowhere" }, "x", { confirm: false }),
        { codeName: "UnknownQueue" },
    );
    assert.deepEqual(await conn.publish({ queue: "jobs" }, "y", { confirm: false }), []);
    assert.equal(broker.queue("jobs").ready, 2n);
});

test("a full queue refuses, and says that it may pass", async (t) => {
    const { broker, conn } = await withJobs(t);
    broker.declareQueue("small", { messagesMax: 1 });
    await conn.publish({ queue: "small" }, "1");
    await assert.rejects(conn.publish({ queue: "small" }, "2"), {
        codeName: "QueueFull",
        transient: true,
    });
    assert.equal(broker.purgeQueue("small"), 1n);
    await conn.publish({ queue: "small" }, "2");
});
