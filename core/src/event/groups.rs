//! What members of groups are told of each other.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::MemberId;
use crate::refusal::Refusal;

/// What a member proposes, for the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal<'a> {
    /// Who.
    pub member: MemberId,
    /// The name under which it comes back, if it is a static member.
    #[serde(borrow)]
    pub instance: Option<Cow<'a, str>>,
    /// What it proposes in the protocol that was chosen.
    #[serde(
        serialize_with = "crate::record::as_bytes",
        deserialize_with = "crate::record::own_bytes"
    )]
    pub metadata: Cow<'a, [u8]>,
}

/// A member that was to be removed, and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotRemoved<'a> {
    /// Which of those that were named, from 0.
    pub index: u32,
    /// Why.
    #[serde(borrow)]
    pub refusal: Refusal<'a>,
}
