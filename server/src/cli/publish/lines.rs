//! Lines that become records: read in their order, checked, and cut into batches.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use fanlight_core::Batch;
use tokio::sync::mpsc;

use super::check::{Checked, Fault, Rules};

/// Bytes of a line that is read at all; far over every record that a broker takes.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Bytes of one batch, unless a single record is larger: well under what a broker takes.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The file's name, or standard input.
    pub(crate) source: std::sync::Arc<str>,
    /// From 1.
    pub(crate) line: u64,
    /// Which it is of the lines of all sources.
    pub(crate) nth: u64,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// Lines that go to the broker together, in their order.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Their records: all with a key, or all without.
    pub(crate) batch: Batch,
    /// Where each stands.
    pub(crate) spots: Vec<Spot>,
    /// Bytes of their bodies.
    pub(crate) body_bytes: u64,
    /// Bytes of input up to its end, not counted in a chunk before.
    pub(crate) read_bytes: u64,
    /// Lines up to its end that were skipped because they are invalid.
    pub(crate) skipped: u64,
}

/// What the reading gives, in order.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Lines to publish.
    Chunk(Chunk),
    /// A line that cannot be published, or input that cannot be read: the end.
    Stop(String),
}

/// How lines are made into chunks.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// What a line has to be.
    pub(crate) rules: Rules,
    /// Headers for every record.
    pub(crate) headers: Vec<(String, String)>,
    /// Records of one batch.
    pub(crate) records_max: usize,
    /// Whether lines that are invalid are passed over.
    pub(crate) skip_invalid: bool,
}

/// Where lines come from.
pub(crate) enum Source {
    Stdin,
    File(PathBuf, File),
}

impl Source {
    /// Opens all files before anything is published, so that a name mistyped costs nothing.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Vec<Source>, String> {
        if paths.is_empty() {
            return Ok(vec![Source::Stdin]);
        }
        let open = |path: &PathBuf| {
            if path.as_os_str() == "-" {
                return Ok(Source::Stdin);
            }
            let unreadable = |why: &dyn std::fmt::Display| {
                format!("{} cannot be read: {why}; nothing was published", path.display())
            };
            let file = File::open(path).map_err(|error| unreadable(&error))?;
            match file.metadata() {
                Ok(meta) if meta.is_dir() => Err(unreadable(&"it is a directory")),
                Ok(_) | Err(_) => Ok(Source::File(path.clone(), file)),
            }
        };
        paths.iter().map(open).collect()
    }

    /// How many bytes it has, where that can be known.
    pub(crate) fn len(&self) -> Option<u64> {
        let of = |file: &File| file.metadata().ok().filter(|m| m.is_file()).map(|m| m.len());
        match self {
            Source::File(_, file) => of(file),
            #[cfg(unix)]
            Source::Stdin => {
                use std::os::fd::AsFd;
                let stdin = io::stdin().as_fd().try_clone_to_owned().ok()?;
                of(&File::from(stdin))
            }
            #[cfg(not(unix))]
            Source::Stdin => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Source::Stdin => "standard input".to_owned(),
            Source::File(path, _) => path.display().to_string(),
        }
    }

    fn reader(self) -> Box<dyn Read> {
        match self {
            Source::Stdin => Box::new(io::stdin()),
            Source::File(_, file) => Box::new(file),
        }
    }
}

/// Reads all sources on a thread of its own, at most a few chunks ahead.
pub(crate) fn read(sources: Vec<Source>, cut: Cut) -> mpsc::Receiver<Piece> {
    let (give, pieces) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut reading = Reading {
            give,
            cut,
            keyed: Chunk::default(),
            keyless: Chunk::default(),
            read_bytes: 0,
            skipped: 0,
            lines: 0,
        };
        for source in sources {
            if reading.source(source).is_err() {
                return;
            }
        }
    });
    pieces
}

/// Nobody takes what is read any more, or reading is over.
struct Over;

