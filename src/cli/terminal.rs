//! What people see: lines on stderr (and in the run's log), a progress bar where stderr is a terminal, data on stdout.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::training::StepEvent;

/// Prints data. A closed pipe comes back as an error that ends the process quietly.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// stderr, the run's log, and the bar.
pub(super) struct Terminal {
    log: Option<File>,
    bar: ProgressBar,
    epoch: u64,
    warned: Vec<String>,
}

impl Terminal {
    /// Without a log; see [`Self::log_to`].
    pub(super) fn new() -> Self {
        Self { log: None, bar: ProgressBar::hidden(), epoch: 0, warned: Vec::new() }
    }

    /// From now on, lines also go to `log`.
    pub(super) fn log_to(&mut self, log: File) {
        self.log = Some(log);
    }

    /// A line for people.
    pub(super) fn say(&mut self, line: &str) {
        self.bar.suspend(|| {
            // Nothing can be done about a stderr that is gone, and the work goes on.
            let _ = writeln!(std::io::stderr(), "{line}");
        });
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{line}");
        }
    }

    /// A warning for people, once however often its reason comes up.
    pub(super) fn warn(&mut self, warning: &str) {
        if !self.warned.iter().any(|known| known == warning) {
            self.warned.push(warning.to_owned());
            self.say(&format!("warning: {warning}"));
        }
    }

    /// Shows bytes or rows done while data is prepared; `total` is unknown for standard input.
    pub(super) fn preparing(&mut self, what: &str, done: u64, total: Option<u64>) {
        if self.bar.is_hidden() && self.bar.length().is_none() {
            self.bar = bar(total, "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
        }
        self.bar.set_message(what.to_owned());
        self.bar.set_position(done);
    }

    /// Shows where the training stands.
    pub(super) fn step(&mut self, step: &StepEvent, rows_an_epoch: u64) {
        if self.epoch != step.epoch {
            self.clear();
            self.epoch = step.epoch;
            self.bar = bar(Some(rows_an_epoch), "{prefix} {bar:30} {percent}%, {per_sec}, {eta} left, {msg}");
            self.bar.set_prefix(format!("epoch {}/{}", step.epoch, step.epochs));
        }
        self.bar.set_position(step.rows_done);
        if !self.bar.is_hidden() {
            let wait = step.data_wait_share * 100.0;
            self.bar.set_message(format!("logloss {:.5}, waiting for data {wait:.0}%", step.logloss));
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }
}

fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        let hidden = ProgressBar::hidden();
        hidden.set_length(total.unwrap_or(0));
        return hidden;
    }
    let target = ProgressDrawTarget::stderr_with_hz(5);
    let bar = ProgressBar::with_draw_target(total, target);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well-formed"))
}
