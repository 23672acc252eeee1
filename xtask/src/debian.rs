//! Debian packages, unpacked into a directory of ours instead of installed: no root is needed, and
//! the system stays as it is. Only what the system does not have already is fetched.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::files;
use crate::process;
use crate::progress::step;

const PROGRAMS: [&str; 5] = ["apt-get", "apt-cache", "dpkg-deb", "dpkg-query", "tar"];
/// What no program needs to run.
const LEFT_OUT: [&str; 6] = ["doc", "icons", "lintian", "locale", "man", "themes"];

/// apt with package lists of its own.
#[derive(Debug)]
pub(crate) struct Apt {
    options: Vec<OsString>,
}

impl Apt {
    /// apt, keeping its lists under `home`; none where this is not a Debian.
    pub(crate) fn open(home: &Path) -> Result<Option<Self>> {
        if PROGRAMS.iter().any(|program| process::find(program).is_none()) {
            return Ok(None);
        }
        let (lists, archives) = (home.join("apt/lists"), home.join("apt/cache"));
        files::create_dir(&lists.join("partial"))?;
        files::create_dir(&archives)?;
        let mut options = Vec::new();
        let mut set = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push(value);
            options.extend(["-o".into(), option]);
        };
        set("Debug::NoLocking=", Path::new("1"));
        set("APT::Sandbox::User=", Path::new("root"));
        set("Dir::State::Lists=", &lists);
        set("Dir::Cache=", &archives);
        let apt = Self { options };
        // One source of several may be out of reach; whether what is wanted is there shows later.
        let _ = step("fetching Debian's package lists (about 5 s)", || {
            process::output(apt.command("apt-get").args(["-qq", "update"]))
        });
        Ok(Some(apt))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").args(&self.options);
        command
    }

    /// The version of a package that would be installed now.
    pub(crate) fn candidate(&self, package: &str) -> Option<String> {
        let said = process::output(self.command("apt-cache").args(["policy", package])).ok()?;
        candidate(&said)
    }

    /// The packages, and all that they depend on, whether it is installed or not.
    pub(crate) fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut command = self.command("apt-get");
        command.args(["-o", "Dir::State::status=/dev/null", "-qq", "--print-uris"]);
        command.args(["--no-install-recommends", "install"]).args(packages);
        Ok(packages_in_uris(&process::output(&mut command)?))
    }

    /// Downloads the packages, and unpacks them below `root`: from a package that `parts` names,
    /// only those paths.
    pub(crate) fn unpack(
        &self,
        packages: &[String],
        root: &Path,
        parts: &[(&str, &[&str])],
    ) -> Result<()> {
        let downloads = root.join("deb");
        files::create_dir(&downloads)?;
        let mut command = self.command("apt-get");
        command.current_dir(&downloads).args(["-qq", "download"]).args(packages);
        process::run(&mut command)?;
        for file in files::list(&downloads) {
            let name = files::name(&file);
            let part = parts.iter().find(|(package, _)| name.split('_').next() == Some(package));
            unpack(&file, root, part.map_or(&[], |(_, paths)| paths))?;
            fs::remove_file(&file).map_err(files::named(&file))?;
        }
        files::remove_dir(&downloads)
    }
}

/// The packages of the list that are not installed here.
pub(crate) fn missing(packages: &[String]) -> Result<Vec<String>> {
    let format = "-f=${db:Status-Status} ${Package}\n";
    let said = process::output(Command::new("dpkg-query").args(["-W", format]))?;
    let installed: BTreeSet<&str> =
        said.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    let missing = packages.iter().filter(|package| !installed.contains(package.as_str()));
    Ok(missing.cloned().collect())
}

fn unpack(file: &Path, root: &Path, paths: &[&str]) -> Result<()> {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile").arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut dpkg = dpkg.spawn().map_err(files::named(file))?;
    let archive = dpkg.stdout.take().ok_or("dpkg-deb gave no output")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--no-same-owner", "-C"]).arg(root).stdin(archive);
    for dir in LEFT_OUT {
        tar.arg(format!("--exclude=./usr/share/{dir}"));
    }
    let unpacked = tar.arg("--wildcards").args(paths).status().map_err(files::named(file))?;
    let read = dpkg.wait().map_err(files::named(file))?;
    // With paths, tar stops reading when it has them, and dpkg-deb may then find its pipe closed.
    if unpacked.success() && (read.success() || !paths.is_empty()) {
        return Ok(());
    }
    Err(format!("{} could not be unpacked", files::name(file)))
}

/// The directories of shared libraries in the tree at `root`, as LD_LIBRARY_PATH lists them.
pub(crate) fn library_path(root: &Path) -> OsString {
    // A path that could not be listed was refused for the whole cache.
    env::join_paths(library_dirs(root)).unwrap_or_default()
}

/// Writes `bin/NAME`, which runs an unpacked program from `place`, where the tree at `root` will
/// stand; `settings` are lines of a shell script.
pub(crate) fn write_program(
    root: &Path,
    place: &Path,
    program: &str,
    settings: &str,
) -> Result<()> {
    let dirs = library_dirs(root).into_iter();
    let moved = dirs.filter_map(|dir| Some(place.join(dir.strip_prefix(root).ok()?)));
    let libraries = env::join_paths(moved).unwrap_or_default();
    let script = format!(
        "#!/bin/sh\n{settings}LD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec {} \"$@\"\n",
        files::shell_word(Path::new(&libraries)),
        files::shell_word(&place.join(program)),
    );
    let bin = root.join("bin");
    files::create_dir(&bin)?;
    files::write_script(&bin.join(files::name(Path::new(program))), &script)
}

fn library_dirs(root: &Path) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for top in ["usr/lib", "lib"] {
        for dir in files::list(&root.join(top)) {
            if dir.is_dir() && !dir.is_symlink() && files::name(&dir).contains("-linux-gnu") {
                let inner = files::list(&dir).into_iter().filter(|inner| holds_libraries(inner));
                dirs.extend(inner);
                dirs.push(dir);
            }
        }
    }
    dirs.reverse();
    dirs
}

fn holds_libraries(dir: &Path) -> bool {
    dir.is_dir() && files::list(dir).iter().any(|file| files::name(file).contains(".so"))
}

fn candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.strip_prefix("  Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// The package names in lines such as `'http://…/a_1.deb' a_1.deb 10 SHA256:…`.
fn packages_in_uris(said: &str) -> Vec<String> {
    let names = said.lines().filter(|line| line.starts_with('\'')).filter_map(|line| {
        let file = line.split_whitespace().nth(1)?;
        Some(file.split('_').next()?.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_candidate_has_none() {
        assert_eq!(candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        let said = "x:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg-1\n";
        assert_eq!(candidate(said).as_deref(), Some("1.96.0+dfsg-1"));
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn package_names_are_read_from_printed_addresses() {
        let said = "Reading…\n'http://d/pool/a-b_1%3a2_amd64.deb' a-b_1%3a2_amd64.deb 10 SHA256:x\n\
                    'http://d/pool/libc++1_3_all.deb' libc++1_3_all.deb 5 \n";
        assert_eq!(packages_in_uris(said), ["a-b", "libc++1"]);
    }
}
