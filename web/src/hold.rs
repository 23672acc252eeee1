//! The one hold on the world that the stage and the panels share.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;

use fanlight_web::world::World;

/// The world, shared. Equal to itself only, so that a panel is drawn again when it is told to be.
#[derive(Clone)]
pub(crate) struct Hold(Rc<Held>);

struct Held {
    world: RefCell<World>,
    run: Cell<u64>,
}

impl Hold {
    pub(crate) fn new(world: World) -> Hold {
        Hold(Rc::new(Held { world: RefCell::new(world), run: Cell::new(1) }))
    }

    /// The world to look at.
    pub(crate) fn borrow(&self) -> Ref<'_, World> {
        self.0.world.borrow()
    }

    /// The world to change.
    pub(crate) fn borrow_mut(&self) -> RefMut<'_, World> {
        self.0.world.borrow_mut()
    }

    /// Which run it is: it rises when the world begins again, goes elsewhere in time, or changes
    /// its broker, so that nothing is shown to move between two runs.
    pub(crate) fn run(&self) -> u64 {
        self.0.run.get()
    }

    /// Another run begins.
    pub(crate) fn begin_again(&self) {
        self.0.run.set(self.0.run.get() + 1);
    }
}

impl yew::html::ImplicitClone for Hold {}

impl PartialEq for Hold {
    fn eq(&self, other: &Hold) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}
