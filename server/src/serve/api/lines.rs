//! Every user's lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::StatusCode;
use fanlight_core::ConnId;

use super::super::connection::Reception;
use super::super::gate::Guest;
use super::super::namespaces::Namespace;
use super::failure::Failure;
use super::line::{Asking, Kind, Line};

/// Lines of one user. Requests share them where they need not be alone.
const LINES_MAX: usize = 128;

/// Every user's lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<Whose, Vec<Arc<Line>>>>>);

/// In which namespace, and which user's.
type Whose = (Arc<str>, String);

fn whose(namespace: &Namespace, guest: &Guest) -> Whose {
    (namespace.name.clone(), guest.account.name.clone())
}

impl Lines {
    fn all(&self) -> MutexGuard<'_, HashMap<Whose, Vec<Arc<Line>>>> {
        self.0.lock().expect("nobody panics while holding the lines")
    }

    /// A place for a request on one of a user's lines, which is made if need be.
    ///
    /// What waits gets a line of its own, as long as there may be more: so that the wait can end,
    /// with its connection, when its client goes.
    pub(super) fn begin(
        &self,
        reception: &Reception,
        namespace: &Namespace,
        guest: &Guest,
        kind: Kind,
        waits: bool,
    ) -> Result<Asking, Failure> {
        let mut all = self.all();
        let own = all.entry(whose(namespace, guest)).or_default();
        if let Some(asking) = own.iter().find_map(|line| line.begin(kind, waits, false)) {
            return Ok(asking);
        }
        if own.len() < LINES_MAX
            && let Some(connected) = guest.account.connect()
        {
            let line = Arc::new(Line::new(reception.inside(namespace.shard.clone())));
            own.push(line.clone());
            let asking = line.begin(kind, waits, false).ok_or_else(Failure::unexpected)?;
            let (lines, guest, whose) = (self.clone(), guest.clone(), whose(namespace, guest));
            tokio::spawn(async move {
                line.serve(guest).await;
                lines.forget(&whose, line.conn);
                drop(connected);
            });
            return Ok(asking);
        }
        let mut shared: Vec<_> = own.iter().filter_map(|line| Some((line.load()?, line))).collect();
        shared.sort_by_key(|(load, _)| *load);
        let asking = shared.iter().find_map(|(_, line)| line.begin(kind, waits, true));
        asking.ok_or_else(|| {
            let user = &guest.account.name;
            let what = format!("the user {user} has as many connections as it may");
            Failure::new(StatusCode::TOO_MANY_REQUESTS, "TooManyConnections", what).again_in(1)
        })
    }

    /// A place on the line that a receipt names; None if there is no such line of this user's.
    pub(super) fn begin_on(
        &self,
        namespace: &Namespace,
        guest: &Guest,
        conn: ConnId,
        kind: Kind,
    ) -> Option<Asking> {
        let all = self.all();
        let own = all.get(&whose(namespace, guest))?;
        own.iter().find(|line| line.conn == conn)?.begin(kind, false, true)
    }

    fn forget(&self, whose: &Whose, conn: ConnId) {
        let mut all = self.all();
        if let Some(own) = all.get_mut(whose) {
            own.retain(|line| line.conn != conn);
            if own.is_empty() {
                all.remove(whose);
            }
        }
    }
}
