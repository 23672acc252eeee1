//! Points, boxes and paths.

/// A place on the stage, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Point {
    pub(crate) fn at(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    pub(crate) fn distance(self, other: Point) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    fn towards(self, other: Point, part: f64) -> Point {
        Point::at(self.x + (other.x - self.x) * part, self.y + (other.y - self.y) * part)
    }
}

/// A box on the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) w: f64,
    pub(crate) h: f64,
}

impl Rect {
    pub(crate) fn new(x: f64, y: f64, w: f64, h: f64) -> Rect {
        Rect { x, y, w, h }
    }

    pub(crate) fn right(self) -> f64 {
        self.x + self.w
    }

    pub(crate) fn bottom(self) -> f64 {
        self.y + self.h
    }

    pub(crate) fn middle(self) -> Point {
        Point::at(self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    pub(crate) fn contains(self, p: Point) -> bool {
        p.x >= self.x && p.x <= self.right() && p.y >= self.y && p.y <= self.bottom()
    }

    /// The same with so much more on every side.
    pub(crate) fn grown(self, by: f64) -> Rect {
        Rect::new(self.x - by, self.y - by, self.w + 2.0 * by, self.h + 2.0 * by)
    }
}

/// The point at `part` (0 to 1) of the length of a path.
pub(crate) fn along(path: &[Point], part: f64) -> Point {
    let Some(&last) = path.last() else { return Point::default() };
    let length: f64 = path.windows(2).map(|leg| leg[0].distance(leg[1])).sum();
    let mut rest = length * part.clamp(0.0, 1.0);
    for leg in path.windows(2) {
        let here = leg[0].distance(leg[1]);
        if rest <= here {
            let part = if here > 0.0 { rest / here } else { 1.0 };
            return leg[0].towards(leg[1], part);
        }
        rest -= here;
    }
    last
}

/// Slow, fast, slow.
pub(crate) fn eased(part: f64) -> f64 {
    let p = part.clamp(0.0, 1.0);
    p * p * (3.0 - 2.0 * p)
}
