//! Bugs that can be switched on, to see that the tests catch them. Only with the feature
//! `planted`, which nothing but the test of that name asks for; without it every question is
//! answered with a constant, and what depends on it is not in the build.

/// A bug. The test `planted` says of each who catches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A lease that expires counts no attempt.
    ExpiryCountsNoAttempt,
    /// A snapshot forgets when a delayed message is ready.
    SnapshotForgetsDelays,
    /// Another life of the broker has the number of the one before.
    EpochStays,
    /// A commit is taken from whoever sends it.
    CommitsAreNotFenced,
    /// A poll moves the position one record too far.
    PollSkipsARecord,
    /// Partition 0 is given to every member.
    PartitionGoesToAll,
    /// A publish is confirmed before its fact is made.
    ConfirmBeforeFact,
    /// A batch for several logs is one fact for each.
    FanOutIsTorn,
    /// A publish into a full queue is stored.
    QueueFullIsIgnored,
    /// Reading begins one record after what was committed.
    ResumeSkipsARecord,
    /// A message that dies or is driven back stays in its queue, too.
    MovedStaysToo,
    /// The timer of a message that is settled or given back runs on.
    TimersAreNotStopped,
    /// A numbered batch that is remembered is stored again.
    DuplicateIsStored,
    /// A message of an open transaction is ready.
    HeldIsReady,
    /// What an aborted transaction wrote into a topic is not hidden.
    AbortIsNotHidden,
    /// A partition is read whose offset waits for a transaction.
    UnstableIsRead,
    /// A cooperative rebalance gives on at once what its owner still reads.
    NothingIsGivenUpFirst,
    /// A member that syncs before its leader is answered at once, with nothing.
    SyncedBeforeTheLeader,
    /// Where members assign, a member of an old generation may commit.
    OldGenerationCommits,
    /// The leader is told of what it proposes itself, and of nobody else.
    LeaderMissesAMember,
    /// A static member that comes back reads on where the one before it was.
    ReturnKeepsThePosition,
    /// What a group has committed goes by its age alone, also when its members left just now.
    OffsetsExpireByAgeAlone,
    /// A message is leased however old it is.
    AgeIsNotLookedAt,
    /// A message of a group does not wait for the older ones.
    LanesAreNotKept,
    /// A message that came before is known only for half of the window.
    WindowIsHalf,
    /// What a snapshot says of the messages that came is not remembered.
    MemoryIsNotPutBack,
    /// Retention takes away what an open transaction wrote.
    RetentionPassesStable,
    /// Compaction takes the newest record of a key, and leaves the one before.
    CompactionDropsTheNewest,
    /// A message is ready at once, whatever delay it came with.
    FirstDelayIsIgnored,
    /// Every message is as urgent as any other.
    PriorityIsIgnored,
    /// A redriving job counts two for each message.
    RedriveCountsTwice,
    /// A queue with a single active consumer gives to all of them.
    ActiveIsNotSingle,
}

/// Whether a bug is on.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn planted(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
mod switch {
    extern crate std;

    use core::cell::Cell;

    use super::Planted;

    std::thread_local! {
        static ON: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// Whether a bug is on.
    pub(crate) fn planted(bug: Planted) -> bool {
        ON.get() == Some(bug)
    }

    /// Switches a bug of this thread's brokers on, or all off.
    pub fn plant(bug: Option<Planted>) {
        ON.set(bug);
    }
}

#[cfg(feature = "planted")]
pub use switch::plant;
#[cfg(feature = "planted")]
pub(crate) use switch::planted;
