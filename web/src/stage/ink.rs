//! Drawing on a canvas: the few shapes that the stage is made of.

use std::f64::consts::{FRAC_PI_2, TAU};

use web_sys::CanvasRenderingContext2d;

use super::geometry::{Point, Rect};

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Middle,
    Right,
}

/// A canvas to draw on.
#[derive(Clone, Debug)]
pub(crate) struct Ink(CanvasRenderingContext2d);

impl Ink {
    pub(crate) fn on(context: CanvasRenderingContext2d) -> Ink {
        Ink(context)
    }

    /// Wipes the canvas, and sets its scale to the screen's and its origin to what is scrolled to.
    pub(crate) fn begin(&self, width: f64, height: f64, ratio: f64, scroll: f64) {
        self.0.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).unwrap_or_default();
        self.0.clear_rect(0.0, 0.0, width, height);
        self.0.translate(0.0, -scroll).unwrap_or_default();
        self.0.set_text_baseline("middle");
        self.0.set_line_cap("round");
        self.0.set_line_join("round");
    }

    pub(crate) fn alpha(&self, alpha: f64) {
        self.0.set_global_alpha(alpha);
    }

    pub(crate) fn width(&self, width: f64) {
        self.0.set_line_width(width);
    }

    pub(crate) fn dash(&self, lengths: &[f64]) {
        let dash: js_sys::Array = lengths.iter().map(|n| wasm_bindgen::JsValue::from(*n)).collect();
        self.0.set_line_dash(&dash).unwrap_or_default();
    }

    pub(crate) fn line(&self, from: Point, to: Point, colour: &str) {
        self.0.begin_path();
        self.0.move_to(from.x, from.y);
        self.0.line_to(to.x, to.y);
        self.0.set_stroke_style_str(colour);
        self.0.stroke();
    }

    /// Many lines of one colour.
    pub(crate) fn lines(&self, lines: &[(Point, Point)], colour: &str) {
        self.0.begin_path();
        for (from, to) in lines {
            self.0.move_to(from.x, from.y);
            self.0.line_to(to.x, to.y);
        }
        self.0.set_stroke_style_str(colour);
        self.0.stroke();
    }

    /// A wire: level at both ends, bent in between.
    pub(crate) fn wire(&self, from: Point, to: Point, colour: &str) {
        let bend = (to.x - from.x) * 0.5;
        self.0.begin_path();
        self.0.move_to(from.x, from.y);
        self.0.bezier_curve_to(from.x + bend, from.y, to.x - bend, to.y, to.x, to.y);
        self.0.set_stroke_style_str(colour);
        self.0.stroke();
    }

    pub(crate) fn fill_rect(&self, rect: Rect, colour: &str) {
        self.0.set_fill_style_str(colour);
        self.0.fill_rect(rect.x, rect.y, rect.w, rect.h);
    }

    pub(crate) fn stroke_rect(&self, rect: Rect, colour: &str) {
        self.0.set_stroke_style_str(colour);
        self.0.stroke_rect(rect.x, rect.y, rect.w, rect.h);
    }

    fn round(&self, rect: Rect, radius: f64) {
        let r = radius.min(rect.w / 2.0).min(rect.h / 2.0).max(0.0);
        let (left, top, right, bottom) = (rect.x, rect.y, rect.right(), rect.bottom());
        self.0.begin_path();
        self.0.move_to(left + r, top);
        for (a, b, c, d) in [
            (right, top, right, bottom),
            (right, bottom, left, bottom),
            (left, bottom, left, top),
            (left, top, right, top),
        ] {
            self.0.arc_to(a, b, c, d, r).unwrap_or_default();
        }
        self.0.close_path();
    }

    pub(crate) fn fill_round(&self, rect: Rect, radius: f64, colour: &str) {
        self.round(rect, radius);
        self.0.set_fill_style_str(colour);
        self.0.fill();
    }

    pub(crate) fn stroke_round(&self, rect: Rect, radius: f64, colour: &str) {
        self.round(rect, radius);
        self.0.set_stroke_style_str(colour);
        self.0.stroke();
    }

    pub(crate) fn disc(&self, at: Point, radius: f64, colour: &str) {
        self.discs(&[at], radius, colour);
    }

    /// Many discs of one colour and size, as one path for every 2,000.
    pub(crate) fn discs(&self, places: &[Point], radius: f64, colour: &str) {
        self.0.set_fill_style_str(colour);
        for places in places.chunks(2_000) {
            self.circles(places, radius);
            self.0.fill();
        }
    }

    pub(crate) fn ring(&self, at: Point, radius: f64, colour: &str) {
        self.rings(&[at], radius, colour);
    }

    /// Many rings of one colour and size, as one path for every 2,000.
    pub(crate) fn rings(&self, places: &[Point], radius: f64, colour: &str) {
        self.0.set_stroke_style_str(colour);
        for places in places.chunks(2_000) {
            self.circles(places, radius);
            self.0.stroke();
        }
    }

    fn circles(&self, places: &[Point], radius: f64) {
        self.0.begin_path();
        for at in places {
            self.0.move_to(at.x + radius, at.y);
            self.0.arc(at.x, at.y, radius, 0.0, TAU).unwrap_or_default();
        }
    }

    /// A part (0 to 1) of a ring, from its top clockwise.
    pub(crate) fn arc(&self, at: Point, radius: f64, part: f64, colour: &str) {
        let part = part.clamp(0.0, 1.0);
        if part > 0.0 {
            self.0.begin_path();
            let end = TAU * part - FRAC_PI_2;
            self.0.arc(at.x, at.y, radius, -FRAC_PI_2, end).unwrap_or_default();
            self.0.set_stroke_style_str(colour);
            self.0.stroke();
        }
    }

    /// A closed shape.
    pub(crate) fn shape(&self, points: &[Point], colour: &str, is_filled: bool) {
        let Some((first, rest)) = points.split_first() else { return };
        self.0.begin_path();
        self.0.move_to(first.x, first.y);
        rest.iter().for_each(|p| self.0.line_to(p.x, p.y));
        self.0.close_path();
        if is_filled {
            self.0.set_fill_style_str(colour);
            self.0.fill();
        } else {
            self.0.set_stroke_style_str(colour);
            self.0.stroke();
        }
    }

    pub(crate) fn font(&self, font: &str) {
        self.0.set_font(font);
    }

    pub(crate) fn text(&self, text: &str, at: Point, align: Align, colour: &str) {
        self.0.set_text_align(match align {
            Align::Left => "left",
            Align::Middle => "center",
            Align::Right => "right",
        });
        self.0.set_fill_style_str(colour);
        self.0.fill_text(text, at.x, at.y).unwrap_or_default();
    }

    pub(crate) fn text_width(&self, text: &str) -> f64 {
        self.0.measure_text(text).map_or(0.0, |metrics| metrics.width())
    }

    /// The text, cut with an ellipsis so that it is no wider.
    pub(crate) fn fitted(&self, text: &str, width: f64) -> String {
        if self.text_width(text) <= width {
            return text.to_owned();
        }
        let mut cut: Vec<char> = text.chars().collect();
        while cut.pop().is_some() {
            let shorter: String = cut.iter().collect::<String>() + "…";
            if self.text_width(&shorter) <= width {
                return shorter;
            }
        }
        String::new()
    }
}
