//! The broker against a model of sorted maps: whatever clients ask, it answers as the model does,
//! and its views show what the model holds. What fails is shrunk.
#![cfg(not(target_arch = "wasm32"))]

use proptest::test_runner::Config as Proptest;
use proptest_state_machine::prop_state_machine;

#[path = "model/machine.rs"]
mod machine;

use machine::System;

/// 300 cases, or as many as `PROPTEST_CASES` says.
fn cases() -> Proptest {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(300);
    Proptest { cases, failure_persistence: None, ..Proptest::default() }
}

prop_state_machine! {
    #![proptest_config(cases())]

    #[test]
    fn the_broker_does_what_a_model_of_sorted_maps_does(sequential 1..60 => System);
}
