//! A private Python with the packages that tests need, at the versions that a file pins.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::step;
use crate::toolbox::Toolbox;

const OLDEST_MINOR: u32 = 11;
/// What was installed from.
const STAMP: &str = "requirements.txt";

/// The Python of an environment that has what `requirements` names; it is made in the cache the first
/// time.
pub(crate) fn ensure(tools: &Toolbox, requirements: &str) -> Result<PathBuf> {
    let wanted = files::read(&tools.project.path(requirements))?;
    let file = tools.project.path(requirements);
    let good = |place: &Path| {
        let stamp = files::read(&place.join(STAMP));
        stamp.is_ok_and(|stamp| stamp == wanted)
            && process::succeeds(Command::new(python(place)).arg("--version"))
    };
    let place = tools.cache.ensure("python", good, |dir, _| {
        let base = require_python()?;
        step("installing Python packages for the tests (about 20 s)", || {
            let mut venv = Command::new(base);
            process::run(venv.args(["-m", "venv"]).arg(dir)).map_err(|error| {
                format!("{error}; on Debian and Ubuntu `apt install python3-venv` brings it")
            })?;
            let mut pip = Command::new(python(dir));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            process::run(pip.args(["--no-deps", "--only-binary", ":all:", "-r"]).arg(&file))?;
            files::copy(&file, &dir.join(STAMP))
        })
    })?;
    Ok(python(&place))
}

/// Programs are run through it: those beside it know only where they were first put.
fn python(place: &Path) -> PathBuf {
    place.join("bin/python")
}

fn require_python() -> Result<&'static str> {
    let wanted = format!("Python 3.{OLDEST_MINOR} or later is needed");
    let base = "python3";
    let said = process::output(Command::new(base).arg("--version"))
        .map_err(|_| format!("{wanted}, and there is none: python.org tells how to get it"))?;
    if minor(&said).is_some_and(|minor| minor >= OLDEST_MINOR) {
        return Ok(base);
    }
    Err(format!("{wanted}, and this is {}: python.org tells how to get it", said.trim()))
}

fn minor(version: &str) -> Option<u32> {
    version.trim().strip_prefix("Python 3.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_of_python_is_read() {
        assert_eq!(minor("Python 3.11.7\n"), Some(11));
        assert_eq!(minor("Python 2.7.18"), None);
    }
}
