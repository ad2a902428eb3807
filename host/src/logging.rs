//! The log: on standard error, through the `log` facade, with the time in UTC.

use std::io::Write;

use env_logger::{Builder, Env};
use log::LevelFilter;

/// Starts it at `level` if that is given, or else as `RUST_LOG` says, or else at `usual`.
pub fn start(level: Option<LevelFilter>, usual: LevelFilter) {
    let mut builder = match level {
        Some(level) => {
            let mut builder = Builder::new();
            builder.filter_level(level);
            builder
        }
        None => Builder::from_env(Env::default().default_filter_or(usual.as_str())),
    };
    let builder = builder.format(|out, record| {
        let time = out.timestamp_millis().to_string();
        writeln!(out, "[{}] - {} - {}", readable(&time), record.level(), record.args())
    });
    builder.init();
}

/// Turns `2026-01-31T23:59:59.123Z` into `2026-01-31 23:59:59,123`.
fn readable(time: &str) -> String {
    time.trim_end_matches('Z').replace('T', " ").replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_time_has_a_space_and_a_comma() {
        assert_eq!(readable("2026-01-31T23:59:59.123Z"), "2026-01-31 23:59:59,123");
    }
}
