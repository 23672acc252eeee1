//! The built playground, which the binary carries.

use bytes::Bytes;

include!(concat!(env!("OUT_DIR"), "/playground.rs"));

/// What is at `/` where the playground was not built.
const NO_PLAYGROUND: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Fanlight</title>
<style>body { font: 16px/1.5 system-ui; max-width: 40em; margin: 4em auto; padding: 0 1em }</style>
<h1>Fanlight is running</h1>
<p>This server was built without the playground. To have it here, run this in the source tree:
<pre>cargo xtask play</pre>
<p>The broker itself is well: clients connect to <code>/ws</code>, and there are
<a href=\"/healthz\">/healthz</a> and <a href=\"/metrics\">/metrics</a>.
</html>
";

/// A file that is served.
pub(crate) struct Asset {
    /// Its kind.
    pub(crate) content_type: &'static str,
    /// Changes when the file does.
    pub(crate) etag: &'static str,
    /// Whether its name changes when the file does.
    pub(crate) immutable: bool,
    /// What is in it.
    pub(crate) bytes: Bytes,
}

/// The file at a path.
pub(crate) fn find(path: &str) -> Option<Asset> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        name => name,
    };
    match PLAYGROUND.iter().find(|(file, ..)| *file == name) {
        Some((file, etag, bytes)) => Some(Asset {
            content_type: content_type(file),
            etag,
            immutable: is_hashed(file),
            bytes: Bytes::from_static(bytes),
        }),
        None if name == "index.html" => Some(Asset {
            content_type: content_type(name),
            etag: "\"none\"",
            immutable: false,
            bytes: Bytes::from_static(NO_PLAYGROUND.as_bytes()),
        }),
        None => None,
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "jsonl" => "application/jsonl",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether trunk put the hash of the file into its name, as in `web-0123456789abcdef_bg.wasm`.
fn is_hashed(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|file| {
        file.split(['-', '_', '.'])
            .any(|part| part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_page() {
        let page = find("/").expect("a page");
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(!page.immutable, "the page's name never changes");
        assert!(find("/nothing/here").is_none());
        assert!(find("/../Cargo.toml").is_none());
    }

    #[test]
    fn wasm_is_served_as_what_browsers_compile_while_it_comes() {
        assert_eq!(content_type("fanlight-web-0123456789abcdef_bg.wasm"), "application/wasm");
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_good() {
        assert!(is_hashed("fanlight-web-0123456789abcdef_bg.wasm"));
        assert!(is_hashed("assets/style-fedcba9876543210.css"));
        assert!(!is_hashed("index.html"));
        assert!(!is_hashed("data/online-retail.jsonl"));
    }
}
