//! All nodes that store nothing are started again: the next epoch begins empty, and whoever asked the
//! one before is told.

use crate::process::Process;
use crate::relay::Relay;
use crate::trio::{Ended, Trio, run, status};

#[test]
fn a_full_restart_begins_empty_under_a_new_epoch_and_a_token_of_before_is_told_so() {
    let mut trio = Trio::start(&["-i", "4"]);
    trio.done(&["add", "5"]);
    trio.done(&["set", "A", "42"]);
    let token = token_of_add_7(&trio);
    let before = epoch(&trio);

    trio.nodes.iter_mut().for_each(Process::kill);
    for place in 0..3 {
        trio.nodes[place] = Process::start(&trio.arguments(place, &["-i", "4"]));
    }
    trio.leader_of(3);
    assert_ne!(epoch(&trio), before);
    for _time in 0..2 {
        let Ended { code, output, errors } = trio.client(&["--retry", &token]);
        assert_eq!((code, output.as_str()), (Some(3), ""), "{errors}");
        assert!(
            errors.starts_with(
                "outcome unknown: the cluster was formed anew, without what it held, "
            ),
            "{errors}"
        );
        assert!(!errors.contains("to go on with it"), "there is nothing to go on with: {errors}");
    }
    assert_eq!(trio.done(&["get"]), "4", "it begins with what the nodes were started with");
    assert_eq!(trio.done(&["get", "A"]), "A is not set");
    assert!(trio.done(&["add", "1"]).starts_with("committed: add 1 "));
    assert_eq!(trio.done(&["get"]), "5");
}

/// What a client has got for a command that was applied, and of which it was not told.
fn token_of_add_7(trio: &Trio) -> String {
    let relay = Relay::start(trio.ports[trio.leader()]);
    let server = relay.address.to_string();
    let limited = ["client", "--servers", &server, "--timeout", "700ms", "add", "7"];
    let ended = run(&limited);
    assert!(ended.code == Some(3) && relay.kept() > 0, "{ended:?}");
    let (_, token) = ended.errors.split_once(" --retry ").expect("a token");
    token.trim_end().to_owned()
}

fn epoch(trio: &Trio) -> String {
    let status = status(trio.ports[0]).expect("it answers");
    status["epoch"].as_str().expect("an epoch").to_owned()
}
