//! The log: on standard error, through the `log` facade, quiet unless `RUST_LOG` says otherwise.

use std::io::Write;

use env_logger::{Builder, Env};

/// Starts it, with `level` unless `RUST_LOG` is set.
pub fn start(level: &str) {
    Builder::from_env(Env::default().default_filter_or(level))
        .format(|out, record| {
            let time = out.timestamp_millis().to_string();
            writeln!(out, "[{}] - {} - {}", readable(&time), record.level(), record.args())
        })
        .init();
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
