//! Backups, as the shard begins them: it takes a snapshot, and a thread writes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use super::Shard;
use crate::serve::control::{Asker, BackupView, Done, Trouble, answer};
use crate::serve::mailbox::Mailbox;
use crate::serve::storage::backup;

/// The longest name of a backup.
const NAME_BYTES_MAX: usize = 100;

/// Where backups go, and whether one is being written.
#[derive(Default)]
pub(crate) struct Backups {
    /// Only there, so that whoever asks for one cannot write anywhere.
    pub(crate) dir: Option<PathBuf>,
    running: Arc<AtomicBool>,
}

impl Backups {
    /// Where this one goes, if there can be one.
    fn begin(&self, name: &str) -> Result<PathBuf, Trouble> {
        let Some(dir) = &self.dir else {
            let message = "this server makes no backups: start it with --backup-dir DIR";
            return Err(Trouble { code: "no_backup_dir", message: message.to_owned() });
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_plain = name.bytes().all(plain) && !name.starts_with('.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_plain {
            return Err(Trouble::bad(format!(
                "{name:?} is no name for a backup: it should have 1 to {NAME_BYTES_MAX} letters, \
                 digits, '-', '_' and '.', and not begin with '.'"
            )));
        }
        let to = dir.join(name);
        if to.exists() {
            let message = format!("{} is there already: choose another name", to.display());
            return Err(Trouble { code: "exists", message });
        }
        if self.running.swap(true, Ordering::AcqRel) {
            let message = "another backup of this namespace is being written: wait for it";
            return Err(Trouble { code: "busy", message: message.to_owned() });
        }
        Ok(to)
    }
}

impl Shard {
    /// Takes a snapshot, and lets it be written beside everything else. Whoever asked is answered
    /// when it is on disk.
    pub(super) fn back_up(&mut self, asker: &Asker, id: Option<Value>, name: &str) {
        let mailbox = match asker {
            Asker::Connection(conn) => self.outbox.mailbox(*conn),
            Asker::Mailbox(mailbox) => Some(mailbox.clone()),
        };
        // Whoever is gone is not told.
        let Some(mailbox) = mailbox else { return };
        let to = match self.backups.begin(name) {
            Ok(to) => to,
            Err(trouble) => return reply(&mailbox, id.as_ref(), Err(trouble)),
        };
        let running = self.backups.running.clone();
        let (state, pins) = match self.memory.snapshot(&self.broker) {
            Ok(taken) => taken,
            Err(error) => {
                running.store(false, Ordering::Release);
                return reply(&mailbox, id.as_ref(), Err(failed(&to, &error.to_string())));
            }
        };
        let (now, told, not_begun) = (self.now, mailbox.clone(), running.clone());
        let (name, asked) = (to.clone(), id.clone());
        let begun = thread::Builder::new().name("backup".to_owned()).spawn(move || {
            let written = backup::write(&to, now, state, pins.as_ref());
            if let Some(pins) = pins {
                pins.release();
            }
            running.store(false, Ordering::Release);
            let done = |bytes| Done::Backup(BackupView::new(&to, now, bytes));
            let result = written.map(done).map_err(|error| failed(&to, &error.to_string()));
            reply(&told, asked.as_ref(), result);
        });
        if let Err(error) = begun {
            not_begun.store(false, Ordering::Release);
            reply(&mailbox, id.as_ref(), Err(failed(&name, &error.to_string())));
        }
    }
}

fn failed(to: &Path, error: &str) -> Trouble {
    tracing::warn!("the backup {} was not written: {error}", to.display());
    Trouble { code: "failed", message: format!("the backup was not written: {error}") }
}

fn reply(mailbox: &Mailbox, id: Option<&Value>, result: Result<Done, Trouble>) {
    let text = answer(id, result.as_ref());
    mailbox.announce(text.len());
    mailbox.deliver_text(text);
}
