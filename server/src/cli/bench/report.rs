//! What a run has measured, for people and for programs.

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::floor::{Bare, Floors};
use super::machine::Machine;
use super::measure::{Latencies, Side};
use super::options::{Extent, Plan, Workload};
use super::own::ServerFacts;
use super::run::Measured;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Table, counted};

/// Shares of all messages, and what they are called.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
const HEADERS: [&str; 10] = [
    "WHAT",
    "MESSAGES",
    "MESSAGES/S",
    "MB/S",
    "SECONDS",
    "P50-MS",
    "P90-MS",
    "P99-MS",
    "P99.9-MS",
    "MAX-MS",
];

/// All that there is to say of a run.
pub(super) struct Report<'p> {
    pub(super) plan: &'p Plan,
    pub(super) measured: Measured,
    pub(super) server: Option<ServerFacts>,
    pub(super) floors: Option<Floors>,
}

/// One line of numbers.
struct Row<'r> {
    name: &'static str,
    messages: u64,
    rate: f64,
    seconds: f64,
    latencies: Option<&'r Latencies>,
}

impl Row<'_> {
    fn of_side<'r>(name: &'static str, side: &'r Side, has_latency: bool) -> Row<'r> {
        let (tally, seconds) = (&side.tally, side.took().as_secs_f64());
        let latencies = has_latency.then_some(&tally.latencies);
        Row { name, messages: tally.measured, rate: side.rate(), seconds, latencies }
    }

    fn of_floor<'r>(name: &'static str, bare: &'r Bare) -> Row<'r> {
        let (messages, seconds) = (bare.messages, bare.took.as_secs_f64());
        Row { name, messages, rate: bare.rate(), seconds, latencies: Some(&bare.latencies) }
    }

    fn json(&self, size: usize) -> Value {
        json!({
            "messages": self.messages,
            "seconds": self.seconds,
            "messagesPerSecond": self.rate,
            "megabytesPerSecond": self.rate * size as f64 / 1e6,
            "latencyMs": self.latencies.map(latency_json),
        })
    }

    fn show(&self, size: usize, table: &mut Table) {
        let ms = |nanoseconds: u128| format!("{:.3}", nanoseconds as f64 / 1e6);
        let quantile = |index: usize| {
            let latencies = self.latencies.filter(|l| l.count() > 0);
            latencies.map_or_else(String::new, |l| ms(l.quantile(QUANTILES[index].1).as_nanos()))
        };
        let max = self.latencies.map_or_else(String::new, |l| ms(l.max().as_nanos()));
        table.row([
            self.name.to_owned(),
            HumanCount(self.messages).to_string(),
            HumanCount(self.rate as u64).to_string(),
            format!("{:.1}", self.rate * size as f64 / 1e6),
            format!("{:.2}", self.seconds),
            quantile(0),
            quantile(1),
            quantile(2),
            quantile(3),
            max,
        ]);
    }
}

fn latency_json(latencies: &Latencies) -> Value {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let mut all = json!({
        "count": latencies.count(), "mean": ms(latencies.mean()), "max": ms(latencies.max()),
    });
    for (name, share) in QUANTILES {
        all[name.replace('.', "")] = ms(latencies.quantile(share)).into();
    }
    all
}

impl Report<'_> {
    /// Prints it.
    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let Measured { publish, consume } = &self.measured;
        // What waits until everything is published says nothing about the way.
        let rows = [
            Row::of_side("publish", publish, true),
            Row::of_side("consume", consume, !self.plan.apart),
        ];
        let size = self.plan.size;
        if out.is_json() {
            let mut document = json!({
                "machine": Machine::here(),
                "server": self.server,
                "load": load_json(self.plan),
                "floors": self.floors.as_ref().map(|floors| floors_json(floors, size)),
                "ratios": self.floors.as_ref().map(|floors| self.ratios(floors).json()),
            });
            for row in rows {
                document[row.name] = row.json(size);
            }
            return out.document(&document);
        }
        show_machine(out)?;
        self.show_server(out)?;
        out.line(format!("load     {}", load(self.plan)))?;
        let mut table = Table::new(&HEADERS);
        rows.iter().for_each(|row| row.show(size, &mut table));
        if let Some(floors) = &self.floors {
            floor_rows(floors).iter().for_each(|row| row.show(size, &mut table));
        }
        out.table(&table, "")?;
        out.line("publish: until confirmed; consume: until delivered; both from when it was due")?;
        match &self.floors {
            Some(floors) => self.ratios(floors).show(out),
            None => Ok(()),
        }
    }

    fn show_server(&self, out: &mut Output) -> Result<(), Failure> {
        let Some(server) = &self.server else { return Ok(()) };
        let mut line = format!("server   its own, sync {}", server.sync);
        if let Some(kind) = &server.file_system {
            line += &format!(", data on {kind}");
        }
        if let (Some(user), Some(system)) = (server.user_seconds, server.system_seconds) {
            line += &format!(", used {user:.2} s of a core itself and {system:.2} s in the system");
        }
        if let Some(peak) = server.peak_resident_bytes {
            line += &format!(", {} resident at most", HumanBytes(peak));
        }
        out.line(line)
    }

    fn ratios(&self, floors: &Floors) -> Ratios {
        let Measured { publish, consume } = &self.measured;
        let syncs = floors.sync.latencies.quantile(0.5).as_secs_f64();
        let confirm = publish.tally.latencies.quantile(0.5).as_secs_f64();
        Ratios {
            publish_to_echo: publish.rate() / floors.echo.rate(),
            consume_to_echo: consume.rate() / floors.echo.rate(),
            publish_to_append: publish.rate() / floors.append.rate(),
            publish_to_sync: publish.rate() / floors.sync.rate(),
            confirm_in_syncs: confirm / syncs.max(1e-9),
        }
    }
}

