//! The model and the broker beside it, as proptest's state machine runs them.

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

#[path = "reference.rs"]
mod reference;
#[path = "system.rs"]
mod system;

use reference::Act;
pub(crate) use reference::Reference;
pub(crate) use system::System;

impl ReferenceStateMachine for Reference {
    type State = Reference;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Reference> {
        Just(Reference::default()).boxed()
    }

    fn transitions(_: &Reference) -> BoxedStrategy<Act> {
        reference::acts()
    }

    fn preconditions(model: &Reference, act: &Act) -> bool {
        model.allows(act)
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
