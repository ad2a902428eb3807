//! What loss leaves of a cluster's rate in virtual time, as a table in Markdown. It repeats exactly.

use coracle_udp::model::{Plan, run};

fn main() {
    println!(
        "| in flight | loss | commands/s | left | goal | p50, us | p99, us | p99.9, us | \
         peer datagrams/command | sent again | refused |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for inflight in [1, 16, 64] {
        let mut good = 0;
        for (percent, goal) in LOSSES {
            let outcome = run(&Plan { seed: 1, lost: percent * 10, inflight, span: SPAN });
            let rate = outcome.answered * 1_000_000 / SPAN;
            if percent == 0 {
                good = rate;
            }
            let sent = outcome.sent * 100 / outcome.answered.max(1);
            println!(
                "| {inflight} | {percent} % | {rate} | {} % | {goal} % | {} | {} | {} | \
                 {}.{:02} | {} | {} |",
                rate * 100 / good.max(1),
                outcome.quantile(500),
                outcome.quantile(990),
                outcome.quantile(999),
                sent / 100,
                sent % 100,
                outcome.retransmissions,
                outcome.mismatches,
            );
        }
    }
}

/// In percent: how much is lost, and how much of the rate is to be left.
const LOSSES: [(u32, u32); 6] = [(0, 100), (1, 98), (5, 90), (10, 75), (20, 50), (30, 30)];
/// Two seconds.
const SPAN: u64 = 2_000_000;
