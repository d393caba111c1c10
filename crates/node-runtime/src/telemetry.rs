//! The log: one line per event on standard error.

use std::io::stderr;

use ros_observer::LogLevel;
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::{Format, Level, LogFlags};

/// Starts the log. `ros_level` is that of `--ros-args --log-level`, which our own flag overrules.
pub(crate) fn init(flags: LogFlags, ros_level: Option<LogLevel>) {
    let level = match (flags.level, ros_level) {
        (Some(Level::Error), _) | (None, Some(LogLevel::Error)) => LevelFilter::ERROR,
        (Some(Level::Warn), _) | (None, Some(LogLevel::Warn)) => LevelFilter::WARN,
        (Some(Level::Debug), _) | (None, Some(LogLevel::Debug)) => LevelFilter::DEBUG,
        (Some(Level::Info), _) | (None, Some(LogLevel::Info) | None) => LevelFilter::INFO,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr).with_target(false);
    // A second start within one process (two nodes in one test) keeps the first log.
    let _ = match flags.format {
        Format::Text => log.with_ansi(false).try_init(),
        Format::Json => {
            std::panic::set_hook(Box::new(|panic| tracing::error!("{}", panic.to_string().replace('\n', " "))));
            log.json().flatten_event(true).try_init()
        }
    };
}
