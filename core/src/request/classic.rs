//! What members say to each other by way of a group whose members assign.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::MemberId;

/// A way of assigning that a member supports, and what it proposes in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol<'a> {
    /// Its name: with Kafka's consumers the assignor's, "range" or "cooperative-sticky".
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// What the member proposes. The broker does not read it: with Kafka's consumers it says which
    /// topics the member wants, and what it has.
    #[serde(
        default,
        serialize_with = "crate::record::as_bytes",
        deserialize_with = "crate::record::own_bytes"
    )]
    pub metadata: Cow<'a, [u8]>,
}

/// What a leader gives a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberAssignment<'a> {
    /// Whom.
    pub member: MemberId,
    /// What. The broker does not read it.
    #[serde(
        default,
        serialize_with = "crate::record::as_bytes",
        deserialize_with = "crate::record::own_bytes"
    )]
    pub assignment: Cow<'a, [u8]>,
}

/// A member, by its number, by its instance's name, or by both: then both have to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberName<'a> {
    /// Its number.
    pub member: Option<MemberId>,
    /// Its instance's name, if it is a static member.
    #[serde(borrow)]
    pub instance: Option<Cow<'a, str>>,
}
