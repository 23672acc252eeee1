//! Looking at one thing by its name; one that there is not gets the name that may be meant.

use fanlight_core::{Event, GroupView, Inspect, Op, QueueView, TopicView, View};
use fanlight_server::client::{Client, ClientError, EventFrame};

use super::failure::Failure;
use super::names;

/// Asks for a view of what is called `name`.
pub(crate) async fn view(
    client: &mut Client,
    what: Inspect<'_>,
    name: &str,
) -> Result<EventFrame, Failure> {
    match client.request(Op::Inspect { what }).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(names::explain(client, error, name).await),
    }
}

/// The view that an answer brings.
pub(crate) fn shown(answer: &EventFrame) -> Result<View<'_>, Failure> {
    if let Event::Inspected { view, .. } = answer.event()? {
        return Ok(view);
    }
    Err(unexpected(answer, "with a view"))
}

/// An answer that is of another kind than what was asked for.
pub(crate) fn unexpected(answer: &EventFrame, expected: &'static str) -> Failure {
    match answer.event() {
        Ok(event) => ClientError::unexpected(expected, &event).into(),
        Err(error) => error.into(),
    }
}

/// A queue.
pub(crate) async fn queue(client: &mut Client, name: &str) -> Result<QueueView, Failure> {
    let answer = view(client, Inspect::Queue(name.into()), name).await?;
    let View::Queue(queue) = shown(&answer)? else {
        return Err(unexpected(&answer, "with a queue"));
    };
    Ok(queue)
}

/// A topic.
pub(crate) async fn topic(client: &mut Client, name: &str) -> Result<TopicView, Failure> {
    let answer = view(client, Inspect::Topic(name.into()), name).await?;
    let View::Topic(topic) = shown(&answer)? else {
        return Err(unexpected(&answer, "with a topic"));
    };
    Ok(topic)
}

/// A group.
pub(crate) async fn group(client: &mut Client, name: &str) -> Result<GroupView, Failure> {
    let answer = view(client, Inspect::Group(name.into()), name).await?;
    let View::Group(group) = shown(&answer)? else {
        return Err(unexpected(&answer, "with a group"));
    };
    Ok(group)
}
