//! Asking before something is destroyed.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;

/// Whether to ask before something is destroyed.
#[derive(clap::Args)]
pub(crate) struct Confirm {
    /// Do not ask: it is meant
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Asks, unless it was said already that it is meant. `what` is a sentence about what will be
    /// gone. Where nobody can be asked, not to have said so is an error.
    pub(crate) fn ask(&self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::usage(format!(
                "{what}, and nobody can be asked here whether that is meant: add --yes if it is"
            )));
        }
        let mut stderr = io::stderr();
        // A question that cannot be seen is answered by nobody, which is no.
        let _ = write!(stderr, "{what}. Go on? [y/N] ");
        let _ = stderr.flush();
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        match read.map(|_| answer.trim().to_lowercase()).as_deref() {
            Ok("y" | "yes") => Ok(()),
            Ok(_) | Err(_) => Err(Failure::failed("nothing was done")),
        }
    }
}
