//! The colours of the stage, read from the style sheet's tokens, so that the canvases and the
//! panels cannot disagree.

use web_sys::{CssStyleDeclaration, Window};

/// Every colour and font that the canvases use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Palette {
    pub(crate) ready: String,
    pub(crate) leased: String,
    pub(crate) settled: String,
    pub(crate) redelivered: String,
    pub(crate) dead: String,
    pub(crate) selected: String,
    pub(crate) selected_edge: String,
    pub(crate) stage: String,
    pub(crate) panel: String,
    pub(crate) line: String,
    pub(crate) line_strong: String,
    pub(crate) text: String,
    pub(crate) text_soft: String,
    pub(crate) text_faint: String,
    pub(crate) font: String,
    pub(crate) mono: String,
}

impl Palette {
    /// As the document's theme has them now.
    pub(crate) fn read(window: &Window) -> Palette {
        let root = window.document().and_then(|document| document.document_element());
        let style = root.and_then(|root| window.get_computed_style(&root).ok().flatten());
        style.map(|style| Palette::from_style(&style)).unwrap_or_default()
    }

    fn from_style(style: &CssStyleDeclaration) -> Palette {
        let token = |name: &str| {
            let value = style.get_property_value(name).unwrap_or_default();
            value.trim().to_owned()
        };
        Palette {
            ready: token("--ready"),
            leased: token("--leased"),
            settled: token("--settled"),
            redelivered: token("--redelivered"),
            dead: token("--dead"),
            selected: token("--selected"),
            selected_edge: token("--selected-edge"),
            stage: token("--stage"),
            panel: token("--panel"),
            line: token("--line"),
            line_strong: token("--line-strong"),
            text: token("--text"),
            text_soft: token("--text-soft"),
            text_faint: token("--text-faint"),
            font: token("--font"),
            mono: token("--mono"),
        }
    }
}
