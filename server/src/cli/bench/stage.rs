//! What a run needs on the server, and removes again.

use fanlight_core::limits::NAME_BYTES_MAX;
use fanlight_core::{
    Destination, ExchangeKind, ExchangePolicy, HeaderMatch, Op, QueuePolicy, Target, TopicPolicy,
};
use fanlight_server::client::{Client, ClientError};

use super::options::{Plan, Workload};

/// Names of what a run made.
pub(super) struct Stage {
    workload: Workload,
    name: String,
    consumers: usize,
    /// Bytes that a partition keeps, so that a long run does not fill the server.
    retention: Option<u64>,
    made: bool,
}

/// Bytes of a record beside its body, and more.
const RECORD_SLACK: usize = 32;
/// What a partition keeps beyond all that may wait to be read.
const RETENTION_SLACK: usize = 16 << 20;

impl Stage {
    pub(super) fn new(plan: &Plan) -> Stage {
        let name = format!("fanlight-bench-{}", std::process::id());
        debug_assert!(name.len() < NAME_BYTES_MAX);
        let waiting = plan.backlog + plan.in_flight * plan.producers;
        let kept = waiting * (plan.size + RECORD_SLACK) + RETENTION_SLACK;
        Stage {
            workload: plan.workload,
            name,
            consumers: plan.consumers,
            // What is read when everything is published has to be there all.
            retention: (!plan.apart).then_some(kept as u64),
            made: false,
        }
    }

    /// The queue of a consumer.
    pub(super) fn queue(&self, consumer: usize) -> String {
        match self.workload {
            Workload::Fanout => format!("{}-{consumer}", self.name),
            Workload::Queue | Workload::QueueBatch | Workload::Stream | Workload::Floor => {
                self.name.clone()
            }
        }
    }

    /// The topic.
    pub(super) fn topic(&self) -> &str {
        &self.name
    }

    /// Where a producer's batch goes.
    pub(super) fn target(&self, batch: u64) -> Target<'_> {
        let name = self.name.as_str().into();
        match self.workload {
            Workload::Stream => {
                let partition = Some((batch % self.consumers as u64) as u32);
                Target::Topic { name, partition }
            }
            Workload::Fanout => Target::Exchange { name, routing_key: "".into() },
            Workload::Queue | Workload::QueueBatch | Workload::Floor => Target::Queue { name },
        }
    }

    /// Makes it all.
    pub(super) async fn make(&mut self, client: &mut Client) -> Result<(), ClientError> {
        self.made = true;
        let name = self.name.as_str();
        match self.workload {
            Workload::Stream => {
                let partitions = self.consumers as u32;
                let policy =
                    TopicPolicy { retention_bytes: self.retention, ..TopicPolicy::default() };
                client.done(Op::CreateTopic { name: name.into(), partitions, policy }).await
            }
            Workload::Queue | Workload::QueueBatch => {
                let policy = QueuePolicy::default();
                client.done(Op::DeclareQueue { name: name.into(), policy }).await
            }
            Workload::Fanout => self.fan_out(client).await,
            Workload::Floor => Ok(()),
        }
    }

    async fn fan_out(&self, client: &mut Client) -> Result<(), ClientError> {
        let policy = ExchangePolicy::default();
        let kind = ExchangeKind::Fanout;
        let name = self.name.as_str();
        client.done(Op::DeclareExchange { name: name.into(), kind, policy }).await?;
        for consumer in 0..self.consumers {
            let queue = self.queue(consumer);
            let policy = QueuePolicy::default();
            client.done(Op::DeclareQueue { name: queue.as_str().into(), policy }).await?;
            let bind = Op::Bind {
                exchange: name.into(),
                to: Destination::Queue(queue.into()),
                pattern: "".into(),
                headers: HeaderMatch::default(),
            };
            client.done(bind).await?;
        }
        Ok(())
    }

    /// Removes what was made; the first thing that went wrong is told, and the others tried.
    pub(super) async fn remove(&self, client: &mut Client) -> Result<(), ClientError> {
        if !self.made {
            return Ok(());
        }
        let queue =
            |name: String| Op::DeleteQueue { name: name.into(), if_empty: false, if_unused: false };
        let name = self.name.clone();
        let ops = match self.workload {
            Workload::Stream => vec![Op::DeleteTopic { name: name.into() }],
            Workload::Queue | Workload::QueueBatch => vec![queue(name)],
            Workload::Fanout => {
                let exchange = Op::DeleteExchange { name: name.into(), if_unused: false };
                let queues = (0..self.consumers).map(|consumer| queue(self.queue(consumer)));
                std::iter::once(exchange).chain(queues).collect()
            }
            Workload::Floor => Vec::new(),
        };
        let mut result = Ok(());
        for op in ops {
            result = result.and(client.done(op).await);
        }
        result
    }
}
