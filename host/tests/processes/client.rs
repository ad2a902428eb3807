//! `coracle client` against real nodes.

use std::time::{Duration, Instant};

use crate::process::free_ports;
use crate::relay::Relay;
use crate::trio::{Ended, Trio, run, run_in};

#[test]
fn the_sum_of_two_numbers_has_its_form() {
    let trio = Trio::start(&[]);
    for (words, result) in [
        (["5", "3"], "5 + 3 = 8"),
        (["10", "-2"], "10 + -2 = 8"),
        (["-5", "-3"], "-5 + -3 = -8"),
        (
            ["9223372036854775807", "9223372036854775807"],
            &format!("{0} + {0} = {1}", i64::MAX, u64::MAX - 1),
        ),
    ] {
        let leader = trio.ports[trio.leader()];
        let ended = trio.client(&words);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        let expected = format!(
            "\nOperation Summary:\nLeader: Node {leader}\nOperation performed on: Node {leader}\n\
             Result: {result}\n"
        );
        assert_eq!(ended.output, expected);
    }
}

#[test]
fn who_leads_is_true_after_the_leader_was_lost() {
    let mut trio = Trio::start(&[]);
    let first = trio.leader();
    trio.nodes[first].kill();
    let output = trio.done(&["5", "3"]);
    let second = trio.ports[trio.leader()];
    assert_ne!(second, trio.ports[first]);
    assert!(output.contains(&format!("Leader: Node {second}\n")), "{output}");
    assert!(output.contains(&format!("Operation performed on: Node {second}\n")), "{output}");
}

