//! Who may do what: users, what proves that it is them, and what each may do.

mod account;
mod permission;
mod secret;
mod store;

pub(crate) use account::{Account, Accounts, Credential};
pub(crate) use permission::{Need, needs};
pub(crate) use secret::{Token, digest, random_bytes, verify_password};
pub(crate) use store::{EVERY_NAMESPACE, Pattern, Permissions, Quota, Store, Tag, User, is_name};

/// The file of users in a data directory.
pub(crate) const USERS_FILE: &str = "users.toml";
