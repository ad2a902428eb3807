//! What every mode must hold, on runs that are short.

use coracle_bench::{Figures, Mode, Sealing, Setup, run};

/// Enough for a few compactions.
const OPERATIONS: u64 = 3200;

fn figures(mode: Mode, sealing: Sealing) -> Figures {
    run(mode, &Setup { bytes: 16, datagram: 1200, sealing }, OPERATIONS)
}

fn is(figure: f64, expected: f64) -> bool {
    (figure - expected).abs() < 1e-9
}

#[test]
fn nothing_allocates_once_the_cluster_is_formed() {
    for mode in [
        Mode::One,
        Mode::Batch64,
        Mode::NodeOne,
        Mode::NodeBatch64,
        Mode::TickFollower,
        Mode::TickCluster,
    ] {
        for sealing in [Sealing::Ser, Sealing::Sealed, Sealing::Fast] {
            let allocs = figures(mode, sealing).allocs;
            assert!(is(allocs, 0.0), "{mode:?}: {allocs} allocations");
        }
    }
}

#[test]
fn a_lone_command_costs_four_messages() {
    for mode in [Mode::One, Mode::NodeOne] {
        let msgs = figures(mode, Sealing::Sealed).msgs;
        assert!(is(msgs, 4.0), "{mode:?}: {msgs} messages");
    }
}

#[test]
fn a_lone_command_of_16_bytes_costs_at_most_150_bytes() {
    let wire = figures(Mode::One, Sealing::Ser).wire;
    assert!(wire <= 150.0, "{wire} bytes");
}

#[test]
fn commands_in_a_batch_share_their_messages() {
    for mode in [Mode::Batch64, Mode::NodeBatch64] {
        let msgs = figures(mode, Sealing::Sealed).msgs;
        assert!(msgs <= 0.53, "{mode:?}: {msgs} messages");
    }
}

#[test]
fn an_idle_round_is_a_heartbeat_to_each_follower_and_its_answer() {
    let msgs = figures(Mode::TickCluster, Sealing::Sealed).msgs;
    assert!(is(msgs, 4.0), "{msgs} messages");
}

#[test]
fn a_seal_costs_its_four_bytes_in_each_message_and_nothing_else_on_the_wire() {
    let [plain, sealed] =
        [Sealing::Ser, Sealing::Sealed].map(|sealing| figures(Mode::One, sealing));
    assert!(is(sealed.msgs, plain.msgs));
    assert!(is(sealed.wire, plain.wire + 4.0 * plain.msgs), "{plain} and {sealed}");
}

#[test]
fn large_commands_and_large_datagrams_work() {
    for mode in [Mode::Batch64, Mode::NodeBatch64] {
        for datagram in [1200, 8192, u16::MAX] {
            let setup = Setup { bytes: 1024, datagram, sealing: Sealing::Sealed };
            let figures = run(mode, &setup, OPERATIONS);
            assert!(is(figures.allocs, 0.0), "{mode:?} at {datagram}: {figures}");
        }
    }
}
