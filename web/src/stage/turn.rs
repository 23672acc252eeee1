//! One turn of the loop: the world runs on, what moved is moved, what changed is drawn.

use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement, Window};

use super::geometry::Point;
use super::hit::hit;
use super::ink::Ink;
use super::lanes::Drawing;
use super::motion::Motion;
use super::palette::Palette;
use super::scene::Scene;
use super::{Seen, focus_actor};
use crate::focus::Focus;
use crate::hold::Hold;

/// More than this no eye sees, and every pixel costs.
const RATIO_MAX: f64 = 2.0;
/// The panels hear of changes this often.
const PULSE_MS: f64 = 100.0;

/// All that the loop keeps between frames.
pub(crate) struct Turn {
    world: Hold,
    window: Window,
    place: HtmlElement,
    canvases: [(HtmlCanvasElement, Ink); 2],
    palette: Palette,
    scene: Scene,
    motion: Motion,
    focus: Option<Focus>,
    size: (f64, f64, f64),
    scroll: f64,
    drawn_revision: u64,
    laid_out_revision: Option<u64>,
    run_seen: u64,
    told_ms: f64,
    told_revision: Option<u64>,
    is_stale: bool,
    tell: Box<dyn Fn(Seen)>,
}

impl Turn {
    pub(crate) fn new(
        world: Hold,
        place: HtmlElement,
        lower: HtmlCanvasElement,
        upper: HtmlCanvasElement,
        tell: Box<dyn Fn(Seen)>,
    ) -> Option<Turn> {
        let window = web_sys::window()?;
        let ink = |canvas: &HtmlCanvasElement| {
            let context = canvas.get_context("2d").ok().flatten()?;
            context.dyn_into::<CanvasRenderingContext2d>().ok().map(Ink::on)
        };
        let (below, above) = (ink(&lower)?, ink(&upper)?);
        let query = window.match_media("(prefers-reduced-motion: reduce)").ok().flatten();
        let is_reduced = query.is_some_and(|query| query.matches());
        let mut turn = Turn {
            world,
            place,
            canvases: [(lower, below), (upper, above)],
            palette: Palette::read(&window),
            window,
            scene: Scene::default(),
            motion: Motion::new(is_reduced),
            focus: None,
            size: (0.0, 0.0, 1.0),
            scroll: 0.0,
            drawn_revision: 0,
            laid_out_revision: None,
            run_seen: 0,
            told_ms: 0.0,
            told_revision: None,
            is_stale: true,
            tell,
        };
        turn.resized();
        Some(turn)
    }

    pub(crate) fn set_focus(&mut self, focus: Option<Focus>) {
        if self.focus != focus {
            self.focus = focus;
            self.is_stale = true;
            self.told_revision = None;
        }
    }

    pub(crate) fn read_palette(&mut self) {
        self.palette = Palette::read(&self.window);
        self.is_stale = true;
    }

    /// Measures the stage's box, and makes the canvases as large.
    pub(crate) fn resized(&mut self) {
        let width = f64::from(self.place.client_width());
        let height = f64::from(self.place.client_height());
        let ratio = self.window.device_pixel_ratio().clamp(1.0, RATIO_MAX);
        if self.size == (width, height, ratio) {
            return;
        }
        self.size = (width, height, ratio);
        for (canvas, _) in &self.canvases {
            canvas.set_width((width * ratio).round() as u32);
            canvas.set_height((height * ratio).round() as u32);
        }
        self.laid_out_revision = None;
        self.motion.settle();
    }

    /// What is at a point of the stage's box.
    pub(crate) fn hit(&self, x: f64, y: f64) -> Option<Focus> {
        let world = self.world.borrow();
        let at = Point::at(x, y + f64::from(self.place.scroll_top()));
        hit(world.picture(), &self.scene, &self.motion, at)
    }

    /// One frame.
    pub(crate) fn frame(&mut self, now_ms: f64) {
        let hold = self.world.clone();
        let mut world = hold.borrow_mut();
        world.frame(now_ms);
        let clock = world.clock();
        let (revision, layout_revision) = (world.revision(), world.layout_revision());
        let picture = world.picture();
        if self.run_seen != hold.run() {
            self.run_seen = hold.run();
            self.motion.begin_again(picture);
            self.laid_out_revision = None;
        }
        if self.laid_out_revision != Some(layout_revision) {
            self.laid_out_revision = Some(layout_revision);
            self.scene = Scene::of(picture, self.size.0, self.size.1);
            self.is_stale = true;
        }
        let (lanes_move, tokens_move) =
            self.motion.advance(picture, &self.scene, now_ms, clock.speed);
        let scroll = f64::from(self.place.scroll_top());
        let is_stale = std::mem::take(&mut self.is_stale)
            | (scroll != self.scroll)
            | (self.drawn_revision != revision);
        self.scroll = scroll;
        let something_works = clock.is_running
            && picture.actors.iter().any(|actor| actor.work.is_some() || !actor.held.is_empty());
        self.drawn_revision = revision;
        let draw_lanes = is_stale || lanes_move;
        let draw_tokens = draw_lanes || tokens_move || something_works;
        let (width, height, ratio) = self.size;
        let drawing = |ink| Drawing {
            ink,
            palette: &self.palette,
            picture,
            scene: &self.scene,
            motion: &self.motion,
            focus: self.focus.as_ref(),
        };
        if draw_lanes {
            self.canvases[0].1.begin(width, height, ratio, scroll);
            drawing(&self.canvases[0].1).lanes();
        }
        if draw_tokens {
            self.canvases[1].1.begin(width, height, ratio, scroll);
            drawing(&self.canvases[1].1).tokens(clock.now);
        }
        let revision = revision.wrapping_mul(2) ^ (clock.now.as_millis() / 100);
        drop(world);
        self.pulse(now_ms, revision);
    }

    /// Tells the panels, if there is anything to tell and they were not told just now.
    fn pulse(&mut self, now_ms: f64, revision: u64) {
        if self.told_revision == Some(revision) || now_ms - self.told_ms < PULSE_MS {
            return;
        }
        self.told_ms = now_ms;
        self.told_revision = Some(revision);
        let spot = focus_actor(self.focus.as_ref()).and_then(|id| self.scene.actor(id));
        let focus_at = spot.map(|spot| {
            let mut rect = spot.rect;
            rect.y -= self.scroll;
            rect
        });
        (self.tell)(Seen { focus_at, height: self.scene.height });
    }
}
