//! A failure as a person reads it: what failed, what caused it, what to do; and its exit code.

use std::{io::Write, process::ExitCode};

use crate::{
    config::ConfigError,
    data::{self, DataError},
    device::DeviceError,
    features::FeaturesError,
    training::TrainingError,
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Why a command ended.
pub(super) struct Failure(anyhow::Error);

/// A wrong use of the command line that clap can't see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl Failure {
    /// Prints the chain of causes and a hint to stderr. A closed pipe is no failure.
    pub(super) fn report(&self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        let mut stderr = std::io::stderr().lock();
        let mut lines: Vec<String> = Vec::new();
        for cause in self.0.chain() {
            let text = cause.to_string();
            // a transparent error repeats its source's text
            if lines.last().is_none_or(|last| !last.ends_with(&text)) {
                lines.push(text);
            }
        }
        // Nothing can be done about a stderr that is gone.
        for (depth, line) in lines.iter().enumerate() {
            let _ =
                if depth == 0 { writeln!(stderr, "error: {line}") } else { writeln!(stderr, "  caused by: {line}") };
        }
        if let Some(hint) = self.hint() {
            let _ = writeln!(stderr, "hint: {hint}");
        }
        ExitCode::from(if self.is_usage() { USAGE } else { FAILED })
    }

    fn is_closed_pipe(&self) -> bool {
        let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
        let of_csv = |error: &csv::Error| matches!(error.kind(), csv::ErrorKind::Io(error) if closed(error));
        self.0.chain().any(|cause| cause.downcast_ref().is_some_and(closed) || cause.downcast_ref().is_some_and(of_csv))
    }

    fn is_usage(&self) -> bool {
        self.0.chain().any(|cause| {
            cause.is::<ConfigError>()
                || cause.is::<UsageError>()
                || matches!(cause.downcast_ref(), Some(DeviceError::Unknown { .. } | DeviceError::NotBuilt { .. }))
                || cause.downcast_ref().is_some_and(FeaturesError::is_config)
        })
    }

    fn hint(&self) -> Option<String> {
        self.0.chain().find_map(|cause| {
            let data = cause.downcast_ref().and_then(DataError::hint);
            data.or_else(|| cause.downcast_ref().and_then(FeaturesError::hint))
                .or_else(|| cause.downcast_ref().and_then(TrainingError::hint))
                .or_else(|| cause.downcast_ref().and_then(DeviceError::hint))
                .or_else(|| cause.downcast_ref().and_then(ConfigError::hint))
        })
    }
}

/// Turns a panic, a defect of ours but for those that a damaged file makes in its decoder, into one line instead of a
/// backtrace's invitation.
pub(super) fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if data::decodes() {
            return;
        }
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "error: a defect in secn: {message} ({place})");
        let _ = writeln!(std::io::stderr(), "hint: please report it with the command and the config");
    }));
}