struct Reading {
    give: mpsc::Sender<Piece>,
    cut: Cut,
    /// Records without a key are batched apart from those with one: the broker puts a batch of
    /// them into one partition, so that each batch's count is known for each partition.
    keyed: Chunk,
    keyless: Chunk,
    read_bytes: u64,
    skipped: u64,
    lines: u64,
}

impl Reading {
    fn source(&mut self, source: Source) -> Result<(), Over> {
        let name: std::sync::Arc<str> = source.name().into();
        let mut reader = BufReader::with_capacity(READ_BYTES, source.reader());
        let mut line = Vec::new();
        let mut spot = Spot { source: name, line: 0, nth: self.lines };
        loop {
            line.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let read = match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(0) => return self.flush(),
                Ok(read) => read,
                Err(error) => {
                    return self.stop(format!("{spot} and what follows cannot be read: {error}"));
                }
            };
            spot.line += 1;
            spot.nth += 1;
            self.lines = spot.nth;
            self.read_bytes += read as u64;
            if read > LINE_BYTES_MAX {
                let why = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                return self.stop(format!("{spot}: {why}; each line has to be one message"));
            }
            self.line(&line, &spot)?;
            // What was read is sent before more is waited for: lines typed or piped in slowly
            // are published as they come.
            if reader.buffer().is_empty() {
                self.flush()?;
            }
        }
    }

    fn line(&mut self, line: &[u8], spot: &Spot) -> Result<(), Over> {
        let mut body = line.strip_suffix(b"\n").unwrap_or(line);
        body = body.strip_suffix(b"\r").unwrap_or(body);
        if spot.line == 1 && self.cut.rules != Rules::Raw {
            body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        }
        let Checked { key, blank } = match self.cut.rules.check(body) {
            Ok(checked) => checked,
            Err(_) if self.cut.skip_invalid => {
                self.skipped += 1;
                return Ok(());
            }
            Err(Fault { column, why, right }) => {
                let column = column.map(|column| format!(":{column}")).unwrap_or_default();
                return self.stop(format!(
                    "{spot}{column}: {why}; {right}; --skip-invalid passes over lines that are \
                     not right"
                ));
            }
        };
        if blank {
            return Ok(());
        }
        let chunk = if key.is_some() { &self.keyed } else { &self.keyless };
        let full = chunk.batch.len() >= self.cut.records_max
            || chunk.batch.record_bytes() + body.len() > BATCH_BYTES;
        if full && !chunk.batch.is_empty() {
            self.flush()?;
        }
        let headers = self.cut.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes()));
        let chunk = if key.is_some() { &mut self.keyed } else { &mut self.keyless };
        if let Err(why) = chunk.batch.push(key.as_deref(), headers, None, body) {
            return self.stop(format!("{spot}: the line cannot be a record: {why}"));
        }
        chunk.spots.push(spot.clone());
        chunk.body_bytes += body.len() as u64;
        if chunk.batch.len() >= self.cut.records_max {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Over> {
        let mut chunks = [std::mem::take(&mut self.keyed), std::mem::take(&mut self.keyless)];
        // In the order of their first lines.
        chunks.sort_by_key(|chunk| chunk.spots.first().map(|spot| spot.nth));
        // What was read without becoming a record is told with the last chunk, or alone.
        let last = &mut chunks[1];
        last.read_bytes = std::mem::take(&mut self.read_bytes);
        last.skipped = std::mem::take(&mut self.skipped);
        for chunk in chunks {
            if !chunk.batch.is_empty() || chunk.read_bytes > 0 {
                self.give.blocking_send(Piece::Chunk(chunk)).map_err(|_| Over)?;
            }
        }
        Ok(())
    }

    fn stop(&mut self, sentence: String) -> Result<(), Over> {
        self.flush()?;
        // If nobody listens any more, nobody needs to know.
        let _ = self.give.blocking_send(Piece::Stop(sentence));
        Err(Over)
    }
}
