//! What is drawn: lines of styled text, as wide and as many as the terminal has room for.

use indicatif::{BinaryBytes, HumanCount};

use fanlight_core::Span;

use super::sample::{Picture, Row, RowKind};
use super::{Column, Only, Wish};
use crate::cli::output;

/// How text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    /// What wants to be seen.
    Alert,
    /// The bar of column names.
    Bar,
    /// The column by which rows are sorted, in that bar.
    BarChosen,
}

/// A line, of pieces that look different.
pub(super) type Line = Vec<(Style, String)>;

/// The columns behind the name, with their widths.
const COLUMNS: [(Column, &str, usize); 6] = [
    (Column::Depth, "DEPTH", 11),
    (Column::In, "IN/s", 8),
    (Column::Out, "OUT/s", 8),
    (Column::Held, "HELD", 7),
    (Column::Oldest, "OLDEST", 7),
    (Column::Readers, "READERS", 8),
];
const KIND_WIDTH: usize = 5;
const NAME_MIN: usize = 8;
/// The narrowest past that says something.
const PAST_MIN: usize = 10;
const PAST_MAX: usize = 60;

/// What the screen is drawn of, besides the picture.
pub(super) struct View<'v> {
    pub(super) wish: &'v Wish,
    pub(super) server: &'v str,
    /// The first row shown.
    pub(super) top: usize,
    /// What is typed after /.
    pub(super) typing: bool,
    pub(super) paused: bool,
    /// Why there is nothing new.
    pub(super) trouble: Option<&'v str>,
}

/// The lines above the rows.
const HEAD: usize = 4;
/// The lines above and below them.
const FRAME: usize = HEAD + 1;

/// How many rows fit.
pub(super) fn room(height: u16) -> usize {
    usize::from(height).saturating_sub(FRAME)
}

/// A number in at most seven characters.
pub(super) fn compact(number: u64) -> String {
    match number {
        0..1_000_000 => HumanCount(number).to_string(),
        1_000_000..1_000_000_000 => format!("{:.2}M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.2}G", number as f64 / 1e9),
        _ => format!("{:.2}T", number as f64 / 1e12),
    }
}

fn rate(rate: f64) -> String {
    match rate {
        rate if rate > 0.0 && rate < 9.95 => format!("{rate:.1}"),
        rate => compact(rate.round() as u64),
    }
}

/// How long something has waited, in its largest unit.
pub(super) fn age(span: Span) -> String {
    output::age(fanlight_core::Time(span.0), fanlight_core::Time::ZERO)
}

/// Everything together, in one line.
pub(super) fn summary(picture: &Picture) -> String {
    let totals = &picture.totals;
    let s = if picture.connections == 1 { "" } else { "s" };
    format!(
        "in {}/s  out {}/s  waiting {}  held {}  lag {}  {}  {} connection{s}",
        rate(totals.came),
        rate(totals.went),
        compact(totals.waiting),
        compact(totals.held),
        compact(totals.lag),
        BinaryBytes(picture.stored_bytes),
        picture.connections
    )
}

/// The columns that there is room for, and the widths of the name and of the past.
struct Layout {
    columns: usize,
    name: usize,
    past: usize,
}

impl Layout {
    fn of(width: usize, rows: &[&Row]) -> Layout {
        let used = |columns: usize| {
            COLUMNS[..columns].iter().map(|(_, _, width)| width + 1).sum::<usize>() + KIND_WIDTH + 1
        };
        let mut columns = COLUMNS.len();
        // A terminal that is too narrow for all shows fewer.
        while columns > 1 && used(columns) + NAME_MIN > width {
            columns -= 1;
        }
        let left = width.saturating_sub(used(columns));
        let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let name = longest.clamp(NAME_MIN, left.max(NAME_MIN));
        let past = match left.saturating_sub(name + 2) {
            room if room >= PAST_MIN => room.min(PAST_MAX),
            _ => 0,
        };
        // What no past takes, names have.
        Layout { columns, name: if past > 0 { name } else { left.max(NAME_MIN) }, past }
    }
}

