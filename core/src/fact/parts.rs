//! What facts are made of.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{Append, Offset, Place, TopicId};
use crate::record::Records;
use crate::time::Time;

/// The way that a message came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Via<'a> {
    /// The exchange that it was published to.
    #[serde(borrow)]
    pub exchange: Cow<'a, str>,
    /// Its routing key.
    #[serde(borrow)]
    pub routing_key: Cow<'a, str>,
}

impl Via<'_> {
    /// The same with names that are another's.
    pub fn borrowed(&self) -> Via<'_> {
        Via {
            exchange: Cow::Borrowed(&*self.exchange),
            routing_key: Cow::Borrowed(&*self.routing_key),
        }
    }

    /// Bytes of its names.
    pub(crate) fn bytes(&self) -> usize {
        self.exchange.len() + self.routing_key.len()
    }

    /// The same with names of its own.
    pub fn into_owned(self) -> Via<'static> {
        Via {
            exchange: Cow::Owned(self.exchange.into_owned()),
            routing_key: Cow::Owned(self.routing_key.into_owned()),
        }
    }
}

/// A batch whose bytes lie elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    /// What its [`crate::Home`] is known by.
    pub reference: u64,
    /// How many bytes it has.
    pub bytes: u32,
    /// How many records are in it, also those that are gone from its log.
    pub records: u32,
    /// Every flag that one of its records has.
    pub flags: u8,
    /// The newest timestamp of the records that are left; of one that has none it is when the batch
    /// was appended.
    pub newest: Time,
}

/// In what an exchange differs from the default. New ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeSetting<'a> {
    /// What no binding takes goes to this exchange.
    #[serde(borrow)]
    Alternate(Cow<'a, str>),
    /// It goes with its last binding.
    AutoDelete,
    /// Only exchanges route to it.
    Internal,
}

/// A run of records of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where.
    pub place: Place,
    /// From which offset.
    pub base: Offset,
    /// How many.
    pub count: u64,
}

/// A batch that is remembered, so that it is known if it is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered<'a> {
    /// The number of its first record.
    pub sequence: u32,
    /// How many records it had.
    pub count: u32,
    /// Where it lies.
    #[serde(borrow)]
    pub appends: Cow<'a, [Append]>,
}

/// An offset that a group commits on a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCommit<'a> {
    /// Which topic.
    pub topic: TopicId,
    /// Which partition.
    pub partition: u32,
    /// The next offset to read.
    pub offset: Offset,
    /// What the member noted beside it.
    #[serde(borrow)]
    pub metadata: Cow<'a, str>,
}

/// A batch, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored<'a> {
    /// Where, and at which offsets.
    #[serde(borrow)]
    pub appends: Cow<'a, [Append]>,
    /// The records, once for all of these places.
    #[serde(borrow)]
    pub records: Records<'a>,
}
