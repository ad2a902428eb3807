//! Prints what the target must print, for `tests/run` to compare: the name of every rule, and the
//! run of a cluster. The rules themselves are not run here; the host has them as tests.

use coracle_trace::{ANSWERS, SEED};

fn main() {
    for (chapter, name, _) in coracle_rules::RULES {
        println!("rule {chapter}::{name}");
    }
    let report = coracle_trace::run(SEED, ANSWERS);
    println!(
        "trace {:#018x}: {} commands, {} datagrams of which {} were lost, term {}",
        report.hash, report.commands, report.sent, report.lost, report.term
    );
}
