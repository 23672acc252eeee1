//! Names that requests give: what they name, and what may be named so.

use alloc::string::String;

use super::{Broker, Refused};
use crate::id::{GroupId, Offset, QueueId, TopicId};
use crate::limits::NAME_BYTES_MAX;
use crate::refusal::Code;
use crate::time::Span;

impl Broker {
    pub(super) fn queue_named(&self, name: &str) -> Result<QueueId, Refused> {
        self.queue_names.get(name).copied().ok_or_else(|| {
            Code::UnknownQueue
                .because(alloc::format!("there is no queue {}; declare it first", shown(name)))
        })
    }

    pub(super) fn topic_named(&self, name: &str) -> Result<TopicId, Refused> {
        self.topic_names.get(name).copied().ok_or_else(|| {
            Code::UnknownTopic
                .because(alloc::format!("there is no topic {}; create it first", shown(name)))
        })
    }

    pub(super) fn group_named(&self, name: &str) -> Result<GroupId, Refused> {
        self.group_names.get(name).copied().ok_or_else(|| {
            Code::UnknownGroup
                .because(alloc::format!("there is no group {}; a join makes it", shown(name)))
        })
    }

    pub(super) fn partition_named(
        &self,
        topic: &str,
        partition: u32,
    ) -> Result<(TopicId, u32), Refused> {
        let id = self.topic_named(topic)?;
        let partitions = self.topics[&id].partitions.len();
        if (partition as usize) < partitions {
            return Ok((id, partition));
        }
        Err(Code::UnknownPartition.because(alloc::format!(
            "topic {topic:?} has no partition {partition}; it has {}, counted from 0",
            counted(partitions as u64, "partition")
        )))
    }
}

/// A name that a request gives, cut to what is worth showing.
pub(super) fn shown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    alloc::format!("{shown:?}")
}

/// A number and what it counts, in words: "1 message", "2 messages".
pub(super) fn counted(count: u64, what: &str) -> String {
    alloc::format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A number that a request gives, within its bounds.
pub(super) fn within(what: &str, value: u64, min: u64, max: u64) -> Result<(), Refused> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Code::BadArgument.because(alloc::format!("{what} is {value}; it is {min} to {max}")))
}

/// A span that a request gives, within its bounds.
pub(super) fn span_within(what: &str, value: Span, min: Span, max: Span) -> Result<(), Refused> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Code::BadArgument.because(alloc::format!("{what} is {value}; it is {min} to {max}")))
}

/// A name for something new.
pub(super) fn valid_name(what: &str, name: &str) -> Result<(), Refused> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "is too long"
    } else if name.chars().any(char::is_control) {
        "has a control character"
    } else {
        return Ok(());
    };
    let shown = shown(name);
    Err(Code::BadName.because(alloc::format!(
        "the {what}'s name {shown} {fault}; a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"
    )))
}

/// An offset out of a log's range.
pub(super) fn out_of_range(offset: Offset, start: Offset, end: Offset) -> Refused {
    Code::OffsetOutOfRange.because(alloc::format!(
        "offset {offset} is not in the log, whose offsets are {start} to {end}"
    ))
}
