//! `top`, completions and manual pages.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Ran, Server};

fn fanlight(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_fanlight")).args(args).output();
    Ran::of(args, &output.expect("it runs"))
}

#[test]
fn top_prints_depths_rates_and_lag_once() {
    let server = Server::start();
    assert!(server.out(&["top", "--once", "--interval", "100ms"]).contains("nothing to show"));
    server.out(&["topics", "create", "orders"]);
    server.run_with("1\n2\n3\n4\n5\n", &["publish", "orders"]).succeeded();
    server.out(&["consume", "orders", "--group", "billing", "--max", "2"]);
    server.out(&["queues", "declare", "jobs"]);
    server.run_with("1\n", &["publish", "jobs"]).succeeded();
    let printed = server.out(&["top", "--once", "--interval", "100ms"]);
    let rows: Vec<Vec<&str>> =
        printed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0],
        ["KIND", "NAME", "DEPTH", "IN/s", "OUT/s", "HELD", "OLDEST", "READERS"],
        "{printed}"
    );
    assert_eq!(rows[1][..6], ["topic", "orders", "5", "0", "-", "-"], "{printed}");
    assert_eq!(rows[2][..6], ["group", "billing", "3", "0", "0", "0"], "{printed}");
    assert_eq!(rows[3][..6], ["queue", "jobs", "1", "0", "0", "0"], "{printed}");

    let json = server.json(&["top", "--once", "--interval", "100ms", "--kind", "groups"]);
    assert_eq!(json["lag"], 3, "{json}");
    assert_eq!(json["rows"].as_array().expect("rows").len(), 1, "{json}");
    assert_eq!(json["rows"][0]["depth"], 3, "{json}");
}

#[test]
fn top_prints_a_table_each_interval_where_there_is_no_terminal() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let args = ["top", "--interval", "100ms", "--json"];
    let mut top = server.command(&args).spawn().expect("it runs");
    let out = top.stdout.take().expect("it is piped");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(out));
    let mut looks = 0;
    // What is published between two looks is a rate in the second.
    for line in lines {
        let seen: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        looks += 1;
        assert!(looks < 100, "no rate in {looks} looks");
        if seen["rows"][0]["inPerSecond"].as_f64().expect("a number") > 0.0 {
            break;
        }
        server.run_with("1\n", &["publish", "jobs"]).succeeded();
    }
    crate::harness::interrupt(&top);
    assert_eq!(top.wait().expect("it ends").code(), Some(0));
}

#[test]
fn completions_are_made_for_shells_and_bash_takes_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fanlight(&["completions", shell]).succeeded();
        for word in ["topics", "redrive", "remove-members", "dry-run"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let script = fanlight(&["completions", "bash"]).succeeded();
    let ask = r#"
        COMP_WORDS=(fanlight top); COMP_CWORD=1
        _fanlight fanlight top fanlight; echo "${COMPREPLY[*]}"
    "#;
    let mut bash = Command::new("bash")
        .args(["--norc", "-e", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let input = format!("{script}\n{ask}");
    std::io::Write::write_all(&mut bash.stdin.take().expect("it is piped"), input.as_bytes())
        .expect("bash reads");
    let output = bash.wait_with_output().expect("it ends");
    assert!(output.status.success(), "bash takes the script");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "topics top\n");
    assert_eq!(fanlight(&["completions", "csh"]).code, Some(2));
}

/// The commands in the help of one, by their names.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("man1");
    let written = fanlight(&["man", "--out", out.to_str().expect("text")]).succeeded();
    let pages = std::fs::read_dir(&out).expect("it is there").count();
    assert!(written.starts_with(&format!("{pages} pages written to ")), "{written}");
    let help = fanlight(&["--help"]).succeeded();
    let all = commands(&help);
    assert!(all.len() > 15 && all.contains(&"dlq"), "{all:?}");
    for command in all {
        assert!(out.join(format!("fanlight-{command}.1")).exists(), "{command}");
        let help = fanlight(&[command, "--help"]).succeeded();
        for below in commands(&help) {
            let page = std::fs::read_to_string(out.join(format!("fanlight-{command}-{below}.1")));
            let page = page.unwrap_or_else(|error| panic!("{command} {below}: {error}"));
            assert!(page.contains("Example"), "{command} {below}: no example");
        }
    }
    let one = fanlight(&["man", "dlq", "redrive"]).succeeded();
    assert!(one.contains("fanlight\\-dlq\\-redrive") && one.contains("attempts\\-min"), "{one}");
    let ran = fanlight(&["man", "dlq", "revive"]);
    assert!(ran.failed(2).contains("there are: list, show, redrive"), "{}", ran.err);
}
