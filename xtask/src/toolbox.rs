//! The tools that are ready, and commands that find them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::chromium::Browser;
use crate::process;
use crate::project::Project;
use crate::{Result, bindgen, chromium, trunk, wasm_toolchain};

/// What `cargo run` sets for us, and what would mislead a program that we start.
const OURS_ONLY: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
/// What rustup sets for the cargo that started us. It would win over the Rust that PATH names.
const RUST_CHOICE: [&str; 4] = ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"];

#[derive(Debug)]
pub(crate) struct Toolbox {
    pub(crate) project: Project,
    pub(crate) cache: Cache,
    /// Directories to put first in PATH.
    front: Vec<PathBuf>,
    vars: Vec<(&'static str, OsString)>,
    /// The directory of a private Rust for wasm; none if the one in PATH can do it.
    rust: Option<PathBuf>,
    has_wasm: bool,
}

impl Toolbox {
    pub(crate) fn open() -> Result<Self> {
        Ok(Self {
            project: Project::open()?,
            cache: Cache::open()?,
            front: Vec::new(),
            vars: Vec::new(),
            rust: None,
            has_wasm: false,
        })
    }

    /// Makes ready what building for the web needs: Rust for wasm, and wasm-bindgen.
    pub(crate) fn for_wasm(&mut self) -> Result<()> {
        if self.has_wasm {
            return Ok(());
        }
        self.rust = wasm_toolchain::ensure(&self.cache, self.project.rust_minor()?)?;
        let bindgen = bindgen::ensure(self)?;
        self.front.push(bindgen);
        // By name only: cargo splits this at spaces, and the path may have some.
        self.set("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
        self.has_wasm = true;
        Ok(())
    }

    /// Makes ready what building the playground needs.
    pub(crate) fn for_page(&mut self) -> Result<()> {
        self.for_wasm()?;
        if let Some(dir) = trunk::ensure(self)? {
            self.front.push(dir);
        }
        // trunk is told to stay offline, so that it fails at once where a tool is missing instead of
        // asking for it; it tells cargo the same.
        process::run(self.wasm("cargo").args(["fetch", "--locked", "--quiet"]))
    }

    /// Makes ready what tests in a browser need.
    pub(crate) fn for_browser(&mut self) -> Result<()> {
        if self.var("CHROMIUM").is_some() {
            return Ok(());
        }
        let Browser { chromium, driver } = chromium::ensure(&self.cache)?;
        // By variables and not by PATH: their directory may hold another cargo or node.
        self.set("CHROMIUM", chromium);
        self.set("CHROMEDRIVER", driver);
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.vars.push((name, value.into()));
    }

    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        let var = self.vars.iter().find(|(known, _)| *known == name);
        var.map(|(_, value)| value.as_os_str())
    }

    /// A command of this machine's, started at the top of the project, with our tools in PATH.
    pub(crate) fn native(&self, program: impl AsRef<OsStr>) -> Command {
        self.command(program.as_ref(), None)
    }

    /// A command that builds for the web: the cargo in its PATH can compile for wasm.
    pub(crate) fn wasm(&self, program: impl AsRef<OsStr>) -> Command {
        self.command(program.as_ref(), self.rust.as_deref())
    }

    fn command(&self, program: &OsStr, rust: Option<&Path>) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let ours = rust.into_iter().chain(self.front.iter().map(PathBuf::as_path));
        let dirs: Vec<PathBuf> = ours.map(Path::to_owned).chain(env::split_paths(&path)).collect();
        let path = env::join_paths(dirs).unwrap_or(path);
        // `Command` would look the program up in our PATH, not in the one that it passes on.
        let found =
            env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
        let mut command = Command::new(found.as_deref().map_or(program, Path::as_os_str));
        command.current_dir(self.project.root()).env("PATH", &path);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if OURS_ONLY.iter().any(|start| name.starts_with(start)) {
                command.env_remove(name.as_ref());
            }
        }
        if rust.is_some() {
            for name in RUST_CHOICE {
                command.env_remove(name);
            }
        }
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }
}
