//! What the project's own files say.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::files;

#[derive(Debug)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    pub(crate) fn open() -> Result<Self> {
        let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest_dir.parent().ok_or("xtask has no parent directory")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        let dir = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
        self.root.join(dir.unwrap_or_else(|| "target".into()))
    }

    /// The version of a crate that Cargo.lock pins.
    pub(crate) fn locked_version(&self, name: &str) -> Result<String> {
        let lock = files::read(&self.path("Cargo.lock"))?;
        locked_version(&lock, name).ok_or_else(|| format!("Cargo.lock does not name {name}"))
    }

    /// The minor version of the oldest Rust that the workspace allows.
    pub(crate) fn rust_minor(&self) -> Result<u32> {
        let manifest = files::read(&self.path("Cargo.toml"))?;
        rust_minor(&manifest).ok_or_else(|| "Cargo.toml states no rust-version".to_owned())
    }
}

fn locked_version(lock: &str, name: &str) -> Option<String> {
    let mut lines = lock.lines();
    let name = format!("name = \"{name}\"");
    lines.find(|line| *line == name)?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}

fn rust_minor(manifest: &str) -> Option<u32> {
    let value = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"1."))?;
    let digits = value.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_exact_name() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "a").as_deref(), Some("0.2.130"));
        assert_eq!(locked_version(lock, "b"), None);
    }

    #[test]
    fn the_rust_version_may_have_two_or_three_parts() {
        assert_eq!(rust_minor("[x]\nrust-version = \"1.95\"\n"), Some(95));
        assert_eq!(rust_minor("rust-version = \"1.86.1\""), Some(86));
        assert_eq!(rust_minor("edition = \"2024\""), None);
    }

    #[test]
    fn this_project_pins_wasm_bindgen_and_its_program_together() -> Result<()> {
        let project = Project::open()?;
        let program = project.locked_version("wasm-bindgen-cli")?;
        assert_eq!(program, project.locked_version("wasm-bindgen")?);
        Ok(())
    }
}
