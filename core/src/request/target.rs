//! Where a publish goes.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Where a publish goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Target<'a> {
    /// Through an exchange. The exchange with the empty name is AMQP's default exchange: it routes
    /// to the queue that the routing key names.
    Exchange {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// What bindings are matched against.
        #[serde(borrow, default)]
        routing_key: Cow<'a, str>,
    },
    /// To a queue; refused if there is none (a publish to the default exchange is then unroutable).
    Queue {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// To a topic.
    Topic {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
        /// None: each record's key picks it by murmur2, as Kafka's default partitioner does, and
        /// records without a key go to one partition a batch.
        #[serde(default)]
        partition: Option<u32>,
    },
}

/// What becomes of records that an exchange cannot route: no binding takes them, nor one of an
/// alternate exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unroutable {
    /// The publish is refused, and nothing of it is stored: nothing that was accepted is lost.
    #[default]
    Refuse,
    /// They come back in `Returned`, and the others are stored (AMQP's `mandatory`).
    Return,
    /// They are dropped, and the others are stored (AMQP without `mandatory`).
    Drop,
}
