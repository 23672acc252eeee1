//! A message of a queue with what happened to it, as it is shown.

use serde::ser::{Serialize, SerializeMap, Serializer};

use fanlight_core::{Attempt, Death, MessageState, MessageView, Record, Time};

use super::body::{self, Shown};
use super::failure::Failure;
use super::output::{self, Output, counted};

/// A message of a queue.
pub(crate) struct Message<'v, 'a>(pub(crate) &'v MessageView<'a>);

impl Message<'_, '_> {
    /// Its row: offset, state, failed attempts, age, key, body.
    pub(crate) fn cells(&self, now: Time) -> [String; 6] {
        let record = self.0.record.record();
        let state = match self.0.state {
            MessageState::Ready => "ready".to_owned(),
            MessageState::Blocked => "behind its group".to_owned(),
            MessageState::Held => "in a transaction".to_owned(),
            MessageState::Leased { conn, .. } => format!("leased by {conn}"),
            MessageState::Delayed { until } => format!("delayed until {}", output::instant(until)),
        };
        [
            self.0.offset.to_string(),
            state,
            self.0.attempts_failed.to_string(),
            output::age(now, self.0.at),
            record.key.map(|key| output::clipped(&body::text(key), 24)).unwrap_or_default(),
            output::clipped(&Shown::of(record.body).plain(), 80),
        ]
    }

    /// Its whole story, over several lines.
    pub(crate) fn story(&self, queue: &str, out: &mut Output) -> Result<(), Failure> {
        let message = self.0;
        let record = message.record.record();
        let state = match message.state {
            MessageState::Ready => "ready".to_owned(),
            MessageState::Blocked => "behind its group".to_owned(),
            MessageState::Held => "in a transaction".to_owned(),
            MessageState::Leased { conn, until } => {
                format!("leased by {conn} until {}", output::instant(until))
            }
            MessageState::Delayed { until } => format!("delayed until {}", output::instant(until)),
        };
        let came = output::instant(message.at);
        out.line(format!("{queue}@{}  {state}, came {came}", message.offset))?;
        for death in &message.deaths {
            let failed = counted(death.attempts.len() as u64, "failed attempt");
            out.line(format!(
                "  died in {}@{} at {}: {}, {failed}",
                death.queue,
                death.offset,
                output::instant(death.at),
                death.reason
            ))?;
            attempts(&death.attempts, out)?;
        }
        if message.deaths.is_empty() {
            out.line("  did not die anywhere: it was published here")?;
        }
        if message.attempts_failed > 0 {
            let failed = counted(u64::from(message.attempts_failed), "failed attempt");
            out.line(format!("  {failed} here"))?;
            attempts(&message.attempts, out)?;
        }
        contents(&record, out)
    }
}

/// A record's key, headers and body, a line each.
pub(crate) fn contents(record: &Record<'_>, out: &mut Output) -> Result<(), Failure> {
    if let Some(key) = record.key {
        out.line(format!("  key     {}", body::text(key)))?;
    }
    for (name, value) in body::headers(record) {
        out.line(format!("  header  {name}={value}"))?;
    }
    out.line(format!("  body    {}", Shown::of(record.body).plain()))
}

fn attempts(attempts: &[Attempt], out: &mut Output) -> Result<(), Failure> {
    for Attempt { number, at, end, client } in attempts {
        let at = output::instant(*at);
        out.line(format!("    attempt {number} by {client} ended {at}: {end}"))?;
    }
    Ok(())
}

impl Serialize for Message<'_, '_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("offset", &message.offset)?;
        map.serialize_entry("at", &output::instant(message.at))?;
        let (state, conn, until) = match message.state {
            MessageState::Ready => ("ready", None, None),
            MessageState::Blocked => ("blocked", None, None),
            MessageState::Held => ("held", None, None),
            MessageState::Leased { conn, until } => ("leased", Some(conn), Some(until)),
            MessageState::Delayed { until } => ("delayed", None, Some(until)),
        };
        map.serialize_entry("state", state)?;
        if let Some(conn) = conn {
            map.serialize_entry("leasedBy", &conn)?;
        }
        if let Some(until) = until {
            map.serialize_entry("until", &output::instant(until))?;
        }
        map.serialize_entry("attemptsFailed", &message.attempts_failed)?;
        map.serialize_entry("attempts", &Attempts(&message.attempts))?;
        map.serialize_entry("deaths", &Deaths(&message.deaths))?;
        body::record_entries(&message.record.record(), &mut map)?;
        map.end()
    }
}

struct Attempts<'a>(&'a [Attempt]);

impl Serialize for Attempts<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|Attempt { number, at, end, client }| {
            serde_json::json!({
                "number": number, "at": output::instant(*at), "end": end, "client": client,
            })
        }))
    }
}

/// What a message died of, oldest first.
pub(crate) struct Deaths<'a>(pub(crate) &'a [Death]);

impl Serialize for Deaths<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|death| {
            serde_json::json!({
                "queue": death.queue,
                "offset": death.offset,
                "reason": death.reason,
                "at": output::instant(death.at),
                "appendedAt": output::instant(death.appended_at),
                "attempts": serde_json::to_value(Attempts(&death.attempts)).ok(),
            })
        }))
    }
}
