/// <reference lib="esnext.disposable" preserve="true" />
export type { Activity, ActivityKind, Happenings, LeaveReason } from "./activity.js";
export type { Broker } from "./broker.js";
export type { QueuePolicy, RedriveOptions, TopicOptions, WatchOptions } from "./broker.js";
export { type CodeName, codes } from "./codes.js";
export type { Connection } from "./connection.js";
export type {
    ConsumeOptions,
    JoinOptions,
    Placed,
    PublishOptions,
    ReadOptions,
    ReadResult,
    ReceiveOptions,
    Target,
} from "./connection.js";
export type { Consumer } from "./consumer.js";
export { BrokenError, ClosedError, FanlightError, RefusedError } from "./errors.js";
export type { Member, StreamRecord } from "./member.js";
export type { Assignment, OffsetToCommit, PollOptions, Position } from "./member.js";
export type { Message } from "./message.js";
export type { SettleResult } from "./message.js";
export type { BrokerOptions, Limits, WasmSource } from "./open.js";
export type { BrokerRecord } from "./record.js";
export type { Bytes, MessageFields, MessageInput } from "./record.js";
export type { StoredMessage } from "./views.js";
export type {
    Assignor,
    Attempt,
    AttemptEnd,
    ConnectionView,
    Death,
    DeathReason,
    Destination,
    DueReason,
    ExchangeKind,
    ExchangeView,
    GroupPartitionView,
    GroupView,
    MessageState,
    Overview,
    QueuePolicyView,
    QueueView,
    TopicPolicyView,
    TopicView,
} from "./views.js";
export type { ActivityStream } from "./watch.js";
