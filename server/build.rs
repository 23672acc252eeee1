//! Puts the built playground into the binary: a table of every file in the top-level `dist/`.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fmt::Write;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let dist = root.parent().expect("the server is a member of a workspace").join("dist");
    // Cargo runs this again at every build as long as a watched path is missing, and builds the
    // server again with it. An empty directory is as good as none; a source tree that cannot be
    // written to only builds a little more often.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());

    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &mut files);
    }
    files.sort();
    let mut table = String::from(
        "/// Path, etag and content of every file.\n\
         const PLAYGROUND: &[(&str, &str, &[u8])] = &[\n",
    );
    for path in files {
        let name = path.strip_prefix(&dist).expect("it was found there");
        let name = name.to_str().expect("trunk gives names that are text").replace('\\', "/");
        let mut hasher = DefaultHasher::new();
        fs::read(&path).expect("a file that was just listed").hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        writeln!(table, "    ({name:?}, {etag:?}, include_bytes!({path:?})),")
            .expect("writing to a String cannot fail");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("playground.rs"), table).expect("OUT_DIR can be written to");
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory that was just found") {
        let path = entry.expect("a directory that was just found").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
