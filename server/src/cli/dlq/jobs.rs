//! Jobs that redrive: started and waited for, listed, stopped.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use fanlight_core::{
    Condition, Event, Inspect, MessageView, Op, RedriveId, RedriveState, RedriveView, View,
};
use fanlight_server::client::Client;

use super::redrive::{Redrive, explain};
use crate::cli::failure::Failure;
use crate::cli::message::Message;
use crate::cli::output::{self, Output, Table, counted, note};
use crate::cli::{look, publish};

/// How often a job is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often a log gets a line.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Reads a job's number.
pub(super) fn id(text: &str) -> Result<RedriveId, String> {
    let number = text.strip_prefix("redrive-").unwrap_or(text).parse();
    number.map(RedriveId).map_err(|_| "it should be a job's number, as redrive-3 or 3".to_owned())
}

fn state(state: RedriveState) -> &'static str {
    match state {
        RedriveState::Running => "running",
        RedriveState::NoRoom => "waits for room",
        RedriveState::Done => "done",
        RedriveState::Stopped => "stopped",
        RedriveState::QueueGone => "its queue is gone",
    }
}

/// A job for programs.
fn shown(job: &RedriveView) -> Value {
    json!({
        "job": job.id.to_string(),
        "queue": job.queue,
        "to": job.to,
        "state": job.state,
        "dryRun": job.dry_run,
        "redriven": job.moved,
        "skipped": job.skipped,
        "remaining": job.remaining,
        "rate": job.rate,
        "filter": job.filter,
        "startedAt": output::instant(job.started_at),
        "endedAt": job.ended_at.map(output::instant),
    })
}

async fn all(client: &mut Client) -> Result<Vec<RedriveView>, Failure> {
    let answer = client.request(Op::Inspect { what: Inspect::Redrives }).await?;
    let View::Redrives(jobs) = look::shown(&answer)? else {
        return Err(look::unexpected(&answer, "with jobs"));
    };
    Ok(jobs)
}

/// Lists jobs: those that run, and those that ended lately.
pub(super) async fn list(client: &mut Client, out: &mut Output) -> Result<(), Failure> {
    let jobs = all(client).await?;
    if out.is_json() {
        return out.document(&jobs.iter().map(shown).collect::<Vec<_>>());
    }
    let mut table = Table::new(&[
        "JOB",
        "QUEUE",
        "TO",
        "STATE",
        "REDRIVEN",
        "SKIPPED",
        "REMAINING",
        "RATE",
        "STARTED",
    ]);
    let now = client.opened_at();
    for job in &jobs {
        let dry = if job.dry_run { " (dry run)" } else { "" };
        table.row([
            job.id.to_string(),
            job.queue.clone(),
            job.to.clone().unwrap_or_else(|| "origin".to_owned()),
            format!("{}{dry}", state(job.state)),
            job.moved.to_string(),
            job.skipped.to_string(),
            job.remaining.to_string(),
            job.rate.map(|rate| format!("{rate}/s")).unwrap_or_default(),
            format!("{} ago", output::age(now, job.started_at)),
        ]);
    }
    out.table(&table, "no job redrives anything; `fanlight dlq redrive QUEUE --all` starts one")
}

/// Stops a job.
pub(super) async fn stop(
    client: &mut Client,
    job: RedriveId,
    out: &mut Output,
) -> Result<(), Failure> {
    let moved = match client.count(Op::StopRedrive { redrive: job }).await {
        Ok(moved) => moved,
        Err(error) if error.code().is_some() => {
            let running: Vec<String> = all(client)
                .await?
                .iter()
                .filter(|job| job.ended_at.is_none())
                .map(|job| job.id.to_string())
                .collect();
            let which = match running.is_empty() {
                true => "no job is running".to_owned(),
                false => format!("running: {}", running.join(", ")),
            };
            return Err(Failure::failed(format!("{error}; {which}")));
        }
        Err(error) => return Err(error.into()),
    };
    if out.is_json() {
        return out.json_line(&json!({ "job": job.to_string(), "redriven": moved }));
    }
    out.line(format!("{job} is stopped; it had redriven {}", counted(moved, "message")))
}

