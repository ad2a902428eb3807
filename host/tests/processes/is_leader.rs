//! `coracle is-leader` against real nodes.

use crate::process::{Process, eventually, free_ports};
use crate::scratch::Scratch;
use crate::trio::run;

#[test]
fn one_node_of_a_file_leads_and_the_others_do_not() {
    let ports: [u16; 3] = free_ports();
    let lines = ports.iter().enumerate().map(|(id, port)| format!("node{id}: localhost:{port}\n"));
    let file = Scratch::new("leaders", &lines.collect::<String>());
    let numbers = ["0", "1", "2"];
    let mut nodes =
        numbers.map(|number| Process::start(&["node", "--config", file.path(), number]));
    let ask = |number: &str| run(&["is-leader", "--config", file.path(), number]);
    let leads = || numbers.map(|number| ask(number).output);
    let has_one = |said: &[String; 3]| {
        said.iter().filter(|said| *said == "True\n").count() == 1
            && said.iter().filter(|said| *said == "False\n").count() == 2
    };
    assert!(eventually(|| has_one(&leads())), "{:?}", leads());
    let leader = leads().iter().position(|said| said == "True\n").unwrap();
    nodes[leader].kill();
    let moved = eventually(|| (0..3).any(|at| at != leader && ask(numbers[at]).output == "True\n"));
    assert!(moved);
    let file_and_quick = ["is-leader", "--timeout", "200ms", "--config", file.path()];
    let silent = run(&[&file_and_quick[..], &[numbers[leader]]].concat());
    assert_eq!((silent.code, silent.output.as_str()), (Some(1), ""));
    assert!(silent.errors.starts_with("error: no server has said anything"), "{silent:?}");
}

#[test]
fn a_node_that_is_another_one_is_not_taken_for_it() {
    let [port] = free_ports();
    let file = Scratch::new("one", &format!("node0: 127.0.0.1:{port}\n"));
    let other = Scratch::new("another", &format!("node7: 127.0.0.1:{port}\n"));
    let _node = Process::start(&["node", "--config", file.path(), "0"]);
    let ask = |file: &Scratch, number| run(&["is-leader", "--config", file.path(), number]);
    assert!(eventually(|| ask(&file, "0").output == "True\n"));
    let wrong = ask(&other, "7");
    assert_eq!((wrong.code, wrong.output.as_str()), (Some(1), ""));
    let why = format!("error: at 127.0.0.1:{port} is not node 7, but node 0\n");
    assert_eq!(wrong.errors, why);
    let missing = ask(&file, "1");
    assert_eq!(missing.code, Some(1));
    assert!(missing.errors.ends_with("it lists no node1, but node0\n"), "{missing:?}");
    assert_eq!(run(&["is-leader", "0"]).code, Some(2));
}
