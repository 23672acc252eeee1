//! The four flows in words: a guess to make, what to do, what to see.

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) question: &'static str,
    pub(crate) choices: [&'static str; 3],
    pub(crate) right: usize,
    pub(crate) answer: &'static str,
    /// What there is to do and to see, in order: each ticks itself when it happens.
    pub(crate) steps: [&'static str; 3],
}

/// All of them, in order.
pub(crate) const FLOWS: [Flow; 4] = [
    Flow {
        title: "Fan-out",
        about: "Each order is published once. Payment, inventory and analytics each read all of them, \
                at their own pace.",
        question: "Analytics stops. What does payment do?",
        choices: ["It waits for analytics", "It carries on", "It takes over analytics’ share"],
        right: 1,
        answer: "It carries on. A group is only a pair of flags on the tape: nobody waits for another \
                 group’s.",
        steps: [
            "Stop analytics",
            "See its lag grow while payment’s stays low",
            "Start it: it reads on from its own flag",
        ],
    },
    Flow {
        title: "Offset commits",
        about: "A solid flag is what a group committed, a hollow one what it has read. The tint between \
                them is work that is not yet safe.",
        question: "Payment crashes in the middle of its work. What is delivered again?",
        choices: ["Nothing", "What lies between the flags", "The whole tape"],
        right: 1,
        answer: "What lies between the flags, exactly. What was processed but not committed is \
                 processed again.",
        steps: [
            "Crash payment while there is a tint",
            "Start it: it begins at the solid flag",
            "See the same records delivered again",
        ],
    },
    Flow {
        title: "Crash and redelivery",
        about: "A worker does not take an order off the queue, it leases it. The ring around the order \
                is the time that is left.",
        question: "A worker falls silent with an order in hand. Who ships the order?",
        choices: [
            "Nobody: it is lost",
            "Another worker, at once",
            "Another worker, when the lease ends",
        ],
        right: 2,
        answer: "Another worker, when the lease ends. The broker cannot tell slow from dead, so it waits. \
                 A dropped connection it can see: then it is at once.",
        steps: [
            "Silence a worker that holds an order",
            "See its ring run out",
            "See another worker get the order: attempt 2",
        ],
    },
    Flow {
        title: "Dead letters",
        about: "Some orders cannot be shipped by anyone: this one has no price.",
        question: "A poison order comes. What becomes of it?",
        choices: [
            "It blocks the queue for ever",
            "It is tried three times, then set aside",
            "It is thrown away",
        ],
        right: 1,
        answer: "It is tried three times, then set aside with the history of its attempts. Others are \
                 shipped meanwhile.",
        steps: [
            "Poison the next order",
            "See it fail three times and fall below",
            "Open it, mend its price, and redrive it",
        ],
    },
];
