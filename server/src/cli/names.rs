//! Names on the command line: what they name, and what they may have meant.

use fanlight_core::{Code, Overview};
use fanlight_server::client::{Client, ClientError};

use super::failure::Failure;

/// What can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Queue,
    Exchange,
    Group,
    WorkGroup,
}

impl Kind {
    /// What it is called.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Topic => "topic",
            Kind::Queue => "queue",
            Kind::Exchange => "exchange",
            Kind::Group => "group",
            Kind::WorkGroup => "work group",
        }
    }

    /// The flag that says that a name is one of this kind. A work group is consumed as a queue is.
    fn flag(self) -> &'static str {
        match self {
            Kind::Topic => "--topic",
            Kind::Queue | Kind::WorkGroup => "--queue",
            Kind::Exchange => "--exchange",
            Kind::Group => "--group",
        }
    }

    /// The noun with its article.
    fn one(self) -> String {
        let article = if self == Kind::Exchange { "an" } else { "a" };
        format!("{article} {}", self.noun())
    }

    /// How to make one under a name.
    fn remedy(self, name: &str) -> String {
        let name = shell_word(name);
        match self {
            Kind::Topic => format!("`fanlight topics create {name} --partitions 4`"),
            Kind::Queue => format!("`fanlight queues declare {name}`"),
            Kind::Exchange => format!("`fanlight exchanges declare {name} --kind topic`"),
            Kind::Group => format!("`fanlight consume TOPIC --group {name}`"),
            Kind::WorkGroup => format!("`fanlight work-groups create {name} --topic TOPIC`"),
        }
    }

    fn names(self, overview: &Overview) -> Vec<&str> {
        match self {
            Kind::Topic => overview.topics.iter().map(|topic| topic.name.as_str()).collect(),
            Kind::Queue => overview.queues.iter().map(|queue| queue.name.as_str()).collect(),
            Kind::Exchange => overview.exchanges.iter().map(|e| e.name.as_str()).collect(),
            Kind::Group => overview.groups.iter().map(|group| group.name.as_str()).collect(),
            Kind::WorkGroup => overview.work_groups.iter().map(|g| g.name.as_str()).collect(),
        }
    }
}

/// Whether an exchange under this name is there without being declared.
pub(crate) fn is_built_in(exchange: &str) -> bool {
    exchange.is_empty() || exchange.starts_with("amq.")
}

/// A name as a shell reads it as one word.
pub(crate) fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,".contains(c);
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

/// Which of `kinds` the name is: exactly one, or a sentence says what would be right.
pub(crate) fn resolve(overview: &Overview, name: &str, kinds: &[Kind]) -> Result<Kind, Failure> {
    let found: Vec<Kind> =
        kinds.iter().copied().filter(|kind| kind.names(overview).contains(&name)).collect();
    match found[..] {
        [kind] => Ok(kind),
        [] => Err(Failure::failed(unknown(overview, name, kinds))),
        _ => {
            let kinds: Vec<String> = found.iter().map(|kind| kind.one()).collect();
            let flags: Vec<String> = found.iter().map(|kind| kind.flag().to_owned()).collect();
            Err(Failure::usage(format!(
                "{name} is the name of {}; say which with {}",
                joined(&kinds, "and of"),
                joined(&flags, "or")
            )))
        }
    }
}

/// The sentence for a name that nothing has.
pub(crate) fn unknown(overview: &Overview, name: &str, kinds: &[Kind]) -> String {
    let nouns: Vec<String> = kinds.iter().map(|kind| kind.noun().to_owned()).collect();
    let mut sentence = format!("there is no {} called {name}", joined(&nouns, "or"));
    let all = kinds
        .iter()
        .flat_map(|&kind| kind.names(overview).into_iter().map(move |candidate| (kind, candidate)));
    match nearest(name, all) {
        Some((kind, near)) => {
            sentence += &format!("; did you mean the {} {near}? If not, make it", kind.noun());
        }
        None => {
            let there: Vec<String> =
                kinds.iter().filter_map(|&kind| inventory(overview, kind)).collect();
            sentence += &match there.is_empty() {
                true => "; there are none yet. Make it".to_owned(),
                false => format!("; there are: {}. Make it", there.join("; ")),
            };
        }
    }
    let remedies: Vec<String> = kinds.iter().map(|kind| kind.remedy(name)).collect();
    sentence + &format!(" with {}", joined(&remedies, "or"))
}

