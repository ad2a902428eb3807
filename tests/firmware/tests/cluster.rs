//! A whole cluster in one image: `tests/run` compares its trace with the host's.
#![no_std]
#![no_main]

coracle_firmware::reporting!();

#[defmt_test::tests]
mod tests {
    use coracle_trace::{ANSWERS, SEED};

    #[test]
    fn a_cluster_commits_under_loss() {
        let report = coracle_trace::run(SEED, ANSWERS);
        defmt::println!(
            "trace {=u64:#018x}: {=u32} commands, {=u32} datagrams of which {=u32} were lost, term {=u64}",
            report.hash,
            report.commands,
            report.sent,
            report.lost,
            report.term
        );
    }
}