/// A run beside its floors.
struct Ratios {
    publish_to_echo: f64,
    consume_to_echo: f64,
    publish_to_append: f64,
    publish_to_sync: f64,
    confirm_in_syncs: f64,
}

impl Ratios {
    fn json(&self) -> Value {
        json!({
            "publishRateToEcho": self.publish_to_echo,
            "consumeRateToEcho": self.consume_to_echo,
            "publishRateToAppend": self.publish_to_append,
            "publishRateToAppendAndSync": self.publish_to_sync,
            "medianConfirmInSyncs": self.confirm_in_syncs,
        })
    }

    fn show(&self, out: &mut Output) -> Result<(), Failure> {
        out.line(format!(
            "ratios   publish {:.2} and consume {:.2} of the echo; publish {:.2} of appending, {:.2} \
             of appending with a sync each; median confirm {:.2} syncs",
            self.publish_to_echo,
            self.consume_to_echo,
            self.publish_to_append,
            self.publish_to_sync,
            self.confirm_in_syncs
        ))
    }
}

/// Prints floors that were measured without a workload.
pub(super) fn floors_alone(
    plan: &Plan,
    floors: Option<&Floors>,
    out: &mut Output,
) -> Result<(), Failure> {
    let floors = floors.expect("without a workload, floors are measured");
    if out.is_json() {
        return out.document(&json!({
            "machine": Machine::here(),
            "load": load_json(plan),
            "floors": floors_json(floors, plan.size),
        }));
    }
    show_machine(out)?;
    let mut table = Table::new(&HEADERS);
    floor_rows(floors).iter().for_each(|row| row.show(plan.size, &mut table));
    out.table(&table, "")
}

fn floor_rows(floors: &Floors) -> [Row<'_>; 3] {
    [
        Row::of_floor("raw echo", &floors.echo),
        Row::of_floor("raw append", &floors.append),
        Row::of_floor("raw append+sync", &floors.sync),
    ]
}

fn floors_json(floors: &Floors, size: usize) -> Value {
    let [echo, append, sync] = floor_rows(floors).map(|row| row.json(size));
    json!({
        "echo": echo, "append": append, "appendAndSync": sync, "fileSystem": floors.file_system,
    })
}

fn show_machine(out: &mut Output) -> Result<(), Failure> {
    let machine = Machine::here();
    let mut line = format!("machine  {}", counted(machine.cores as u64, "core"));
    if let Some(processor) = machine.processor {
        line += &format!(" of {processor}");
    }
    if let Some(bytes) = machine.memory_bytes {
        line += &format!(", {}", HumanBytes(bytes));
    }
    line += &format!(", {}", machine.system);
    if let Some(kernel) = machine.kernel {
        line += &format!(" {kernel}");
    }
    if let Some(load) = machine.load {
        line += &format!(", load {load:.1}");
    }
    out.line(line)
}

fn load_json(plan: &Plan) -> Value {
    let (duration, messages) = match plan.extent {
        Extent::Time(time) => (Some(time.as_secs_f64()), None),
        Extent::Messages(messages) => (None, Some(messages)),
    };
    json!({
        "workload": plan.workload.name(),
        "rate": plan.rate,
        "durationSeconds": duration,
        "messages": messages,
        "warmupSeconds": plan.warmup.as_secs_f64(),
        "bodyBytes": plan.size,
        "batch": plan.batch,
        "producers": plan.producers,
        "consumers": plan.consumers,
        "idleConnections": plan.idle,
        "inFlight": plan.in_flight,
        "outstanding": plan.outstanding,
        "backlog": plan.backlog,
        "apart": plan.apart,
        "threads": plan.threads,
    })
}

fn load(plan: &Plan) -> String {
    let through = match plan.workload {
        Workload::Stream => "a stream",
        Workload::Queue => "a queue, acknowledged one by one",
        Workload::QueueBatch => "a queue, acknowledged as they come",
        Workload::Fanout => "a fan-out",
        Workload::Floor => "nothing",
    };
    let pace = match plan.rate {
        Some(rate) => format!("{} due each second", counted(rate, "message")),
        None => "as many as are answered".to_owned(),
    };
    let apart = if plan.apart { ", one after the other" } else { "" };
    let idle = match plan.idle {
        0 => String::new(),
        idle => format!(", {} idle", counted(idle as u64, "connection")),
    };
    format!(
        "{through}; {pace}; bodies of {} in batches of {}, {} with {} in flight, {} with {} \
         outstanding{idle}{apart}",
        HumanBytes(plan.size as u64),
        plan.batch,
        counted(plan.producers as u64, "producer"),
        plan.in_flight,
        counted(plan.consumers as u64, "consumer"),
        plan.outstanding,
    )
}