/// The whole screen.
pub(super) fn draw(picture: &Picture, view: &View<'_>, width: u16, height: u16) -> Vec<Line> {
    let rows = view.wish.rows(picture);
    let width = usize::from(width);
    let layout = Layout::of(width, &rows);
    let clock = output::instant(picture.now);
    // The date is known; the time of day is what changes.
    let clock = clock.get(11..19).unwrap_or_default();
    let mut lines: Vec<Line> = vec![
        vec![
            (Style::Bold, "fanlight top".to_owned()),
            (Style::Dim, format!("  {}  {clock} UTC", view.server)),
        ],
        vec![(Style::Plain, summary(picture))],
        match (view.trouble, view.paused) {
            (Some(why), _) => vec![(Style::Alert, why.to_owned())],
            (None, true) => vec![(Style::Alert, "paused; p goes on".to_owned())],
            (None, false) => Vec::new(),
        },
        head(&layout, view.wish, width),
    ];
    let room = room(height);
    let top = view.top.min(rows.len().saturating_sub(room));
    let shown = rows.iter().skip(top).take(room);
    lines.extend(shown.map(|row| line(row, &layout)));
    if rows.is_empty() {
        let nothing = match view.wish.find.is_empty() {
            true => "nothing here yet; `fanlight topics create`, `fanlight queues declare`",
            false => "no name contains that; Esc shows all",
        };
        lines.push(vec![(Style::Dim, nothing.to_owned())]);
    }
    lines.truncate(usize::from(height).saturating_sub(1));
    lines.resize(usize::from(height).saturating_sub(1), Vec::new());
    lines.push(foot(view, (top, room, rows.len())));
    lines.into_iter().map(|line| cut(line, width)).collect()
}

fn head(layout: &Layout, wish: &Wish, width: usize) -> Line {
    let style = |column| if wish.sort == column { Style::BarChosen } else { Style::Bar };
    let marked = |column, name: &str| match (wish.sort == column, wish.reverse) {
        (false, _) => name.to_owned(),
        (true, false) => format!("{name}↓"),
        (true, true) => format!("{name}↑"),
    };
    let mut line = vec![
        (style(Column::Kind), format!("{:<KIND_WIDTH$}", marked(Column::Kind, "KIND"))),
        (Style::Bar, " ".to_owned()),
        (style(Column::Name), format!("{:<1$}", marked(Column::Name, "NAME"), layout.name)),
    ];
    for &(column, name, width) in &COLUMNS[..layout.columns] {
        line.push((Style::Bar, " ".to_owned()));
        line.push((style(column), format!("{:>width$}", marked(column, name))));
    }
    if layout.past > 0 {
        let past = layout.past;
        line.push((Style::Bar, format!("  {:<past$}", "IN, UNTIL NOW")));
    }
    let used: usize = line.iter().map(|(_, text)| text.chars().count()).sum();
    line.push((Style::Bar, " ".repeat(width.saturating_sub(used))));
    line
}

fn line(row: &Row, layout: &Layout) -> Line {
    let quiet = |is_quiet: bool| if is_quiet { Style::Dim } else { Style::Plain };
    let name = output::clipped(&row.name, layout.name);
    let mut line = vec![
        (Style::Dim, format!("{:<KIND_WIDTH$} ", row.kind.noun())),
        (Style::Plain, format!("{name:<0$}", layout.name)),
    ];
    let dash = || "-".to_owned();
    for &(column, _, width) in &COLUMNS[..layout.columns] {
        let (style, text) = match column {
            Column::Depth => {
                let grows = row.kind != RowKind::Topic && row.growth > 0;
                let trend = match (row.kind, row.growth) {
                    (RowKind::Topic, _) | (_, 0) => " ",
                    (_, growth) if growth > 0 => "▲",
                    (_, _) => "▼",
                };
                let style = if grows { Style::Alert } else { quiet(row.depth == 0) };
                (style, format!("{}{trend}", compact(row.depth)))
            }
            Column::In => (quiet(row.came == 0.0), rate(row.came)),
            Column::Out => {
                (quiet(row.went.is_none_or(|w| w == 0.0)), row.went.map_or("-".into(), rate))
            }
            Column::Held => {
                (quiet(row.held.is_none_or(|h| h == 0)), row.held.map_or_else(dash, compact))
            }
            Column::Oldest => (quiet(row.oldest.is_none()), row.oldest.map_or_else(dash, age)),
            Column::Readers | Column::Kind | Column::Name => {
                // Something waits, and nobody comes for it.
                let idle = row.readers == Some(0);
                let style = if idle && row.depth > 0 { Style::Alert } else { quiet(idle) };
                (style, row.readers.map_or_else(dash, compact))
            }
        };
        line.push((style, format!(" {text:>width$}")));
    }
    if layout.past > 0 {
        line.push((Style::Dim, format!("  {}", past(&row.past, layout.past))));
    }
    line
}

/// What came, look by look, the newest at the right.
fn past(past: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let newest = &past[past.len().saturating_sub(width)..];
    let most = newest.iter().copied().fold(0.0, f64::max);
    let bars = newest.iter().map(|&came| match most > 0.0 && came > 0.0 {
        true => BARS[((came / most * 8.0).ceil() as usize).clamp(1, 8) - 1],
        false => ' ',
    });
    let bars: String = bars.collect();
    format!("{bars:>width$}")
}

