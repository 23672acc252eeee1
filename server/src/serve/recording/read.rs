//! Reading a recording.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanlight_core::codec::HEADER_BYTES;

use super::{FORMAT, MAGIC};

/// A frame of a recording, as it lies there.
pub(super) struct Raw {
    /// Where it begins.
    pub(super) at: u64,
    /// What it is.
    pub(super) kind: u8,
    /// With its header.
    pub(super) bytes: Vec<u8>,
}

impl Raw {
    /// Without its header.
    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// Why a file is no recording that can be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The operating system refused it.
    Io(PathBuf, io::Error),
    /// It is something else.
    Other(PathBuf),
    /// It was written by a later version.
    Newer(PathBuf, u32),
    /// It is not as it was written.
    Damaged {
        /// Where.
        at: u64,
        /// In what way.
        what: String,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Unreadable::Other(path) => write!(
                f,
                "{} is not a recording; `fanlight serve --record FILE` makes one",
                path.display()
            ),
            Unreadable::Newer(path, format) => write!(
                f,
                "{} has format {format}, and this fanlight reads up to {FORMAT}: use a newer one",
                path.display()
            ),
            Unreadable::Damaged { at, what } => {
                write!(f, "the recording is damaged at byte {at}: {what}")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads frame after frame.
pub(super) struct Reader {
    path: PathBuf,
    file: Arc<File>,
    stream: BufReader<File>,
    at: u64,
    end: u64,
}

impl Reader {
    /// Opens a recording.
    pub(super) fn open(path: &Path) -> Result<Reader, Unreadable> {
        let io = |error| Unreadable::Io(path.to_owned(), error);
        let file = File::open(path).map_err(io)?;
        let end = file.metadata().map_err(io)?.len();
        let mut stream = BufReader::with_capacity(1 << 20, file.try_clone().map_err(io)?);
        let mut head = [0; 12];
        match stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Unreadable::Other(path.to_owned()));
            }
            Err(error) => return Err(io(error)),
        }
        let (magic, format) = head.split_at(MAGIC.len());
        let format = u32::from_le_bytes(format.try_into().expect("four bytes are left"));
        if magic != MAGIC {
            return Err(Unreadable::Other(path.to_owned()));
        }
        if format > FORMAT {
            return Err(Unreadable::Newer(path.to_owned(), format));
        }
        let at = head.len() as u64;
        Ok(Reader { path: path.to_owned(), file: Arc::new(file), stream, at, end })
    }

    /// The file, to read elsewhere in it.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// The next frame. None where there is no further whole one: see [`Reader::left`].
    pub(super) fn next(&mut self) -> Result<Option<Raw>, Unreadable> {
        let left = self.end - self.at;
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut bytes = vec![0; HEADER_BYTES];
        self.fill(&mut bytes)?;
        let length = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        if length == 0 {
            let what = "a frame is empty".to_owned();
            return Err(Unreadable::Damaged { at: self.at, what });
        }
        let whole = 4 + u64::from(length);
        if whole > left {
            return Ok(None);
        }
        bytes.resize(whole as usize, 0);
        self.fill(&mut bytes[HEADER_BYTES..])?;
        let raw = Raw { at: self.at, kind: bytes[4], bytes };
        self.at += whole;
        Ok(Some(raw))
    }

    /// Bytes after the last whole frame.
    pub(super) fn left(&self) -> u64 {
        self.end - self.at
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Unreadable> {
        let path = &self.path;
        self.stream.read_exact(bytes).map_err(|error| Unreadable::Io(path.clone(), error))
    }
}
