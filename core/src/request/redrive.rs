//! Which dead letters to redrive.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::WantedHeader;
use crate::id::Offset;
use crate::time::Time;
use crate::view::DeathReason;

/// What has to hold of a message for it to be redriven. What is said of a death is said of the
/// newest; it does not hold of a message that never died. New ones go to the end: facts hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Condition<'a> {
    /// It died for this reason.
    Reason(DeathReason),
    /// It died in this queue.
    Origin(Cow<'a, str>),
    /// It has this header.
    Header(WantedHeader<'a>),
    /// It has this key.
    Key {
        /// The key.
        #[serde(deserialize_with = "crate::record::own_bytes")]
        key: Cow<'a, [u8]>,
    },
    /// It died then or later.
    DiedSince(Time),
    /// It died then or before.
    DiedUntil(Time),
    /// It had so many attempts when it died, or more.
    AttemptsMin(u32),
}

impl Condition<'_> {
    /// The same with names of its own.
    pub fn into_owned(self) -> Condition<'static> {
        match self {
            Condition::Reason(reason) => Condition::Reason(reason),
            Condition::Origin(queue) => Condition::Origin(Cow::Owned(queue.into_owned())),
            Condition::Header(wanted) => Condition::Header(wanted.into_owned()),
            Condition::Key { key } => Condition::Key { key: Cow::Owned(key.into_owned()) },
            Condition::DiedSince(at) => Condition::DiedSince(at),
            Condition::DiedUntil(at) => Condition::DiedUntil(at),
            Condition::AttemptsMin(min) => Condition::AttemptsMin(min),
        }
    }
}

/// Which messages to redrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Pick<'a> {
    /// One, if it is ready.
    One {
        /// Which.
        offset: Offset,
        /// A body to put in place of its own: the message mended.
        #[serde(borrow, default, deserialize_with = "crate::record::optional_bytes")]
        body: Option<Cow<'a, [u8]>>,
    },
    /// The oldest that are ready, at most so many.
    Oldest {
        /// How many.
        messages_max: u32,
    },
    /// The oldest that are ready and of which all of this holds, at most so many; of the oldest
    /// 4,096 that are ready. The answer says how many more it did not look at
    /// ([`crate::Event::Count`]); a job ([`crate::Op::StartRedrive`]) goes over all of them.
    Filtered {
        /// What has to hold.
        filter: Vec<Condition<'a>>,
        /// How many.
        messages_max: u32,
    },
}
