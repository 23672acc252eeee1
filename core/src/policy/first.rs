//! The policy of a queue as the first format kept it.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::QueuePolicy as Grown;
use crate::time::Span;

/// The policy as the first format kept it. It is read, and no longer written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuePolicy<'a> {
    /// [`Grown::visibility`].
    pub visibility: Span,
    /// [`Grown::deliveries_max`].
    pub deliveries_max: Option<u32>,
    /// [`Grown::dead_letter`].
    #[serde(borrow)]
    pub dead_letter: Option<Cow<'a, str>>,
    /// [`Grown::messages_max`].
    pub messages_max: Option<u64>,
    /// [`Grown::retry_delay`].
    pub retry_delay: Span,
}

impl<'a> From<QueuePolicy<'a>> for Grown<'a> {
    fn from(first: QueuePolicy<'a>) -> Grown<'a> {
        let QueuePolicy { visibility, deliveries_max, dead_letter, messages_max, retry_delay } =
            first;
        Grown {
            visibility,
            deliveries_max,
            dead_letter,
            messages_max,
            retry_delay,
            ..Grown::default()
        }
    }
}