/// The names of one kind that there are, the first few of them.
fn inventory(overview: &Overview, kind: Kind) -> Option<String> {
    const SHOWN: usize = 6;
    let names = kind.names(overview);
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let s = if names.len() == 1 { "" } else { "s" };
    let shown = names[..names.len().min(SHOWN)].join(", ");
    (!names.is_empty()).then(|| format!("{}{s} {shown}{more}", kind.noun()))
}

/// The candidate that is likely meant, if one is near enough.
pub(crate) fn nearest<'a, T>(
    name: &str,
    candidates: impl IntoIterator<Item = (T, &'a str)>,
) -> Option<(T, &'a str)> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|(tag, candidate)| {
            (strsim::osa_distance(&lower, &candidate.to_lowercase()), tag, candidate)
        })
        .filter(|(distance, _, candidate)| {
            *distance <= 1 + candidate.chars().count().min(name.chars().count()) / 4
        })
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, tag, candidate)| (tag, candidate))
}

/// A list in words.
pub(crate) fn joined(items: &[String], and: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// What to say of an error: a name that the broker does not know gets the nearest that it knows.
pub(crate) async fn explain(client: &mut Client, error: ClientError, name: &str) -> Failure {
    explain_either(client, error, &[name]).await
}

/// The same where a request named several things, of which any may be the unknown one.
pub(crate) async fn explain_either(
    client: &mut Client,
    error: ClientError,
    names: &[&str],
) -> Failure {
    let kinds: &[Kind] = match error.code() {
        Some(Code::UnknownTopic) => &[Kind::Topic],
        Some(Code::UnknownQueue) => &[Kind::Queue, Kind::WorkGroup],
        Some(Code::UnknownExchange) => &[Kind::Exchange],
        Some(Code::UnknownGroup) => &[Kind::Group],
        Some(_) | None => return error.into(),
    };
    let Ok(overview) = client.overview().await else { return error.into() };
    let kinds = match kinds {
        // Work groups are talked of where there are some.
        [Kind::Queue, ..] if overview.work_groups.is_empty() => &kinds[..1],
        kinds => kinds,
    };
    let is_known = |name: &str| kinds.iter().any(|kind| kind.names(&overview).contains(&name));
    // The refusal may be about another name than these.
    match names.iter().find(|name| !is_known(name)) {
        Some(name) => Failure::failed(unknown(&overview, name, kinds)),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use fanlight_core::{
        ExchangeKind, ExchangeView, Offset, PartitionView, TopicId, TopicPolicy, TopicView,
    };

    use super::*;

    const ALL: &[Kind] = &[Kind::Topic, Kind::Queue, Kind::Exchange];

    fn topic(name: &str) -> TopicView {
        let empty = Offset(0);
        let partition =
            PartitionView { start: empty, end: empty, bytes: 0, stable_end: empty, clean: None };
        TopicView {
            id: TopicId(0),
            name: name.to_owned(),
            partitions: vec![partition],
            policy: TopicPolicy::default(),
        }
    }

    fn overview() -> Overview {
        let exchange = |name: &str| ExchangeView {
            name: name.to_owned(),
            kind: ExchangeKind::Fanout,
            policy: fanlight_core::ExchangePolicy::default(),
            bindings: Vec::new(),
        };
        Overview {
            topics: vec![topic("orders"), topic("shipments"), topic("events")],
            exchanges: vec![exchange("events")],
            ..Overview::default()
        }
    }

    fn sentence(name: &str) -> String {
        resolve(&overview(), name, ALL).expect_err("not found").to_string()
    }

    #[test]
    fn a_name_that_one_thing_has_is_found() {
        assert_eq!(resolve(&overview(), "orders", ALL).expect("there"), Kind::Topic);
    }

    #[test]
    fn a_name_that_two_things_have_asks_which() {
        assert_eq!(
            sentence("events"),
            "events is the name of a topic and of an exchange; say which with --topic or --exchange"
        );
    }

    #[test]
    fn a_mistyped_name_gets_the_one_that_was_meant_and_how_to_make_it() {
        assert_eq!(
            sentence("ordrs"),
            "there is no topic, queue or exchange called ordrs; did you mean the topic orders? If \
             not, make it with `fanlight topics create ordrs --partitions 4`, `fanlight queues \
             declare ordrs` or `fanlight exchanges declare ordrs --kind topic`"
        );
    }

    #[test]
    fn a_name_unlike_all_others_gets_what_there_is() {
        assert!(
            sentence("payments")
                .contains("; there are: topics orders, shipments, events; exchange events.")
        );
        let none = unknown(&Overview::default(), "x y", &[Kind::Topic]);
        assert!(none.contains("there are none yet"), "{none}");
        assert!(none.contains("create 'x y' --partitions"), "{none}");
    }
}
