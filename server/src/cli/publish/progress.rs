//! How far publishing is: a bar for a person, a line now and then for a log.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::cli::output::{self, counted};

/// How often a log gets a line.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar of every long step, with what is counted.
pub(crate) fn bar_style(counts: &str) -> ProgressStyle {
    ProgressStyle::with_template(&format!(
        "{{msg}} [{{bar:30}}] {{percent:>3}} %  {counts}  {{elapsed}}, {{eta}} left"
    ))
    .expect("the template is valid")
    .progress_chars("=> ")
}

/// How far publishing is.
pub(crate) struct Progress {
    bar: ProgressBar,
    goal: String,
    messages: u64,
    bytes: u64,
    started: Instant,
    line_due: Instant,
    waiting: bool,
}

impl Progress {
    /// Of `total` bytes of input, if that is known.
    pub(crate) fn new(total: Option<u64>, goal: &str) -> Progress {
        let counts = "{prefix}  {binary_bytes_per_sec}";
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(bar_style(counts)),
            None => {
                let template = format!("{{spinner}} {{msg}}  {counts}  {{elapsed}}");
                ProgressBar::new_spinner().with_style(
                    ProgressStyle::with_template(&template).expect("the template is valid"),
                )
            }
        };
        bar.set_message(format!("publishing to {goal}"));
        bar.set_prefix(counted(0, "message"));
        let started = Instant::now();
        Progress {
            bar,
            goal: goal.to_owned(),
            messages: 0,
            bytes: 0,
            started,
            line_due: started + LINE_EVERY,
            waiting: false,
        }
    }

    /// More was confirmed, or passed over.
    pub(crate) fn advance(&mut self, messages: u64, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
        self.bar.set_prefix(counted(self.messages, "message"));
        self.bar.set_position(self.bytes);
        self.say_now_and_then(None);
    }

    /// Nothing goes on, and why.
    pub(crate) fn waiting(&mut self, why: &str) {
        let sentence = format!("{why}; trying again");
        self.bar.set_message(format!("{} takes no more now, trying again", self.goal));
        self.bar.tick();
        if !self.waiting && self.bar.is_hidden() {
            output::note(&sentence);
            self.line_due = Instant::now() + LINE_EVERY;
        }
        self.waiting = true;
        self.say_now_and_then(Some(&sentence));
    }

    /// It goes on.
    pub(crate) fn going_on(&mut self) {
        if std::mem::take(&mut self.waiting) {
            self.bar.set_message(format!("publishing to {}", self.goal));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn say_now_and_then(&mut self, sentence: Option<&str>) {
        if !self.bar.is_hidden() || Instant::now() < self.line_due {
            return;
        }
        self.line_due = Instant::now() + LINE_EVERY;
        match sentence {
            Some(sentence) => output::note(sentence),
            None => output::note(format_args!(
                "{} published to {} in {} s, {} read",
                counted(self.messages, "message"),
                self.goal,
                self.started.elapsed().as_secs(),
                HumanBytes(self.bytes)
            )),
        }
    }
}
