//! What waits to be sent on one connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// A WebSocket message is begun with what waits, up to about this size: large enough to share the
/// cost of a message, and far below what clients refuse.
const MESSAGE_BYTES: usize = 1 << 20;

/// How a connection ends, as its WebSocket close frame says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    /// The close code of RFC 6455.
    pub(crate) code: u16,
    /// Why, for people; at most 123 bytes.
    pub(crate) reason: String,
}

/// The close code that no close frame has (RFC 6455, 7.4.1): the connection just ends.
const ABNORMAL: u16 = 1006;

impl Closing {
    /// An end without a goodbye.
    pub(crate) fn cut() -> Closing {
        Closing { code: ABNORMAL, reason: "the connection was cut, by a fault".to_owned() }
    }

    /// Whether it is one without a goodbye.
    pub(crate) fn is_cut(&self) -> bool {
        self.code == ABNORMAL
    }
}

/// What is to be done with a connection next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Send these frames.
    Frames(Bytes),
    /// Send this text.
    Text(String),
    /// Close it.
    Close(Closing),
}

/// The events of one connection between the moment they were decided and their way out. The shard
/// announces them, the journal hands them over when they may leave, the writer takes them.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
    /// Bytes announced and not yet written.
    queued: AtomicUsize,
    /// What may be queued before the connection is closed.
    queued_max: usize,
    written: Notify,
    /// Whether the connection has begun with its session.
    opened: AtomicBool,
    /// Whether it ends without a goodbye.
    cut: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    closing: Option<Closing>,
    /// Whether nothing is sent any more.
    is_cut: bool,
}

/// Something that may leave.
#[derive(Debug)]
enum Piece {
    Frames(Bytes),
    Text(String),
}

impl Waiting {
    /// Takes the next frames, if they fit into a message that has so much already.
    fn next_that_fits(&mut self, so_far: usize) -> Option<Bytes> {
        let fits = |piece: &mut Piece| match piece {
            Piece::Frames(frames) => so_far + frames.len() <= MESSAGE_BYTES,
            Piece::Text(_) => false,
        };
        match self.pieces.pop_front_if(fits)? {
            Piece::Frames(frames) => Some(frames),
            Piece::Text(_) => None,
        }
    }
}

impl Mailbox {
    /// An empty one, in which so many bytes may wait.
    pub(crate) fn new(queued_max: usize) -> Mailbox {
        Mailbox {
            waiting: Mutex::default(),
            changed: Notify::new(),
            queued: AtomicUsize::new(0),
            queued_max,
            written: Notify::new(),
            opened: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }
    }

    /// What may be queued before the connection is closed.
    pub(crate) fn queued_bytes_max(&self) -> usize {
        self.queued_max
    }

