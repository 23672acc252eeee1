//! No confirmed message is lost: it is in the history that a crash leaves, in every place that the
//! confirm named.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{Append, ConnId, Event, Fact, Op, Place, Stored, Tag};

use super::{Books, Invariant, Moment};

/// A queue, or all partitions of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    Queue(u32),
    Topic(u32),
}

fn home(append: &Append) -> Home {
    match append.place {
        Place::Queue(id) => Home::Queue(id.0),
        Place::Partition(id, _) => Home::Topic(id.0),
    }
}

#[derive(Clone, Default)]
pub(super) struct Confirms {
    asked: BTreeMap<(ConnId, Tag), Vec<Vec<u8>>>,
    confirmed: BTreeSet<(Home, Vec<u8>)>,
}

impl Invariant for Confirms {
    fn name(&self) -> &'static str {
        "no confirmed message is lost"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                if let Op::Publish { records, .. } = &request.op {
                    let bodies = records.iter().map(|record| record.body.to_vec()).collect();
                    self.asked.insert((*conn, request.tag), bodies);
                }
            }
            Moment::Told {
                conn, event: Event::Published { tag, appends, duplicates, .. }, ..
            } => {
                let bodies = self.asked.get(&(*conn, *tag)).ok_or("a confirm without a publish")?;
                for append in appends.iter() {
                    // What the queue had been given before was not stored again.
                    let is_new = |index| {
                        !duplicates
                            .iter()
                            .any(|d| d.index == index && append.place == Place::Queue(d.queue))
                    };
                    let new = bodies.iter().zip(0..).filter(|(_, index)| is_new(*index));
                    let confirmed = new.map(|(body, _)| (home(append), body.clone()));
                    self.confirmed.extend(confirmed);
                }
            }
            Moment::Recovered { history, .. } => {
                let mut found = BTreeSet::new();
                for fact in super::facts(history) {
                    let (Fact::Published { batches, .. } | Fact::Produced { batches, .. }) = fact
                    else {
                        continue;
                    };
                    for Stored { appends, records } in batches.iter() {
                        for append in appends.iter() {
                            let bodies = records.iter().map(|record| record.body.to_vec());
                            found.extend(bodies.map(|body| (home(append), body)));
                        }
                    }
                }
                if let Some((home, body)) = self.confirmed.difference(&found).next() {
                    let body = String::from_utf8_lossy(body);
                    return Err(format!("{body} was confirmed in {home:?} and is lost"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
