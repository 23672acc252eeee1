//! The examples of docs/http.md, run as they stand there.

use crate::api::{answer, send};
use crate::process::Server;

const PAGE: &str = include_str!("../../../docs/http.md");

/// A command line and what it prints.
struct Example<'p> {
    command: &'p str,
    printed: &'p str,
}

fn examples() -> Vec<Example<'static>> {
    let blocks = PAGE.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    let pairs = lines.chunks_exact(2);
    assert!(pairs.remainder().is_empty(), "each command prints one line");
    let example = |pair: &[&'static str]| Example {
        command: pair[0].strip_prefix("$ curl ").expect("it is a curl command"),
        printed: pair[1],
    };
    pairs.map(example).collect()
}

/// The words of a command line, as a shell takes them apart.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn run(server: &Server, command: &str) -> String {
    let (mut method, mut path, mut body) = (None, String::new(), None);
    let mut headers = Vec::new();
    let mut words = words(command).into_iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().expect("an option has a value");
        match word.as_str() {
            "-X" => method = Some(next()),
            "-d" => body = Some(next()),
            "-H" => {
                let header = next();
                let (name, value) = header.split_once(": ").expect("a header");
                headers.push((name.to_owned(), value.to_owned()));
            }
            address => path = address.strip_prefix("localhost:7420").expect("the port").to_owned(),
        }
    }
    let method = method.unwrap_or(if body.is_some() { "POST" } else { "GET" }.to_owned());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let body = body.unwrap_or_default();
    let told = answer(send(server.address, (&method, &path), &headers, body.as_bytes()));
    told.text
}

/// Whether it is what the page shows, where `…` stands for anything.
fn is_as_shown(printed: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return printed == shown };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn the_page_shows_what_is_printed() {
    let server = Server::start(&[]);
    let mut receipt = String::new();
    let examples = examples();
    assert!(examples.len() > 10);
    for Example { command, printed } in examples {
        let said = run(&server, &command.replace("RECEIPT", &receipt));
        assert!(is_as_shown(&said, printed), "{command}\n   shown {printed}\n printed {said}");
        if let Some((_, rest)) = said.split_once("\"receipt\":\"") {
            receipt = rest.split('"').next().unwrap_or_default().to_owned();
        }
    }
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    assert!(is_as_shown("abc", "abc") && is_as_shown("axbyc", "a…b…c") && is_as_shown("ab", "a…"));
    for (printed, shown) in [("abc", "ab"), ("xabc", "abc"), ("axc", "a…b…c"), ("abd", "a…c")]
    {
        assert!(!is_as_shown(printed, shown), "{printed} is not {shown}");
    }
}
