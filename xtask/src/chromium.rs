//! Chromium and its driver, for the tests that run in a browser.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cache::Cache;
use crate::debian::{self, Apt};
use crate::files;
use crate::process;
use crate::progress::step;

const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const HOW: &str = "set CHROMIUM and CHROMEDRIVER to a Chromium and the chromedriver of its version";

/// The flags that let Chromium run without a display, and keep it from the network.
pub(crate) const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) driver: PathBuf,
}

impl Browser {
    /// Whether both programs start, and are of one version, without which they do not talk.
    fn works(&self) -> bool {
        let browser = major_of(&self.chromium);
        browser.is_some() && browser == major_of(&self.driver)
    }
}

/// The browser that the variables name, or that is in PATH, or Debian's, unpacked for us.
pub(crate) fn ensure(cache: &Cache) -> Result<Browser> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(chromium) = named("CHROMIUM") {
        let driver = named("CHROMEDRIVER").or_else(|| process::find("chromedriver"));
        let driver = driver.ok_or_else(|| format!("there is no chromedriver: {HOW}"))?;
        let browser = Browser { chromium, driver };
        return if browser.works() {
            Ok(browser)
        } else {
            Err(format!("{browser:?} do not both start with one version: {HOW}"))
        };
    }
    let found = NAMES.iter().find_map(|name| process::find(name));
    if let (Some(chromium), Some(driver)) = (found, process::find("chromedriver")) {
        let browser = Browser { chromium, driver };
        if browser.works() {
            return Ok(browser);
        }
    }
    let works = |dir: &Path| unpacked(dir).works();
    let dir = cache.ensure("chromium", works, |new, place| {
        let none = || format!("there is no Chromium here, and this is not a Debian: {HOW}");
        let apt = Apt::open(new)?.ok_or_else(none)?;
        let version = apt.candidate("chromium").unwrap_or_default();
        step(&format!("unpacking Debian's Chromium {version} (about 20 s)"), || {
            unpack(&apt, new, place)
        })
    })?;
    Ok(unpacked(&dir))
}

fn unpacked(dir: &Path) -> Browser {
    Browser { chromium: dir.join("bin/chromium"), driver: dir.join("bin/chromedriver") }
}

fn unpack(apt: &Apt, root: &Path, place: &Path) -> Result<()> {
    let wanted = apt.closure(&PACKAGES)?;
    let mut packages = debian::missing(&wanted)?;
    // Also where the system has one, but of another version than its driver.
    packages.extend(wanted.into_iter().filter(|package| package.starts_with("chromium")));
    packages.sort();
    packages.dedup();
    apt.unpack(&packages, root, &[])?;
    files::remove_dir(&root.join("apt"))?;

    let fonts = fonts(root, place)?;
    ["usr/lib/chromium/chromium", "usr/bin/chromedriver"].iter().try_for_each(|program| {
        if root.join(program).is_file() {
            debian::write_program(root, place, program, &fonts)
        } else {
            Err(format!("the chromium package here is not Debian's: {HOW}"))
        }
    })
}

/// Where the system has no fonts, a configuration for those that came with Chromium, and the line
/// of a script that sets it.
fn fonts(root: &Path, place: &Path) -> Result<String> {
    if !root.join("usr/share/fonts").is_dir() {
        return Ok(String::new());
    }
    let file = "fonts.conf";
    let config = format!(
        "<?xml version=\"1.0\"?>\n<fontconfig>\n<dir>/usr/share/fonts</dir>\n<dir>{}</dir>\n\
         <cachedir prefix=\"xdg\">fontconfig</cachedir>\n</fontconfig>\n",
        place.join("usr/share/fonts").display()
    );
    files::write(&root.join(file), &config)?;
    Ok(format!("export FONTCONFIG_FILE={}\n", files::shell_word(&place.join(file))))
}

fn major_of(program: &Path) -> Option<u32> {
    major(&process::output(Command::new(program).arg("--version")).ok()?)
}

/// The first number of the version in `Chromium 148.0.7778.167 built on …`.
fn major(said: &str) -> Option<u32> {
    let mut words = said.split_whitespace();
    words.find_map(|word| word.split_once('.')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_and_driver_state_their_major_version() {
        assert_eq!(major("Chromium 148.0.7778.167 built on Debian GNU/Linux 12\n"), Some(148));
        assert_eq!(major("ChromeDriver 148.0.7778.167 (abc-refs/x@{#1})"), Some(148));
        assert_eq!(major("no version"), None);
    }
}
