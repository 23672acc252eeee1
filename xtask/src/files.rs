//! File operations whose errors name the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Result;

/// Adds the path to an error of the operating system.
pub(crate) fn named(path: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(named(path))
}

/// Removes a directory with everything in it; that there is none is no error.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(named(path))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(named(path))
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_bytes| ()).map_err(named(to))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(named(to))
}

/// What a directory holds, sorted; empty where there is no such directory.
pub(crate) fn list(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes a program that `/bin/sh` runs.
pub(crate) fn write_script(path: &Path, text: &str) -> Result<()> {
    write(path, text)?;
    make_executable(path)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(named(path))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
pub(crate) fn symlink(to: &Path, at: &Path) -> Result<()> {
    std::os::unix::fs::symlink(to, at).map_err(named(at))
}

#[cfg(not(unix))]
pub(crate) fn symlink(to: &Path, at: &Path) -> Result<()> {
    copy(to, at)
}

/// A path as one word of a shell script.
pub(crate) fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Makes `to` hold exactly what `from` holds, and touches no file that is the same already, so that
/// what is built from `to` is not built again for nothing.
pub(crate) fn mirror(from: &Path, to: &Path) -> Result<()> {
    create_dir(to)?;
    for old in list(to) {
        if !from.join(name(&old)).exists() {
            if old.is_dir() {
                remove_dir(&old)?;
            } else {
                fs::remove_file(&old).map_err(named(&old))?;
            }
        }
    }
    for new in list(from) {
        let target = to.join(name(&new));
        if new.is_dir() {
            mirror(&new, &target)?;
        } else if fs::read(&new).map_err(named(&new))? != fs::read(&target).unwrap_or_default()
            || !target.exists()
        {
            copy(&new, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_path_is_kept_in_a_shell_word() {
        assert_eq!(shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn mirror_copies_what_changed_and_removes_what_is_gone() -> Result<()> {
        let base = std::env::temp_dir().join(format!("xtask-mirror-{}", std::process::id()));
        remove_dir(&base)?;
        let (from, to) = (base.join("from"), base.join("to"));
        create_dir(&from.join("sub"))?;
        create_dir(&to)?;
        write(&from.join("sub/new"), "new")?;
        write(&from.join("same"), "same")?;
        write(&to.join("same"), "same")?;
        write(&to.join("gone"), "gone")?;
        let before = fs::metadata(to.join("same")).and_then(|meta| meta.modified()).ok();
        mirror(&from, &to)?;
        assert_eq!(read(&to.join("sub/new"))?, "new");
        assert!(!to.join("gone").exists());
        assert_eq!(fs::metadata(to.join("same")).and_then(|meta| meta.modified()).ok(), before);
        remove_dir(&base)
    }
}
