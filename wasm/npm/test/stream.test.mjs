import assert from "node:assert/strict";
import { test } from "node:test";

import { openBroker } from "fanlight";

/** A broker with a topic `orders` of so many partitions, closed after the test. */
async function withOrders(t, partitions = 1) {
    const broker = await openBroker({ seed: 7 });
    t.after(() => broker.close());
    broker.createTopic("orders", { partitions });
    return { broker, producer: broker.connect("producer") };
}

const texts = (records) => records.map((record) => record.text());

test("what was read and not committed before a crash is read again, and no more", async (t) => {
    const { broker, producer } = await withOrders(t);
    await producer.publish({ topic: "orders" }, ["0", "1", "2", "3", "4"]);

    const crashing = broker.connect("analytics-1");
    const first = await crashing.join("analytics", "orders");
    assert.deepEqual(texts(await first.poll({ max: 2 })), ["0", "1"]);
    await first.commit();
    assert.deepEqual(texts(await first.poll({ max: 2 })), ["2", "3"]);
    const [before] = broker.group("analytics").partitions;
    assert.deepEqual([before.committed, before.position, before.lag], [2n, 4n, 3n]);
    crashing.crash();

    using activity = broker.watch();
    const second = await broker.connect("analytics-2").join("analytics", ["orders"]);
    assert.deepEqual(second.assignment, [{ topic: "orders", partition: 0, position: 2n }]);
    const [assigned] = activity.drain().filter((one) => one.kind === "partitionAssigned");
    assert.equal(assigned.again, 2n);
    assert.match(assigned.text, /2 records read but not committed before/);
    assert.deepEqual(texts(await second.poll()), ["2", "3", "4"]);
});

test("equal keys keep their partition and their order", async (t) => {
    const { producer } = await withOrders(t, 4);
    const keys = ["France", "Germany", "EIRE"];
    for (let round = 0; round < 3; round++) {
        const batch = keys.map((key) => ({ key, body: `${key} ${round}` }));
        await producer.publish({ topic: "orders" }, batch);
    }
    const homes = new Map();
    for (let partition = 0; partition < 4; partition++) {
        const { records, start, end } = await producer.read("orders", partition);
        assert.equal(BigInt(records.length), end - start);
        for (const record of records) {
            const seen = homes.get(record.keyText()) ?? { partition, bodies: [] };
            assert.equal(seen.partition, partition);
            seen.bodies.push(record.text());
            homes.set(record.keyText(), seen);
        }
    }
    for (const key of keys) {
        assert.deepEqual(homes.get(key).bodies, [0, 1, 2].map((round) => `${key} ${round}`));
    }
});

test("a second member takes over a share, and each is told", async (t) => {
    const { broker } = await withOrders(t, 4);
    const told = [];
    const onAssigned = (assignment) => told.push(assignment.length);
    const one = await broker.connect().join("g", "orders", { onAssigned });
    const two = await broker.connect().join("g", "orders");
    assert.equal(one.assignment.length, 2);
    assert.equal(two.assignment.length, 2);
    assert.equal(one.generation, two.generation);
    await two.leave();
    assert.equal(one.assignment.length, 4);
    await broker.advance(0);
    assert.deepEqual(told, [4, 2, 4]);
});

test("a loop over a member commits what it was given, not what was polled ahead", async (t) => {
    const { broker, producer } = await withOrders(t);
    await producer.publish({ topic: "orders" }, ["0", "1", "2", "3"]);
    const conn = broker.connect();
    const member = await conn.join("g", "orders");
    for await (const record of member) {
        await member.commit();
        if (record.offset === 1n) break;
    }
    assert.equal(broker.group("g").partitions[0].committed, 2n);
    assert.deepEqual(texts(await member.poll()), ["2", "3"], "what was polled ahead is not lost");
    await member.commit();
    assert.equal(broker.group("g").partitions[0].lag, 0n);
});

test("what a loop polled ahead is forgotten where it is no longer its to read", async (t) => {
    const { broker, producer } = await withOrders(t, 2);
    for (const partition of [0, 1]) {
        await producer.publish({ topic: "orders", partition }, ["a", "b", "c"]);
    }
    const member = await broker.connect().join("g", "orders");
    for await (const record of member) {
        if (record.partition === 0 && record.offset === 0n) break;
    }
    await broker.connect().join("g", "orders");
    assert.deepEqual(member.assignment.map(({ partition }) => partition), [0]);
    const rest = await member.poll();
    assert.deepEqual([...new Set(rest.map(({ partition }) => partition))], [0]);

    await member.seek("orders", 0, 0n);
    const first = [];
    for await (const record of member) {
        first.push(record.text());
        break;
    }
    await member.seek("orders", 0, 2n);
    assert.deepEqual([first, texts(await member.poll())], [["a"], ["c"]]);
});

