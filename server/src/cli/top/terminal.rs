//! The terminal: its other screen, its keys, and the loop that draws.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc;

use fanlight_server::client::Client;

use super::sample::{Picture, Sampler};
use super::screen::{self, Line, Style, View};
use super::{Column, Only, Options, Wish};
use crate::cli::Session;
use crate::cli::failure::Failure;
use crate::cli::output;

/// How long a server that is gone may take to be there again, until it is asked again.
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// The terminal, as it was when this is dropped.
struct Terminal {
    colours: bool,
}

impl Terminal {
    fn open() -> Result<Terminal, Failure> {
        let failed = |error: io::Error| {
            Failure::failed(format!("the terminal cannot be drawn on: {error}; --once prints once"))
        };
        enable_raw_mode().map_err(failed)?;
        let terminal = Terminal { colours: output::colours_are_wanted() };
        execute!(io::stdout(), EnterAlternateScreen, Hide).map_err(failed)?;
        Ok(terminal)
    }

    fn draw(&self, lines: &[Line]) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout());
        queue!(out, BeginSynchronizedUpdate)?;
        for (y, line) in (0..).zip(lines) {
            queue!(out, MoveTo(0, y))?;
            for (style, text) in line {
                self.style(&mut out, *style)?;
                queue!(out, Print(text), SetAttribute(Attribute::Reset), ResetColor)?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }

    fn style(&self, out: &mut impl Write, style: Style) -> io::Result<()> {
        match style {
            Style::Plain => Ok(()),
            Style::Bold => queue!(out, SetAttribute(Attribute::Bold)),
            Style::Dim => queue!(out, SetAttribute(Attribute::Dim)),
            Style::Alert if self.colours => queue!(out, SetForegroundColor(Color::Yellow)),
            Style::Alert => queue!(out, SetAttribute(Attribute::Bold)),
            Style::Bar => queue!(out, SetAttribute(Attribute::Reverse)),
            Style::BarChosen => {
                queue!(out, SetAttribute(Attribute::Reverse), SetAttribute(Attribute::Bold))
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that takes nothing any more cannot be mended.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// What a key does.
enum Does {
    Nothing,
    Redraw,
    Quit,
}

/// What the person at the terminal has chosen.
struct Chosen {
    wish: Wish,
    top: usize,
    typing: bool,
    paused: bool,
}

const SORTS: [Column; 8] = [
    Column::Kind,
    Column::Name,
    Column::Depth,
    Column::In,
    Column::Out,
    Column::Held,
    Column::Oldest,
    Column::Readers,
];
const KINDS: [Only; 4] = [Only::All, Only::Queues, Only::Topics, Only::Groups];

/// The one that lies `by` further on, round and round.
fn turned<T: Copy + PartialEq>(all: &[T], now: T, by: usize) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or_default();
    all[(at + by) % all.len()]
}

impl Chosen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "keys are many, and most do nothing")]
    fn key(&mut self, key: KeyEvent, rows: usize, room: usize) -> Does {
        if key.kind == KeyEventKind::Release {
            return Does::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Does::Quit;
        }
        if self.typing {
            return self.typed(key.code);
        }
        let last = rows.saturating_sub(room);
        self.top = self.top.min(last);
        match key.code {
            KeyCode::Char('q') => return Does::Quit,
            KeyCode::Esc if self.wish.find.is_empty() => return Does::Quit,
            KeyCode::Esc => self.wish.find.clear(),
            KeyCode::Right => self.wish.sort = turned(&SORTS, self.wish.sort, 1),
            KeyCode::Left => self.wish.sort = turned(&SORTS, self.wish.sort, SORTS.len() - 1),
            KeyCode::Char('r') => self.wish.reverse = !self.wish.reverse,
            KeyCode::Tab => self.wish.only = turned(&KINDS, self.wish.only, 1),
            KeyCode::BackTab => self.wish.only = turned(&KINDS, self.wish.only, KINDS.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.top = (self.top + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::PageDown => self.top = (self.top + room).min(last),
            KeyCode::PageUp => self.top = self.top.saturating_sub(room),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = last,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            _ => return Does::Nothing,
        }
        Does::Redraw
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "keys are many, and most do nothing")]
    fn typed(&mut self, code: KeyCode) -> Does {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.wish.find.clear();
            }
            KeyCode::Backspace => {
                self.wish.find.pop();
            }
            KeyCode::Char(c) => self.wish.find.push(c),
            _ => return Does::Nothing,
        }
        self.top = 0;
        Does::Redraw
    }
}

/// Hands on what is typed. The thread ends with the process: nothing else ends a read.
fn inputs() -> mpsc::UnboundedReceiver<Input> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(input) = event::read() {
            if sender.send(input).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Draws until somebody quits.
pub(super) async fn run(
    options: &Options,
    session: &Session,
    client: Client,
) -> Result<(), Failure> {
    let mut chosen = Chosen { wish: Wish::of(options), top: 0, typing: false, paused: false };
    let mut sampler = Sampler::default();
    let mut client = Some(client);
    let mut picture = Picture::default();
    let mut trouble: Option<String> = None;
    let server = session.server.to_string();
    let terminal = Terminal::open()?;
    let mut inputs = inputs();
    let mut ticks = tokio::time::interval(options.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stopped = std::pin::pin!(stopped());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if chosen.paused {
                    continue;
                }
                match look(&mut client, session, &mut sampler).await {
                    Ok(new) => (picture, trouble) = (new, None),
                    Err(failure) => {
                        let why = failure.to_string();
                        // What to do about it follows, and is known: it is tried again.
                        let why = why.split("; ").next().unwrap_or_default();
                        trouble = Some(format!("{why}; trying again"));
                    }
                }
            }
            input = inputs.recv() => match input {
                Some(Input::Key(key)) => {
                    let rows = chosen.wish.rows(&picture).len();
                    let height = size().map_or(24, |(_, height)| height);
                    match chosen.key(key, rows, screen::room(height)) {
                        Does::Nothing => continue,
                        Does::Redraw => {}
                        Does::Quit => break,
                    }
                }
                Some(_) => {}
                // Nobody can type any more, so nobody could end it.
                None => break,
            },
            () = &mut stopped => break,
        }
        let (width, height) = size().unwrap_or((80, 24));
        let view = View {
            wish: &chosen.wish,
            server: &server,
            top: chosen.top,
            typing: chosen.typing,
            paused: chosen.paused,
            trouble: trouble.as_deref(),
        };
        terminal.draw(&screen::draw(&picture, &view, width, height))?;
    }
    drop(terminal);
    if let Some(client) = client {
        client.close().await;
    }
    Ok(())
}

/// Looks at the broker, over a new connection if the last one ended.
async fn look(
    client: &mut Option<Client>,
    session: &Session,
    sampler: &mut Sampler,
) -> Result<Picture, Failure> {
    let mut connected = match client.take() {
        Some(connected) => connected,
        None => {
            tokio::time::sleep(RECONNECT_EVERY).await;
            // A server that was started anew counts anew.
            *sampler = Sampler::default();
            session.connect("top").await?
        }
    };
    let overview = connected.overview().await?;
    *client = Some(connected);
    Ok(sampler.take(overview, Instant::now()))
}

/// Somebody ends this process, and the terminal has to be put right before.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminated), Ok(mut hung_up)) =
            (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        }
    }
    #[cfg(not(unix))]
    std::future::pending::<()>().await;
}
