//! Where the put of an object can be stopped or made to fail.

/// A place on the way of an object into its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing of it has reached the store; in a directory it is written, and has no name yet.
    Before,
    /// Half of it has.
    In,
    /// The store has it, and the collector was not told.
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Every put waits there.
    Stall,
    /// Every put fails there: its connection breaks, or the disk says no.
    Fail,
}

/// What stands on the way of objects into their store.
pub trait Gate {
    /// Has every put stopped or broken at a place, from now on.
    fn arm(&self, place: Place, deed: Deed);

    /// How many puts came to that place since.
    fn reached(&self) -> u64;

    /// Lets puts pass that come from now on.
    fn let_pass(&self);

    /// Lets those go on that stand somewhere, or has them broken off.
    fn release(&self, goes_on: bool);

    /// Puts that the store has answered.
    fn puts(&self) -> u64;
}
