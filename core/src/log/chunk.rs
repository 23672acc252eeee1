//! A batch's bytes: with the broker, or in a home that the driver gave them.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use crate::fact;
use crate::home::Home;
use crate::record::Records;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) enum Chunk {
    Here(Records<'static>),
    Away(Away),
}

/// What is known of a batch without looking at its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) bytes: u32,
    /// How many records it has.
    pub(crate) count: u32,
    /// Every flag that one of its records has.
    pub(crate) flags: u8,
    /// The newest timestamp of the records that are left; of one that has none it is when the batch
    /// was appended.
    pub(crate) newest: Time,
}

impl Away {
    /// What a snapshot says of it.
    pub(crate) fn describe(&self) -> fact::Away {
        let Away { bytes, count: records, flags, newest, .. } = *self;
        fact::Away { reference: self.home.reference(), bytes, records, flags, newest }
    }

    pub(crate) fn fetch(&self) -> Records<'static> {
        let records = Records::fetched(self.home.bytes(), self.flags);
        let same = records.as_bytes().len() == self.bytes as usize && records.count() == self.count;
        assert!(same, "a home gives the batch that it was given");
        records
    }
}

impl Chunk {
    pub(super) fn records(&self) -> Cow<'_, Records<'static>> {
        match self {
            Chunk::Here(records) => Cow::Borrowed(records),
            Chunk::Away(away) => Cow::Owned(away.fetch()),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Chunk::Here(records) => records.as_bytes().len(),
            Chunk::Away(away) => away.bytes as usize,
        }
    }

    /// How many records it has, also those that are gone from its log.
    pub(super) fn count(&self) -> u32 {
        match self {
            Chunk::Here(records) => records.count(),
            Chunk::Away(away) => away.count,
        }
    }

    pub(super) fn have_timestamps(&self) -> bool {
        match self {
            Chunk::Here(records) => records.have_timestamps(),
            Chunk::Away(away) => Records::flags_have_timestamps(away.flags),
        }
    }
}