#[test]
fn every_command_works_whichever_server_stands_first() {
    let trio = Trio::start(&["-i", "-5"]);
    let committed = |words: &[&str]| {
        let output = trio.done(words);
        let expected = format!("committed: {} (term ", words.join(" "));
        assert!(output.starts_with(&expected), "{output}");
        output
    };
    committed(&["add", "-5"]);
    committed(&["mul", "3"]);
    committed(&["sub", "-1"]);
    assert_eq!(trio.done(&["get"]), "-29");
    assert_eq!(trio.done(&["get", "A"]), "A is not set");
    committed(&["set", "A", "hello you"]);
    assert_eq!(trio.done(&["get", "A"]), "A = hello you");
    assert!(!committed(&["del", "A"]).ends_with("was not set"));
    assert!(committed(&["del", "A"]).ends_with("; the key was not set"));
    assert_eq!(trio.done(&["get", "A"]), "A is not set");
    let (key, value) = ("k".repeat(64), "v".repeat(960));
    committed(&["set", &key, &value]);
    assert_eq!(trio.done(&["get", &key]), format!("{key} = {value}"));
    let largest = "9".repeat(1233);
    committed(&["add", &largest]);
    committed(&["sub", &largest]);
    for (turn, value) in ["-28\n", "-27\n", "-26\n"].into_iter().enumerate() {
        let mut servers = trio.ports.map(|port| format!("127.0.0.1:{port}"));
        servers.rotate_left(turn);
        let ended = run(&["client", "--servers", &servers.join(","), "add", "1"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let ended = run(&["client", "--servers", &servers[0], "get"]);
        assert_eq!(ended.output, value, "a follower answers reads");
    }
}

#[test]
fn the_servers_may_come_from_the_environment() {
    let trio = Trio::start(&[]);
    let ended = run_in(&["client", "get"], &[("CORACLE_SERVERS", &trio.servers())]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), "0\n"), "{ended:?}");
    let ended = run_in(&["client", "get"], &[("CORACLE_SERVERS", "nonsense")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.starts_with("error: CORACLE_SERVERS: nonsense: "), "{ended:?}");
}

#[test]
fn wrong_usage_is_an_error_line_and_a_status_of_one() {
    let (key, value, number) = ("k".repeat(65), "v".repeat(961), "9".repeat(1300));
    let cases: &[(&[&str], &str)] = &[
        (&["frob"], "unknown command \"frob\""),
        (&["five", "3"], "unknown command \"five\""),
        (&["5", "three"], "\"three\" is not an integer"),
        (&["5"], "A B"),
        (&["5", "3", "1"], "unknown command \"5\""),
        (&["9223372036854775808", "1"], "does not fit 64 bits"),
        (&["add"], "add N"),
        (&["add", "ten"], "\"ten\" is not an integer"),
        (&["mul", &number], "more than 4096 bits"),
        (&["set", "A"], "set KEY VALUE"),
        (&["set", &key, "v"], "more than 64 bytes"),
        (&["set", "k", &value], "more than 960 bytes"),
        (&["get", "A", "B"], "get KEY"),
        (&["del", &key], "more than 64 bytes"),
        (&["--frob", "get"], "--frob"),
        (&["--timeout", "3", "get"], "is no span of time"),
        (&["--servers", "nowhere", "get"], "HOST:PORT"),
        (&["--retry", "12ab"], "this is no token"),
        (&["--retry", "12ab", "get"], "cannot be used with"),
        (&[], "required"),
    ];
    assert_eq!(run(&["--log", "warn", "client", "--frob"]).code, Some(1));
    for (words, why) in cases {
        let Ended { code, output, errors } = run(&[&["client"], *words].concat());
        assert_eq!((code, output.as_str()), (Some(1), ""), "{words:?}: {errors}");
        assert!(errors.contains(why), "{words:?}: {errors}");
        assert!(errors.starts_with("error: "), "{words:?}: {errors}");
    }
    let help = run(&["client", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.output.contains("Exit status"), "{help:?}");
}

#[test]
fn without_a_server_nothing_happens_and_that_is_said_in_time() {
    let [port] = free_ports();
    let server = format!("127.0.0.1:{port}");
    for (words, seconds) in [(&["get"][..], 3), (&["5", "3"], 5)] {
        let start = Instant::now();
        let ended = run(&[&["client", "--servers", &server], words].concat());
        assert!(start.elapsed() < Duration::from_secs(seconds + 2), "{:?}", start.elapsed());
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
        let why = format!("no server has said anything within {seconds} s ({server})");
        assert_eq!(ended.errors, format!("refused: {why}; nothing happened\n"));
    }
}

#[test]
fn a_product_past_the_limit_is_refused() {
    let trio = Trio::start(&[]);
    let factor = format!("1{}", "0".repeat(1000));
    trio.done(&["mul", &factor]);
    let ended = trio.client(&["mul", &factor]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
    assert_eq!(ended.errors, "refused: the integer would go past 4096 bits; nothing happened\n");
}

#[test]
fn a_read_whose_answer_fits_no_datagram_has_no_unknown_outcome() {
    let trio = Trio::start(&["-i", &"9".repeat(4900)]);
    let ended = trio.client(&["get"]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.errors.starts_with("refused: its answer of "), "{ended:?}");
    assert!(ended.errors.ends_with(" bytes is too long to be sent; nothing happened\n"));
}

#[test]
fn without_a_majority_an_operation_ends_in_an_error() {
    let mut trio = Trio::start(&[]);
    trio.nodes[0].kill();
    trio.nodes[2].kill();
    for words in [&["get"][..], &["set", "A", "1"]] {
        let words = [&["--timeout", "700ms"], words].concat();
        let ended = trio.client(&words);
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.errors.starts_with("refused: no answer within 0.7 s"), "{ended:?}");
        assert!(ended.errors.ends_with("; nothing happened\n"), "{ended:?}");
    }
}

#[test]
fn one_server_is_enough_even_if_it_does_not_lead() {
    let trio = Trio::start(&[]);
    let leader = trio.leader();
    for step in 1..3 {
        let follower = format!("127.0.0.1:{}", trio.ports[(leader + step) % 3]);
        let start = Instant::now();
        let ended = run(&["client", "--servers", &follower, "add", "1"]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:?}");
        let ended = run(&["client", "--servers", &follower, "5", "3"]);
        let node = trio.ports[leader];
        let expected = format!("\nLeader: Node {node}\nOperation performed on: Node {node}\n");
        assert!(ended.output.contains(&expected), "{ended:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    assert_eq!(trio.done(&["get"]), "2");
}

#[test]
fn an_unknown_outcome_comes_with_a_token_and_the_command_takes_effect_once() {
    let trio = Trio::start(&[]);
    let relay = Relay::start(trio.ports[trio.leader()]);
    let server = relay.address.to_string();
    let limited = ["client", "--servers", &server, "--timeout", "700ms"];
    let token = |ended: &Ended| {
        assert_eq!((ended.code, ended.output.as_str()), (Some(3), ""), "{ended:?}");
        let safe = "; it may still take effect; retrying in the same session is safe\n";
        let (why, rest) = ended.errors.split_once(safe).expect("what is known");
        assert!(why.starts_with("outcome unknown: no "), "{why}");
        let hint = format!("to go on with it: coracle client --servers {server} --retry ");
        rest.strip_prefix(&hint).expect("a hint").trim_end().to_owned()
    };
    let first = token(&run(&[&limited[..], &["add", "7"]].concat()));
    assert!(relay.kept() > 0, "it was applied, and the client was not told");
    let second = token(&run(&[&limited[..], &["--retry", &first]].concat()));
    assert_ne!(first, second, "its datagrams go on being numbered");
    for token in [&second, &first, &second] {
        let output = trio.done(&["--retry", token]);
        assert!(output.starts_with("committed: add 7 (term "), "{output}");
    }
    assert_eq!(trio.done(&["get"]), "7");
    let sum = token(&run(&[&limited[..], &["5", "3"]].concat()));
    let output = trio.done(&["--retry", &sum]);
    assert!(output.ends_with("\nResult: 5 + 3 = 8"), "{output}");
}
