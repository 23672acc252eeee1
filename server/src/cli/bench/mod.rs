//! `fanlight bench`: how many messages a second a server takes and gives, and how long each waits.
//!
//! A run publishes through connections of its own and consumes through others, to topics and queues
//! of its own, which it removes again. With a rate, messages are due at a schedule and their
//! latency counts from when they were due: a server that stalls is charged for every message that
//! had to wait meanwhile, not only for the one that was on its way (coordinated omission).

mod consume;
mod floor;
mod machine;
mod measure;
mod options;
mod own;
mod pace;
mod produce;
mod report;
mod run;
mod stage;

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use fanlight_server::client::Access;

use super::Session;
use super::failure::Failure;

pub(crate) use options::Options;

/// Runs `fanlight bench`.
pub(crate) fn run(options: Options, session: &mut Session) -> Result<(), Failure> {
    let plan = options.plan()?;
    let floors = plan.floor.as_ref().map(|floor| floor.measure(&plan)).transpose()?;
    if !plan.has_workload {
        return report::floors_alone(&plan, floors.as_ref(), &mut session.out);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(plan.threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime could be started: {error}")))?;
    let own = plan.sync.map(|sync| own::OwnServer::start(sync, plan.dir.as_deref())).transpose()?;
    if let Some(own) = &own {
        session.server = own.address().clone();
        session.access = Access::default();
    }
    let measured = runtime.block_on(interruptible(&plan, session))?;
    runtime.shutdown_background();
    let server = own.map(own::OwnServer::stop);
    let report = report::Report { plan: &plan, measured, server, floors };
    report.print(&mut session.out)
}

/// Measures, and removes what that made, also where it was interrupted or failed.
async fn interruptible(
    plan: &options::Plan,
    session: &mut Session,
) -> Result<run::Measured, Failure> {
    let interrupted = interruption()?;
    let mut control = session.connect("bench").await?;
    let mut stage = stage::Stage::new(plan);
    let result = tokio::select! {
        result = run::measure(plan, session, &mut stage, &mut control) => result,
        () = interrupted => {
            Err(Failure::Interrupted("interrupted before everything was measured".to_owned()))
        }
    };
    // A connection of its own: the other one may wait for an answer still.
    drop(control);
    let mut control = session.connect("bench").await?;
    let removed = stage.remove(&mut control).await;
    control.close().await;
    let measured = result?;
    removed?;
    Ok(measured)
}

/// Ends when somebody wants the run to end.
fn interruption() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))
    };
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