    /// The connection has begun with its session.
    pub(crate) fn set_opened(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn is_opened(&self) -> bool {
        self.opened.load(Ordering::Relaxed)
    }

    /// Whether it ends without a goodbye.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Bytes that were announced and are not yet written.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Says that frames will come.
    pub(crate) fn announce(&self, bytes: usize) {
        self.queued.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Hands over frames that were announced and may leave.
    pub(crate) fn deliver(&self, frames: Bytes) {
        self.waiting().pieces.push_back(Piece::Frames(frames));
        self.changed.notify_one();
    }

    /// Hands over a text that was announced and may leave.
    pub(crate) fn deliver_text(&self, text: String) {
        self.waiting().pieces.push_back(Piece::Text(text));
        self.changed.notify_one();
    }

    /// Closes the connection after what was delivered.
    pub(crate) fn close(&self, closing: Closing) {
        self.cut.fetch_or(closing.is_cut(), Ordering::Relaxed);
        self.waiting().closing.get_or_insert(closing);
        self.changed.notify_one();
    }

    /// Ends the connection at once, whatever waits.
    pub(crate) fn cut(&self) {
        self.waiting().is_cut = true;
        self.close(Closing::cut());
    }

    /// Takes what is to be sent next, waiting for it.
    pub(crate) async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.take() {
                return outgoing;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Outgoing> {
        let mut waiting = self.waiting();
        if waiting.is_cut {
            return waiting.closing.take().map(Outgoing::Close);
        }
        let first = match waiting.pieces.pop_front() {
            Some(Piece::Frames(first)) => first,
            Some(Piece::Text(text)) => return Some(Outgoing::Text(text)),
            None => return waiting.closing.take().map(Outgoing::Close),
        };
        let Some(next) = waiting.next_that_fits(first.len()) else {
            return Some(Outgoing::Frames(first));
        };
        let mut message = BytesMut::from(first);
        message.extend_from_slice(&next);
        while let Some(next) = waiting.next_that_fits(message.len()) {
            message.extend_from_slice(&next);
        }
        Some(Outgoing::Frames(message.freeze()))
    }

    /// Says that frames were written.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
        self.written.notify_one();
    }

    /// Waits until the connection has read enough to be listened to: a quarter of what may wait.
    pub(crate) async fn drained(&self) {
        while self.queued_bytes() > self.queued_max / 4 {
            self.written.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while holding a mailbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(mailbox: &Mailbox, frames: &'static [u8]) {
        mailbox.announce(frames.len());
        mailbox.deliver(Bytes::from_static(frames));
    }

    #[test]
    fn what_waits_leaves_in_one_message_and_in_order() {
        let mailbox = Mailbox::new(64 << 20);
        deliver(&mailbox, b"one ");
        deliver(&mailbox, b"two ");
        deliver(&mailbox, b"three");
        let expected = Outgoing::Frames(Bytes::from_static(b"one two three"));
        assert_eq!(mailbox.take(), Some(expected));
        assert_eq!(mailbox.take(), None);
        assert_eq!(mailbox.queued_bytes(), 13);
        mailbox.wrote(13);
        assert_eq!(mailbox.queued_bytes(), 0);
    }

    #[test]
    fn a_text_leaves_between_the_frames_before_and_after_it() {
        let mailbox = Mailbox::new(64 << 20);
        deliver(&mailbox, b"one ");
        deliver(&mailbox, b"two");
        mailbox.deliver_text("answer".into());
        deliver(&mailbox, b"three");
        let frames = |bytes| Some(Outgoing::Frames(Bytes::from_static(bytes)));
        assert_eq!(mailbox.take(), frames(b"one two"));
        assert_eq!(mailbox.take(), Some(Outgoing::Text("answer".into())));
        assert_eq!(mailbox.take(), frames(b"three"));
    }

    #[test]
    fn a_mailbox_that_is_cut_sends_nothing_more() {
        let mailbox = Mailbox::new(64 << 20);
        deliver(&mailbox, b"one");
        mailbox.cut();
        deliver(&mailbox, b"two");
        assert_eq!(mailbox.take(), Some(Outgoing::Close(Closing::cut())));
        assert_eq!((mailbox.take(), mailbox.is_cut()), (None, true));
    }

    #[test]
    fn a_message_does_not_grow_without_bound() {
        static LARGE: [u8; MESSAGE_BYTES] = [7; MESSAGE_BYTES];
        let mailbox = Mailbox::new(64 << 20);
        deliver(&mailbox, b"small");
        deliver(&mailbox, &LARGE);
        deliver(&mailbox, b"small");
        let sizes: Vec<usize> = std::iter::from_fn(|| mailbox.take())
            .map(|outgoing| match outgoing {
                Outgoing::Frames(frames) => frames.len(),
                other @ (Outgoing::Text(_) | Outgoing::Close(_)) => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [5, MESSAGE_BYTES, 5]);
    }

    #[test]
    fn what_was_delivered_leaves_before_the_close_and_the_first_reason_stays() {
        let mailbox = Mailbox::new(64 << 20);
        let first = Closing { code: 1001, reason: "going".into() };
        mailbox.close(first.clone());
        mailbox.close(Closing { code: 1002, reason: "gone".into() });
        deliver(&mailbox, b"last words");
        let words = Outgoing::Frames(Bytes::from_static(b"last words"));
        assert_eq!(mailbox.take(), Some(words));
        assert_eq!(mailbox.take(), Some(Outgoing::Close(first)));
    }
}
