//! What the tests of the workspace share: workloads and the shrinking of them, traces, the
//! simulation and its invariants. Everything here comes from a seed and runs on virtual time.

pub mod answers;
pub mod arbitrary;
pub mod ask;
pub mod client;
pub mod dice;
pub mod digest;
pub mod interleavings;
pub mod invariants;
pub mod parity;
pub mod replay;
pub mod run;
pub mod shrink;
pub mod simulation;
pub mod trace;
pub mod vectors;
pub mod workload;
