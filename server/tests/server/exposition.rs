//! A strict reader of Prometheus' text format, version 0.0.4: what is not quite right is an error
//! here, also where Prometheus itself would let it pass.

use std::collections::{BTreeMap, BTreeSet};

/// A metric with its samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    pub(crate) help: String,
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A page, by the metrics' names.
pub(crate) type Exposition = BTreeMap<String, Family>;

/// Reads a page, or says in which line what is wrong.
pub(crate) fn read(page: &str) -> Result<Exposition, String> {
    if !page.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut families = Exposition::new();
    let mut current: Option<String> = None;
    for (number, line) in (1..).zip(page.lines()) {
        read_line(line, &mut families, &mut current)
            .map_err(|what| format!("line {number}: {what}: {line}"))?;
    }
    for (name, family) in &families {
        check(name, family).map_err(|what| format!("{name}: {what}"))?;
    }
    Ok(families)
}

fn read_line(
    line: &str,
    families: &mut Exposition,
    current: &mut Option<String>,
) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("# HELP ") {
        let (name, help) = rest.split_once(' ').ok_or("no help")?;
        is_name(name, true)?;
        if help.is_empty() || help.contains('\\') {
            return Err("help that is empty or has escapes".to_owned());
        }
        let family = Family { help: help.to_owned(), ..Family::default() };
        if families.insert(name.to_owned(), family).is_some() {
            return Err("a metric twice".to_owned());
        }
        *current = Some(name.to_owned());
        return Ok(());
    }
    let name = current.as_deref().ok_or("something before the first HELP")?;
    let family = families.get_mut(name).expect("it was just begun");
    if let Some(rest) = line.strip_prefix("# TYPE ") {
        let (named, kind) = rest.split_once(' ').ok_or("no type")?;
        if named != name || !family.kind.is_empty() || !family.samples.is_empty() {
            return Err("a TYPE that does not follow its HELP".to_owned());
        }
        if !["counter", "gauge", "histogram"].contains(&kind) {
            return Err("a type that there is not".to_owned());
        }
        family.kind = kind.to_owned();
        return Ok(());
    }
    let sample = sample(line)?;
    let is_part = family.kind == "histogram"
        && ["_bucket", "_sum", "_count"].iter().any(|s| sample.name == format!("{name}{s}"));
    if family.kind.is_empty() || (sample.name != name && !is_part) {
        return Err(format!("a sample that is not of {name}"));
    }
    if family.samples.iter().any(|s| (&s.name, &s.labels) == (&sample.name, &sample.labels)) {
        return Err("a sample twice".to_owned());
    }
    family.samples.push(sample);
    Ok(())
}

fn is_name(name: &str, colons: bool) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(allowed)
    {
        return Err(format!("{name:?} is no name"));
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("neither labels nor a value")?;
    let name = &line[..end];
    is_name(name, true)?;
    let mut labels = BTreeMap::new();
    let mut rest = &line[end..];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            is_name(label, false)?;
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("the label {label} twice"));
            }
            rest = after;
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').ok_or("labels without a comma between")?;
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    if value.contains(' ') {
        return Err("something after the value".to_owned());
    }
    let value = value.parse().map_err(|_| "a value that is no number".to_owned())?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// What is in quotes, and what comes after.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, '\\')) => value.push('\\'),
                Some((_, '"')) => value.push('"'),
                Some((_, 'n')) => value.push('\n'),
                other => return Err(format!("an escape that there is not: {other:?}")),
            },
            c => value.push(c),
        }
    }
    Err("quotes that do not end".to_owned())
}

fn check(name: &str, family: &Family) -> Result<(), String> {
    let is_counter = family.kind == "counter";
    if is_counter != name.ends_with("_total") {
        return Err("counters end in _total, and nothing else does".to_owned());
    }
    if is_counter && family.samples.iter().any(|s| s.value < 0.0 || s.value.fract() != 0.0) {
        return Err("a counter that is no whole number".to_owned());
    }
    let names: BTreeSet<Vec<&String>> = family
        .samples
        .iter()
        .filter(|s| !s.labels.contains_key("le"))
        .map(|s| s.labels.keys().collect())
        .collect();
    if names.len() > 1 {
        return Err(format!("samples with different labels: {names:?}"));
    }
    if family.kind == "histogram" { histogram(name, family) } else { Ok(()) }
}

fn histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut all: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family.samples.iter().filter(|s| s.name == format!("{name}_bucket")) {
        let mut labels = sample.labels.clone();
        let le = labels.remove("le").ok_or("a bucket without le")?;
        let le = if le == "+Inf" { f64::INFINITY } else { le.parse().map_err(|_| "le")? };
        all.entry(labels).or_default().push((le, sample.value));
    }
    for (labels, buckets) in all {
        if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
            return Err("buckets that do not rise".to_owned());
        }
        let of = |suffix: &str| {
            let name = format!("{name}{suffix}");
            family.samples.iter().find(|s| s.name == name && s.labels == labels).map(|s| s.value)
        };
        let last = *buckets.last().expect("it has one");
        if last.0 != f64::INFINITY || of("_count") != Some(last.1) || of("_sum").is_none() {
            return Err("no bucket for all, or not as many in it as are counted".to_owned());
        }
    }
    Ok(())
}

#[test]
fn what_is_not_quite_right_is_found() {
    let fine = "# HELP a_total An a.\n# TYPE a_total counter\na_total{x=\"1\\n\\\"\"} 2\n";
    let page = read(fine).expect("it is fine");
    assert_eq!(page["a_total"].samples[0].labels["x"], "1\n\"");
    for (wrong, what) in [
        ("a 1\n", "before the first HELP"),
        ("# HELP a A.\n# TYPE a gauge\na 1", "does not end"),
        ("# HELP a A.\n# TYPE a counter\na 1\n", "_total"),
        ("# HELP a A.\n# TYPE a gauge\nb 1\n", "not of a"),
        ("# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "twice"),
        ("# HELP a A.\n# TYPE a gauge\na{x=\"\\t\"} 1\n", "escape"),
        ("# HELP a A.\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n", "twice"),
        ("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\na{y=\"1\"} 1\n", "different labels"),
        ("# HELP a A.\n# TYPE a gauge\na one\n", "no number"),
        ("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n", "for all"),
    ] {
        let error = read(wrong).expect_err(wrong);
        assert!(error.contains(what), "{error}");
    }
}