fn foot(view: &View<'_>, (top, room, all): (usize, usize, usize)) -> Line {
    if view.typing {
        return vec![
            (Style::Bold, format!("/{}▏", view.wish.find)),
            (Style::Dim, "  Enter keeps, Esc shows all".to_owned()),
        ];
    }
    let only = match view.wish.only {
        Only::All => "all",
        Only::Queues => "queues",
        Only::Topics => "topics",
        Only::Groups => "groups",
    };
    let which = match all > room {
        true => format!("{} to {} of {all}", top + 1, (top + room).min(all)),
        false => all.to_string(),
    };
    let find = match view.wish.find.as_str() {
        "" => String::new(),
        find => format!(" with {find:?}"),
    };
    vec![
        (Style::Bold, format!("{only}: {which}{find}")),
        (Style::Dim, "  q quit  ←→ sort  r reverse  Tab kind  / find  p pause".to_owned()),
    ]
}

/// A line no longer than the terminal is wide.
fn cut(line: Line, width: usize) -> Line {
    let mut left = width;
    let mut kept = Vec::with_capacity(line.len());
    for (style, text) in line {
        let text: String = text.chars().take(left).collect();
        left -= text.chars().count();
        if !text.is_empty() {
            kept.push((style, text));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use fanlight_core::Time;

    use super::*;

    fn row(name: &str, depth: u64) -> Row {
        Row {
            kind: RowKind::Queue,
            name: name.to_owned(),
            depth,
            growth: 0,
            came: 1_234.4,
            went: Some(0.5),
            held: Some(3),
            oldest: Some(Span::from_secs(90)),
            readers: Some(2),
            past: vec![0.0, 4.0, 8.0],
        }
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|l| l.iter().map(|(_, text)| text.as_str()).collect()).collect()
    }

    fn drawn(rows: Vec<Row>, top: usize, width: u16, height: u16) -> Vec<String> {
        let picture = Picture { now: Time::ZERO, rows, ..Picture::default() };
        let wish =
            Wish { sort: Column::Depth, reverse: false, only: Only::All, find: String::new() };
        let view = View {
            wish: &wish,
            server: "ws://127.0.0.1:7420/ws",
            top,
            typing: false,
            paused: false,
            trouble: None,
        };
        text(&draw(&picture, &view, width, height))
    }

    #[test]
    fn the_screen_is_as_large_as_the_terminal_whatever_its_size() {
        let rows = || (0..100).map(|n| row(&format!("queue-{n:03}"), n)).collect::<Vec<_>>();
        for (width, height) in [(80, 24), (40, 10), (200, 60), (1, 1), (20, 3)] {
            let lines = drawn(rows(), 0, width, height);
            assert_eq!(lines.len(), usize::from(height), "{width}x{height}");
            let widest = lines.iter().map(|line| line.chars().count()).max().expect("lines");
            assert!(widest <= usize::from(width), "{width}x{height}: {widest}");
        }
    }

    #[test]
    fn rows_are_sorted_scrolled_and_no_further_than_their_end() {
        let rows = || (0..100).map(|n| row(&format!("queue-{n:03}"), n)).collect::<Vec<_>>();
        let lines = drawn(rows(), 0, 80, 24);
        assert!(lines[4].starts_with("queue queue-099"), "{}", lines[4]);
        let lines = drawn(rows(), 1_000, 80, 24);
        assert!(lines[22].starts_with("queue queue-000"), "{}", lines[22]);
        assert!(lines[23].starts_with("all: 82 to 100 of 100"), "{}", lines[23]);
    }

    #[test]
    fn a_wide_terminal_shows_the_past_and_a_narrow_one_fewer_columns() {
        let wide = drawn(vec![row("jobs", 1_234_567)], 0, 120, 8);
        assert!(wide[3].contains("IN, UNTIL NOW"), "{}", wide[3]);
        assert!(wide[4].ends_with(" ▄█"), "{}", wide[4]);
        let cells: Vec<&str> = wide[4].split_whitespace().collect();
        assert_eq!(cells[..8], ["queue", "jobs", "1.23M", "1,234", "0.5", "3", "1m", "2"]);
        let narrow = drawn(vec![row("jobs", 7)], 0, 44, 8);
        assert!(narrow[3].contains("OUT/s") && !narrow[3].contains("READERS"), "{}", narrow[3]);
    }

    #[test]
    fn numbers_stay_short() {
        assert_eq!(compact(999_999), "999,999");
        assert_eq!(compact(12_345_678), "12.35M");
        assert_eq!(compact(u64::MAX), "18446744.07T");
        assert_eq!((rate(0.0), rate(9.94), rate(10.4)), ("0".into(), "9.9".into(), "10".into()));
    }
}
