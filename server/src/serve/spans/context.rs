//! W3C Trace Context: which trace something belongs to, and to which span in it.

/// The header that names the trace and the span above.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// The header with what others add to it.
pub(crate) const TRACESTATE: &str = "tracestate";
/// A longer state is left out (the recommendation says that at least 512 bytes are kept).
const STATE_BYTES_MAX: usize = 512;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
    /// Whether whoever began the trace keeps it.
    pub(crate) is_sampled: bool,
    /// What others added.
    pub(crate) state: String,
}

impl Context {
    /// Reads the two headers; None if the first is not as the recommendation says. The second is
    /// left out where it is too long or no text.
    pub(crate) fn read(parent: &[u8], state: Option<&[u8]>) -> Option<Context> {
        let text = std::str::from_utf8(parent).ok()?;
        let mut parts = text.split('-');
        let version: [u8; 1] = hex(parts.next()?)?;
        let trace = hex(parts.next()?)?;
        let span = hex(parts.next()?)?;
        let flags: [u8; 1] = hex(parts.next()?)?;
        // Version 0 has nothing more; later ones may add to it, and ff is none.
        let more = parts.next().is_some();
        if version == [0xff] || (version == [0] && more) || trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let state = state.filter(|state| state.len() <= STATE_BYTES_MAX);
        let state = state.and_then(|state| std::str::from_utf8(state).ok()).unwrap_or_default();
        Some(Context { trace, span, is_sampled: flags[0] & 1 == 1, state: state.to_owned() })
    }
}

/// Lower-case hexadecimal digits, exactly as many as fit.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_recommendation_gives_as_an_example_is_understood() {
        let context = Context::read(PARENT.as_bytes(), Some(b"congo=t61")).expect("an example");
        assert_eq!(context.trace[..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(context.span, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        assert!(context.is_sampled);
        assert_eq!(context.state, "congo=t61");
        let not_kept = PARENT.replace("-01", "-00");
        assert!(!Context::read(not_kept.as_bytes(), None).expect("an example").is_sampled);
        let later = PARENT.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert!(Context::read(later.as_bytes(), None).is_some());
    }

    #[test]
    fn what_is_not_as_it_should_be_names_no_trace() {
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert_eq!(Context::read(wrong.as_bytes(), None), None, "{wrong}");
        }
        let long = [b'a'; STATE_BYTES_MAX + 1];
        let context = Context::read(PARENT.as_bytes(), Some(&long)).expect("the first is fine");
        assert_eq!(context.state, "");
    }
}
