//! What is done to files: the one place where the storage changes anything on its disk. Tests have a
//! disk there that loses power, fills up and fails (`disk/simulated.rs`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

#[cfg(test)]
pub(crate) mod simulated;

/// Makes a file, in a way that truncates one that is there or refuses it.
pub(super) fn create(path: &Path, how: &OpenOptions) -> io::Result<File> {
    #[cfg(test)]
    simulated::on(path, |disk, name| disk.create(name))?;
    how.open(path)
}

/// Appends to a file.
pub(super) fn write(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    let bytes = match simulated::on(path, |disk, name| Ok(disk.write(name, bytes)))? {
        Some((part, Some(error))) => {
            file.write_all(&bytes[..part])?;
            return Err(error);
        }
        Some((_, None)) | None => bytes,
    };
    #[cfg(not(test))]
    let _ = path;
    file.write_all(bytes)
}

/// Makes what is in a file durable, but not that it is there.
pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    #[cfg(test)]
    if simulated::on(path, |disk, name| disk.sync(name))?.is_some() {
        return Ok(());
    }
    #[cfg(not(test))]
    let _ = path;
    file.sync_data()
}

/// Makes the coming and going of files in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> io::Result<()> {
    #[cfg(test)]
    if simulated::on_directory(dir, |disk| disk.sync_directory())?.is_some() {
        return Ok(());
    }
    File::open(dir)?.sync_all()
}

/// Gives a file another name, instead of the one that has it.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    simulated::on(from, |disk, name| disk.rename(name, &simulated::name_of(to)))?;
    fs::rename(from, to)
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    simulated::on(path, |disk, name| disk.remove(name))?;
    fs::remove_file(path)
}

/// Cuts a file.
pub(super) fn cut(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    #[cfg(test)]
    simulated::on(path, |disk, name| disk.cut(name, bytes as usize))?;
    #[cfg(not(test))]
    let _ = path;
    file.set_len(bytes)
}
