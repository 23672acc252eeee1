//! What is said of where spans go.

use serde_json::{Value, json};

use super::value::Setting;

/// A text that need not be there.
impl Setting for Option<String> {
    fn read(text: &str) -> Result<Option<String>, String> {
        String::read(text).map(Some)
    }

    fn shown(&self) -> String {
        self.clone().unwrap_or_default()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Headers of a request; their values are secrets, and are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Setting for Headers {
    fn read(text: &str) -> Result<Headers, String> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = pairs.map(pair).collect::<Option<_>>();
        headers.map(Headers).ok_or_else(|| "it should be name=value,name=value".to_owned())
    }

    fn shown(&self) -> String {
        let hidden: Vec<_> = self.0.iter().map(|(name, _)| format!("{name}=***")).collect();
        hidden.join(",")
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio(pub(crate) f64);

impl Setting for Ratio {
    fn read(text: &str) -> Result<Ratio, String> {
        let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Ratio).ok_or_else(|| "it should be a number from 0 to 1, as 0.01".to_owned())
    }

    fn shown(&self) -> String {
        self.0.to_string()
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_their_values_are_not_shown() {
        let headers = Headers::read("authorization=Bearer a=b, x=1").expect("two headers");
        assert_eq!(headers.0[0], ("authorization".to_owned(), "Bearer a=b".to_owned()));
        assert_eq!(headers.shown(), "authorization=***,x=***");
        assert!(!format!("{headers:?}").contains("Bearer"));
        assert!(Headers::read("authorization").is_err());
    }

    #[test]
    fn a_ratio_is_a_part() {
        assert_eq!(Ratio::read("0.25"), Ok(Ratio(0.25)));
        for wrong in ["1.1", "-1", "NaN", "half"] {
            assert!(Ratio::read(wrong).is_err(), "{wrong}");
        }
    }
}
