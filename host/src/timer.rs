//! A deadline that `mio` can wait for. Its own time-out rounds up to whole milliseconds, so where the
//! system has a finer timer there is one of its own.

#[cfg(target_os = "linux")]
mod fine;
#[cfg(any(not(target_os = "linux"), test))]
mod rounded;

#[cfg(target_os = "linux")]
pub use fine::Timer;
#[cfg(not(target_os = "linux"))]
pub use rounded::Timer;
