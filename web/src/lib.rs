//! The playground: the order flow on a real broker, in the page or on a server. This library is
//! everything of it that is not drawing, and runs natively too, where it is tested.

pub mod link;
pub mod picture;
pub mod world;
