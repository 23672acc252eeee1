//! Why bytes are not a batch or a record.

use core::fmt;

use super::FLAGS;
use crate::limits::{BATCH_RECORDS_MAX, HEADERS_MAX, RECORD_ID_BYTES_MAX};

/// Why bytes are not a batch or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end inside what they announce.
    Short,
    /// The batch announces no record, or more than [`BATCH_RECORDS_MAX`].
    Count,
    /// The ends of the records do not rise, or do not end where the bytes end.
    Ends,
    /// A flag is set that this version does not know.
    Flags(u8),
    /// A header's name is empty, not UTF-8, or there are more than [`HEADERS_MAX`].
    Header,
    /// A key is longer than its length can say.
    Key,
    /// Options are announced, and there is none, or one that this version does not know.
    Options(u8),
    /// An id is empty or longer than [`RECORD_ID_BYTES_MAX`].
    Id,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Short => f.write_str("the bytes end inside a record"),
            Malformed::Count => write!(f, "a batch has 1 to {BATCH_RECORDS_MAX} records"),
            Malformed::Ends => f.write_str("the records' ends do not rise to the batch's own end"),
            Malformed::Flags(flags) => {
                write!(f, "record flags {flags:#04x}: only {FLAGS:#04x} are known")
            }
            Malformed::Header => {
                write!(
                    f,
                    "a record has at most {HEADERS_MAX} headers with UTF-8 names of 1 to 255 bytes"
                )
            }
            Malformed::Key => f.write_str("a key has at most 65,535 bytes"),
            Malformed::Options(which) => {
                write!(f, "record options {which:#04x}: one of 1, 2, 4 and 8 at least, no other")
            }
            Malformed::Id => write!(f, "an id has 1 to {RECORD_ID_BYTES_MAX} bytes"),
        }
    }
}

impl core::error::Error for Malformed {}
