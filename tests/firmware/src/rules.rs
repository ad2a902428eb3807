//! The rules of some chapters as one image of tests, since all of them do not fit the flash.

/// Runs the rules of a chapter, and names each before, so that `tests/run` can compare what ran
/// with what there is.
pub fn run(chapter: &str, rules: &[(&str, fn())]) {
    for (name, rule) in rules {
        defmt::println!("rule {=str}::{=str}", chapter, name);
        rule();
    }
}
