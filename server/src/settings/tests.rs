//! Precedence, mistakes, and the page of documentation.

use std::fs;

use super::table::Row;
use super::*;

fn flag(key: &str, text: &str) -> Given {
    let row = TABLE.iter().position(|row| row.key == key).expect("a setting");
    Given { config: None, flags: vec![(row, text.to_owned())] }
}

fn from<'a>(loaded: &'a Loaded, key: &str) -> &'a From {
    &loaded.from[TABLE.iter().position(|row| row.key == key).expect("a setting")]
}

fn load_with(given: &Given, env: &[(&str, &str)]) -> Result<Loaded, String> {
    load_from(given, &|name| {
        env.iter().find(|(n, _)| *n == name).map(|(_, value)| Ok((*value).to_owned()))
    })
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("fanlight.toml");
    fs::write(&path, "sync = \"never\"\ndata = \"here\"\n\n[limits]\nqueues_max = 7\n")
        .expect("it writes");
    let mut given = flag("listen", "127.0.0.1:1");
    given.config = Some(path.clone());
    let env = [("FANLIGHT_LISTEN", "127.0.0.1:2"), ("FANLIGHT_SYNC", "interval")];
    let loaded = load_with(&given, &env).expect("all right");
    let settings = &loaded.settings;
    assert_eq!((settings.listen.as_str(), settings.sync), ("127.0.0.1:1", SyncPolicy::Interval));
    assert_eq!(settings.limits.queues_max, 7);
    assert_eq!(settings.data, Some(dir.path().join("here")), "relative to the file");
    assert_eq!(from(&loaded, "listen"), &From::Flag("listen"));
    assert_eq!(from(&loaded, "sync"), &From::Env("FANLIGHT_SYNC"));
    assert_eq!(from(&loaded, "limits.queues_max"), &From::File { path, line: 5 });
    assert_eq!(from(&loaded, "limits.topics_max"), &From::Default);
}

fn refused(given: &Given, env: &[(&str, &str)]) -> String {
    match load_with(given, env) {
        Err(sentence) => sentence,
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn a_wrong_value_names_whoever_said_it_and_what_would_be_right() {
    let none = Given::default();
    for (given, env, sentence) in [
        (
            &flag("limits.queues_max", "many"),
            &[][..],
            "--limits-queues-max is \"many\": it should be a whole number",
        ),
        (
            &none,
            &[("FANLIGHT_LIMITS_QUEUES_MAX", "4294967296")],
            "FANLIGHT_LIMITS_QUEUES_MAX is \"4294967296\": it should be at most 4294967295",
        ),
        (
            &flag("sync", "sometimes"),
            &[],
            "--sync is \"sometimes\": it should be always, interval or never",
        ),
    ] {
        assert_eq!(refused(given, env), sentence);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("f.toml");
    fs::write(&path, "\n[connections]\nping_every = 15\n").expect("it writes");
    let sentence = refused(&Given { config: Some(path.clone()), flags: Vec::new() }, &[]);
    let expected = format!("{}:3: connections.ping_every is \"15\": it should be", path.display());
    assert!(sentence.starts_with(&expected), "{sentence}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (key, text, part) in [
        ("connections.message_bytes_max", "1KiB", "would not fit"),
        ("connections.silence_max", "1s", "twice"),
        ("limits.stored_bytes_high", "1TiB", "contradict"),
        ("connections.incoming_bytes_max", "1MiB", "should hold a message"),
        ("limits.batch_bytes_max", "1KiB", "should be at least that"),
    ] {
        let sentence = refused(&flag(key, text), &[]);
        assert!(sentence.contains(part), "{key}: {sentence}");
    }
}

#[test]
fn every_limit_of_the_broker_is_a_setting_and_says_what_it_bounds() {
    let named: Vec<&Row> = TABLE.iter().filter(|row| row.key.starts_with("limits.")).collect();
    let serde_json::Value::Object(fields) =
        serde_json::to_value(fanlight_core::Limits::default()).expect("limits are numbers")
    else {
        panic!("limits are a structure");
    };
    assert_eq!(named.len(), fields.len());
    for row in named {
        assert!(row.about.starts_with("Limit: "), "{} is not in docs/limits.md", row.key);
        let mut settings = Settings::default();
        (row.read)(&mut settings, "12345").expect("a number");
        assert_eq!((row.shown)(&settings), "12345", "{}", row.key);
    }
}

/// The tables of docs/configuration.md, a section each.
fn page() -> String {
    let mut page = String::new();
    let mut section = None;
    for row in TABLE.iter() {
        let of = row.key.split_once('.').map_or("", |(section, _)| section);
        if section != Some(of) {
            section = Some(of);
            let title = if of.is_empty() { "At the top".to_owned() } else { format!("`[{of}]`") };
            page += &format!("\n### {title}\n\n");
            page += "| key | flag | variable | default | |\n|---|---|---|---|---|\n";
        }
        let name = row.key.rsplit('.').next().unwrap_or(&row.key);
        let default = match (row.shown)(&Settings::default()) {
            default if default.is_empty() => "".to_owned(),
            default => format!("`{default}`"),
        };
        page += &format!(
            "| `{name}` | `--{}` | `{}` | {default} | {} |\n",
            row.flag,
            row.env,
            row.about.trim_start_matches("Limit: ")
        );
    }
    page
}

#[test]
fn the_page_of_documentation_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = fs::read_to_string(&path).expect("the page is there");
    let mark = "<!-- made from the table of settings; FANLIGHT_BLESS=1 cargo test -p \
                fanlight-server --bin fanlight the_page writes it anew -->\n";
    let (head, tables) = text.split_once(mark).expect("the mark is there");
    if std::env::var_os("FANLIGHT_BLESS").is_some() {
        fs::write(&path, format!("{head}{mark}{}", page())).expect("it writes");
    } else {
        assert_eq!(tables, page(), "docs/configuration.md is not what the code says");
    }
}
