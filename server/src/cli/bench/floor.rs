//! What the machine does without a broker: the floors beside which a result says something.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use super::machine::file_system;
use super::measure::Latencies;
use super::options::{Extent, Plan};
use super::own::directory;
use crate::cli::failure::Failure;

/// How long each floor is measured at most.
const FLOOR_TIME: Duration = Duration::from_secs(2);
/// How long where a number of messages is measured, which says nothing of a time.
const FLOOR_TIME_SHORT: Duration = Duration::from_millis(500);
/// A file is written anew from its beginning when it is this large, as a journal gives space back.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// What the echo reads at once.
const ECHO_BUFFER_BYTES: usize = 256 << 10;

/// How floors are measured.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    dir: Option<PathBuf>,
}

/// What one floor did.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    pub(super) messages: u64,
    pub(super) took: Duration,
    /// Of each piece that was written at once.
    pub(super) latencies: Latencies,
}

/// What they all did.
#[derive(Clone, Debug)]
pub(super) struct Floors {
    /// There and back through loopback, by one thread on each side.
    pub(super) echo: Bare,
    /// Appended to a file.
    pub(super) append: Bare,
    /// The same, each piece followed by a sync.
    pub(super) sync: Bare,
    pub(super) file_system: Option<String>,
}

impl Bare {
    pub(super) fn rate(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

impl Floor {
    /// Floors whose files are in `dir`, or where temporary files are.
    pub(super) fn of(dir: Option<PathBuf>) -> Floor {
        Floor { dir }
    }

    /// Measures what the plan's messages cost at least.
    pub(super) fn measure(&self, plan: &Plan) -> Result<Floors, Failure> {
        let time = match plan.extent {
            Extent::Time(time) => time.min(FLOOR_TIME),
            Extent::Messages(_) => FLOOR_TIME_SHORT,
        };
        let window = (plan.in_flight / plan.batch).max(1);
        let piece = Piece { bytes: plan.size * plan.batch, messages: plan.batch as u64 };
        let failed = |what: &'static str| {
            move |error| Failure::failed(format!("{what} could not be measured: {error}"))
        };
        let echo = echo(piece, window, time).map_err(failed("a loopback echo"))?;
        let dir = directory(self.dir.as_deref());
        let written = appends(&dir, piece, time);
        let file_system = file_system(&dir);
        // What was written is of no use to anyone, also where it failed.
        let _ = std::fs::remove_dir_all(&dir);
        let (append, sync) = written.map_err(failed("appending to a file"))?;
        Ok(Floors { echo, append, sync, file_system })
    }
}

/// What is written at once.
#[derive(Clone, Copy)]
struct Piece {
    bytes: usize,
    messages: u64,
}

/// Pieces through a loopback socket and back, so many on the way at once.
fn echo(piece: Piece, window: usize, time: Duration) -> io::Result<Bare> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; ECHO_BUFFER_BYTES];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                read => stream.write_all(&buffer[..read])?,
            }
        }
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut writing = stream.try_clone()?;
    let begun = Instant::now();
    let (sent, coming) = sync_channel::<Instant>(window);
    let writer = std::thread::spawn(move || -> io::Result<()> {
        let bytes = vec![b'x'; piece.bytes];
        while begun.elapsed() < time {
            if sent.send(Instant::now()).is_err() {
                break;
            }
            writing.write_all(&bytes)?;
        }
        Ok(())
    });
    let (mut latencies, mut messages) = (Latencies::new(), 0);
    let mut bytes = vec![0; piece.bytes];
    let mut read = || -> io::Result<()> {
        while let Ok(at) = coming.recv() {
            stream.read_exact(&mut bytes)?;
            latencies.record(at.elapsed().as_nanos() as u64);
            messages += piece.messages;
        }
        Ok(())
    };
    let result = read();
    let took = begun.elapsed();
    drop((coming, stream));
    let joined = |thread: std::thread::JoinHandle<io::Result<()>>| {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    result.and(joined(writer)).and(joined(server))?;
    Ok(Bare { messages, took, latencies })
}

/// Pieces appended to a file; and to another, each with a sync.
fn appends(dir: &Path, piece: Piece, time: Duration) -> io::Result<(Bare, Bare)> {
    std::fs::create_dir_all(dir)?;
    let open =
        |name| OpenOptions::new().write(true).create(true).truncate(true).open(dir.join(name));
    let append = append(open("append")?, piece, time, |_| Ok(()))?;
    let sync = append_synced(open("sync")?, piece, time)?;
    Ok((append, sync))
}

fn append_synced(file: File, piece: Piece, time: Duration) -> io::Result<Bare> {
    append(file, piece, time, File::sync_data)
}

fn append(
    mut file: File,
    piece: Piece,
    time: Duration,
    after: impl Fn(&File) -> io::Result<()>,
) -> io::Result<Bare> {
    let bytes = vec![b'x'; piece.bytes];
    let (mut latencies, mut messages, mut length) = (Latencies::new(), 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let at = Instant::now();
        if length > FILE_BYTES_MAX {
            file.seek(SeekFrom::Start(0))?;
            file.set_len(0)?;
            length = 0;
        }
        file.write_all(&bytes)?;
        after(&file)?;
        length += piece.bytes as u64;
        messages += piece.messages;
        latencies.record(at.elapsed().as_nanos() as u64);
    }
    Ok(Bare { messages, took: begun.elapsed(), latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_an_echo_comes_back_also_when_it_is_larger_than_a_buffer() {
        for bytes in [16, ECHO_BUFFER_BYTES * 5] {
            let piece = Piece { bytes, messages: 4 };
            let bare = echo(piece, 3, Duration::from_millis(20)).expect("loopback is there");
            assert!(bare.messages > 0);
            assert_eq!(bare.messages, 4 * bare.latencies.count());
        }
    }

    #[test]
    fn appends_are_counted_by_pieces() {
        let dir = tempfile::tempdir().expect("a directory");
        let piece = Piece { bytes: 100, messages: 2 };
        let time = Duration::from_millis(10);
        let (append, sync) = appends(&dir.path().join("new"), piece, time).expect("a disk");
        for bare in [append, sync] {
            assert!(bare.messages > 0);
            assert_eq!(bare.messages, 2 * bare.latencies.count());
        }
    }
}
