//! The private directory that tools are kept in.

use std::env;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::files;
use crate::progress::say;

#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// `$FANLIGHT_CACHE`, else `$XDG_CACHE_HOME/fanlight`, else `~/.cache/fanlight`.
    pub(crate) fn open() -> Result<Self> {
        let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let dir = if let Some(dir) = var("FANLIGHT_CACHE") {
            PathBuf::from(dir)
        } else if let Some(dir) = var("XDG_CACHE_HOME") {
            PathBuf::from(dir).join("fanlight")
        } else if let Some(home) = env::home_dir().filter(|home| !home.as_os_str().is_empty()) {
            home.join(".cache/fanlight")
        } else {
            return Err("no home directory to keep tools in: set FANLIGHT_CACHE".to_owned());
        };
        if env::join_paths([&dir]).is_err() {
            return Err(format!("{} cannot be in PATH: set FANLIGHT_CACHE", dir.display()));
        }
        files::create_dir(&dir.join("locks"))?;
        let dir = dir.canonicalize().map_err(files::named(&dir))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes sure that the directory `name` holds something `good`. If not, `make` fills an empty
    /// directory beside it, which takes its place when it is whole. Of two runs at once the second
    /// waits, and then finds it made.
    pub(crate) fn ensure(
        &self,
        name: &str,
        good: impl Fn(&Path) -> bool,
        make: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(name);
        if good(&place) {
            return Ok(place);
        }
        let _lock = self.lock(name)?;
        if good(&place) {
            return Ok(place);
        }
        let unfinished = self.path(&format!("{name}.new"));
        files::remove_dir(&unfinished)?;
        files::create_dir(&unfinished)?;
        make(&unfinished, &place)?;
        files::remove_dir(&place)?;
        files::rename(&unfinished, &place)?;
        if good(&place) {
            Ok(place)
        } else {
            Err(format!("what was made in {} does not work", place.display()))
        }
    }

    /// Holds the lock `name` until the returned file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let path = self.dir.join("locks").join(name);
        let file = File::create(&path).map_err(files::named(&path))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                say(&format!("waiting for another run that is preparing {name}"));
            }
            Err(TryLockError::Error(error)) => return Err(files::named(&path)(error)),
        }
        file.lock().map_err(files::named(&path))?;
        Ok(file)
    }
}