test("a connection that closes leaves its groups, and one that crashes is put out", async (t) => {
    const { broker } = await withOrders(t);
    using activity = broker.watch();
    for (const end of /** @type {const} */ (["close", "crash"])) {
        const conn = broker.connect();
        await conn.join("g", "orders");
        conn[end]();
    }
    const left = activity.drain().filter((one) => one.kind === "memberLeft");
    assert.deepEqual(left.map(({ reason }) => reason), ["left", "disconnected"]);
});

test("a loop waits for what comes as the clock moves, and ends with its connection", async (t) => {
    const { broker, producer } = await withOrders(t);
    const conn = broker.connect();
    const member = await conn.join("g", "orders");
    const seen = [];
    const loop = (async () => {
        for await (const record of member) seen.push([record.text(), broker.nowMs]);
    })();
    await broker.advance(120_000);
    assert.equal(member.isExpelled, false, "who polls is alive");
    await producer.publish({ topic: "orders" }, "late");
    await broker.advance(0);
    assert.deepEqual(seen, [["late", 120_000]]);
    conn.close();
    await loop;
});

test("a member that is silent for its session timeout is out", async (t) => {
    const { broker } = await withOrders(t);
    const member = await broker.connect("sleepy").join("g", "orders", { sessionTimeoutMs: 10_000 });
    using activity = broker.watch();
    await broker.advance(9_000);
    await member.heartbeat();
    await broker.advance(9_999);
    assert.equal(member.isExpelled, false);
    await broker.advance(1);
    assert.equal(member.isExpelled, true);
    const [left] = activity.drain().filter((one) => one.kind === "memberLeft");
    assert.equal(left.reason, "sessionTimeout");
    assert.equal(left.atMs, 19_000);
    await assert.rejects(member.poll(), { codeName: "UnknownMember" });
    const loop = member[Symbol.asyncIterator]();
    await assert.rejects(loop.next(), { codeName: "Expelled", code: 904 });
});

test("who waits for records hears that its topic is gone, or its connection", async (t) => {
    const { broker } = await withOrders(t);
    const conn = broker.connect();
    const member = await conn.join("g", "orders");
    const next = member[Symbol.asyncIterator]().next();
    const deleted = assert.rejects(next, { codeName: "Expelled", message: /topic was deleted/ });
    await broker.advance(1_000);
    broker.deleteTopic("orders");
    await deleted;

    broker.createTopic("orders");
    const waiting = (await conn.join("g", "orders")).poll({ waitMs: 1_000 });
    conn.crash();
    await assert.rejects(waiting, { codeName: "Closed" });
});

test("a member that lost a partition cannot commit on it", async (t) => {
    const { broker, producer } = await withOrders(t, 2);
    await producer.publish({ topic: "orders", partition: 1 }, "x");
    const one = await broker.connect().join("g", "orders");
    const [record] = await one.poll();
    assert.equal(record.partition, 1);
    const two = await broker.connect().join("g", "orders");
    assert.deepEqual(two.assignment.map(({ partition }) => partition), [1]);
    await assert.rejects(one.commit(record), { name: "RefusedError", codeName: "Fenced" });
    assert.deepEqual(texts(await two.poll()), ["x"]);
});

test("a position can be sought, and a group's offsets reset", async (t) => {
    const { broker, producer } = await withOrders(t);
    await producer.publish({ topic: "orders" }, ["0", "1"]);
    await broker.advance(1_000);
    await producer.publish({ topic: "orders" }, ["2", "3"]);
    const member = await broker.connect().join("g", "orders", { start: "latest" });
    assert.deepEqual(await member.poll(), []);
    await member.seek("orders", 0, "earliest");
    assert.deepEqual(texts(await member.poll({ max: 1 })), ["0"]);
    await member.seek("orders", 0, { sinceMs: 500 });
    assert.deepEqual(texts(await member.poll()), ["2", "3"]);
    await member.commitOffsets([{ topic: "orders", partition: 0, offset: 3 }]);
    await assert.rejects(member.seek("orders", 0, 9n), { codeName: "OffsetOutOfRange" });

    assert.throws(() => broker.resetOffsets("g", "orders", "earliest"), { codeName: "InUse" });
    await member.leave();
    broker.resetOffsets("g", "orders", 1n);
    assert.equal(broker.group("g").partitions[0].committed, 1n);
    broker.deleteGroup("g");
    assert.throws(() => broker.group("g"), { codeName: "UnknownGroup" });
});

test("a partition is read without a group, from an offset", async (t) => {
    const { producer } = await withOrders(t);
    await producer.publish({ topic: "orders" }, ["0", "1", "2"]);
    const { start, end, records } = await producer.read("orders", 0, { from: 1, max: 1 });
    assert.deepEqual([start, end, texts(records)], [0n, 3n, ["1"]]);
    assert.deepEqual((await producer.read("orders", 0, { from: "latest" })).records, []);
});