/// Starts a job, and shows how far it is until it ends.
pub(super) async fn redrive(
    client: &mut Client,
    options: &Redrive,
    filter: Vec<Condition<'static>>,
    out: &mut Output,
) -> Result<(), Failure> {
    let queue = options.queue.as_str();
    let total = look::queue(client, queue).await?.ready;
    let op = Op::StartRedrive {
        queue: queue.into(),
        filter,
        to: options.to.as_deref().map(Into::into),
        // Counting harms nobody.
        rate: options.rate.filter(|_| !options.dry_run),
        dry_run: options.dry_run,
    };
    let answer = match client.request(op).await {
        Ok(answer) => answer,
        Err(error) => return Err(explain(client, error, options).await),
    };
    let Event::RedriveStarted { redrive: job, .. } = answer.event()? else {
        return Err(look::unexpected(&answer, "RedriveStarted"));
    };
    if options.detach {
        if out.is_json() {
            return out.json_line(&json!({ "job": job.to_string(), "queue": queue }));
        }
        return out.line(format!(
            "{job} redrives {queue}; `fanlight dlq jobs` shows how far it is, `fanlight dlq stop \
             {job}` stops it"
        ));
    }
    let mut bar = Bar::new(queue, total);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let frame = tokio::select! {
            frame = tokio::time::timeout(LOOK_EVERY, client.next()) => frame,
            _ = &mut interrupted => {
                bar.finish();
                let moved = client.count(Op::StopRedrive { redrive: job }).await.unwrap_or(0);
                return Err(Failure::Interrupted(format!(
                    "interrupted: {job} is stopped, {} redriven; the others are where they were",
                    counted(moved, "message")
                )));
            }
        };
        let Ok(frame) = frame else {
            let jobs = all(client).await?;
            if let Some(job) = jobs.iter().find(|found| found.id == job) {
                bar.show(job);
            }
            continue;
        };
        let frame = frame?;
        if let Event::RedriveEnded { redrive, messages } = frame.event()?
            && redrive.id == job
        {
            bar.finish();
            return ended(options, &redrive, &messages, out);
        }
    }
}

/// Says how a job ended.
fn ended(
    options: &Redrive,
    job: &RedriveView,
    messages: &[MessageView<'_>],
    out: &mut Output,
) -> Result<(), Failure> {
    if out.is_json() {
        let mut shown = shown(job);
        if job.dry_run {
            let first: Vec<Message<'_, '_>> = messages.iter().map(Message).collect();
            shown["messages"] = serde_json::to_value(first).unwrap_or_default();
        }
        out.json_line(&shown)?;
    } else if job.dry_run {
        let mut table = Table::new(&["OFFSET", "STATE", "FAILED", "AGE", "KEY", "BODY"]);
        for message in messages {
            table.row(Message(message).cells(job.started_at));
        }
        if !messages.is_empty() {
            out.table(&table, "")?;
        }
        let would = counted(job.moved, "message");
        let to = options.goal();
        let more = match job.moved.saturating_sub(messages.len() as u64) {
            0 => String::new(),
            _ if messages.is_empty() => String::new(),
            _ => format!(" (the first {} are above)", messages.len()),
        };
        out.line(format!(
            "{would} would be redriven from {} to {to}{more}: this was a dry run",
            job.queue
        ))?;
    } else {
        let moved = counted(job.moved, "message");
        out.line(format!("{moved} redriven from {} to {}", job.queue, options.goal()))?;
    }
    if job.skipped > 0 {
        note(format_args!(
            "{} could go nowhere, and stay: they never died, or where they died is gone; --to names \
             another queue",
            counted(job.skipped, "message")
        ));
    }
    match job.state {
        RedriveState::Done => Ok(()),
        RedriveState::Stopped => {
            Err(Failure::failed(format!("{} was stopped by somebody", job.id)))
        }
        RedriveState::QueueGone => Err(Failure::failed(format!(
            "{} ended early: {}, or where its messages were to go, was deleted",
            job.id, job.queue
        ))),
        RedriveState::Running | RedriveState::NoRoom => Ok(()),
    }
}

/// How far a job is: a bar for a person, a line now and then for a log.
struct Bar {
    bar: ProgressBar,
    total: u64,
    line_due: Instant,
}

impl Bar {
    fn new(queue: &str, total: u64) -> Bar {
        let style: ProgressStyle = publish::bar_style("{pos}/{len}{prefix}");
        let bar = ProgressBar::new(total).with_style(style);
        bar.set_message(format!("redriving {queue}"));
        Bar { bar, total, line_due: Instant::now() + LINE_EVERY }
    }

    fn show(&mut self, job: &RedriveView) {
        self.total = self.total.max(job.remaining);
        self.bar.set_length(self.total);
        let looked_at = self.total - job.remaining;
        let moved = match job.moved == looked_at {
            true => String::new(),
            false => format!(", {} redriven", job.moved),
        };
        let waits = if job.state == RedriveState::NoRoom { ", waits for room" } else { "" };
        self.bar.set_prefix(format!("{moved}{waits}"));
        self.bar.set_position(looked_at);
        if self.bar.is_hidden() && Instant::now() >= self.line_due {
            self.line_due = Instant::now() + LINE_EVERY;
            let moved = counted(job.moved, "message");
            note(format_args!("{}: {moved} redriven{waits}, {} to go", job.id, job.remaining));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
