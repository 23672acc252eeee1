//! The broker against a model of sorted maps: whatever clients ask, it answers as the model does,
//! and its views show what the model holds. What fails is shrunk.
#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::test_runner::Config as Proptest;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

#[path = "model/reference.rs"]
mod reference;
#[path = "model/system.rs"]
mod system;

use reference::{Act, Reference};
use system::System;

impl ReferenceStateMachine for Reference {
    type State = Reference;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Reference> {
        Just(Reference::default()).boxed()
    }

    fn transitions(_: &Reference) -> BoxedStrategy<Act> {
        reference::acts()
    }

    fn apply(mut model: Reference, act: &Act) -> Reference {
        model.apply(act);
        model
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = System;
    type Reference = Reference;

    fn init_test(_: &Reference) -> System {
        System::new()
    }

    fn apply(mut system: System, model: &Reference, act: Act) -> System {
        let answer = system.apply(&act);
        assert_eq!(answer, model.answer, "{act:?}");
        system
    }

    fn check_invariants(system: &System, model: &Reference) {
        system.check(model);
    }
}

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
