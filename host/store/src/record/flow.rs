//! Flow control as both databases apply it: who waits, and what a singleton is.

use tombolo_core::ports::store::{Lane, NewRun, Priority, Singleton};

/// True if the run may have to wait for something else than its turn.
pub(crate) fn waits(run: &NewRun) -> bool {
    let flow = &run.flow;
    let free = flow.lanes.is_empty()
        && flow.throttle.is_none()
        && flow.debounce.is_none()
        && flow.singleton.is_none();
    !free && run.lease.is_none() && run.ended.is_none()
}

/// A priority as a column; lower ones are claimed first.
pub(crate) fn turn(priority: Priority) -> i16 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

/// A singleton is a lane with one place, which the run has until it ends.
pub(crate) fn singleton_lane(singleton: &Singleton) -> Lane {
    let name = singleton_name(singleton);
    Lane { name, limit: 1, in_order: false, keeps_place: true }
}

/// No lane that a workflow asks for begins like this.
pub(crate) fn singleton_name(singleton: &Singleton) -> String {
    format!("singleton:{}", singleton.name)
}
