//! The scenarios of `scripts/` and of `docs/scenarios.md` go as they are written.

use std::fs;
use std::path::{Path, PathBuf};

use coracle_sim::script::{COMMANDS, CONDITIONS, Script, command, reference};

/// Fewer would mean that the folder was not found.
const LEAST_SCRIPTS: usize = 10;

#[test]
fn every_script_goes_as_it_is_written() {
    let paths = scripts();
    assert!(paths.len() >= LEAST_SCRIPTS, "only {} scripts", paths.len());
    let failures: Vec<_> = paths
        .iter()
        .filter_map(|path| {
            let name = format!("tests/sim/scripts/{}", file_name(path));
            let text = fs::read_to_string(path).expect("a script can be read");
            failure(&name, &text)
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_script_expects_something() {
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a script can be read");
        let expects = text.lines().any(|line| line.starts_with("expect "));
        assert!(expects, "{} expects nothing", file_name(&path));
        assert!(text.starts_with("# "), "{} does not say what it shows", file_name(&path));
    }
}

#[test]
fn a_script_goes_the_same_way_twice() {
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a script can be read");
        let script = Script::parse("twice", &text).expect("a script");
        assert_eq!(script.run().text, script.run().text, "{}", file_name(&path));
    }
}

#[test]
fn the_examples_of_the_page_go_as_they_are_written() {
    let page = page();
    let examples: Vec<_> = page.split("```script\n").skip(1).collect();
    assert!(!examples.is_empty(), "the page has no example");
    for example in examples {
        let (text, _) = example.split_once("```").expect("an example ends");
        assert_eq!(failure("docs/scenarios.md", text), None);
    }
}

#[test]
fn the_page_has_every_command_and_every_condition() {
    let reference = reference();
    let missing: Vec<_> = reference.lines().filter(|line| !page().contains(line)).collect();
    assert!(page().contains(&reference), "cargo sim --commands has\n{}", missing.join("\n"));
}

#[test]
fn every_command_is_used_by_a_script() {
    let texts: Vec<_> = scripts().iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let mut used: Vec<String> = Vec::new();
    for text in &texts {
        let script = Script::parse("used", text).expect("a script");
        for line in script.commands() {
            let mut words = line.split(' ').filter(|word| !["quiet", "loud"].contains(word));
            used.extend(words.next().map(str::to_owned));
        }
    }
    for it in COMMANDS.iter().flat_map(|(_, commands)| *commands) {
        assert!(used.iter().any(|name| name == it.name), "no script has {}", it.name);
        assert!(command(it.name).is_some());
    }
}

#[test]
fn every_condition_is_used_by_a_script() {
    let texts: Vec<_> = scripts().iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    for it in CONDITIONS {
        let is_used = |line: &str| {
            let condition = line.strip_prefix("expect ").or(line.strip_prefix("until "));
            let condition = condition.map(|words| words.strip_prefix("not ").unwrap_or(words));
            condition.and_then(|words| words.split(' ').next()) == Some(it.name)
        };
        assert!(texts.iter().any(|text| text.lines().any(is_used)), "no script has {}", it.name);
    }
}

#[test]
fn a_mistake_is_told_with_its_line_and_nothing_behind_it_happens() {
    for (line, what) in [
        ("crush 1", "no command is called 'crush'"),
        ("crash 9", "there is no node 9, but 1 to 3 (usage: crash NODES"),
        ("crash 1 sideways", "nobody crashes 'sideways' (usage: crash NODES"),
        ("tick 1", "ticks is missing (usage: tick NODES TICKS)"),
        ("tick 1 soon", "ticks: 'soon' is no number"),
        ("settle now", "nobody knows what 'now' means here"),
        ("expect leader 2", "it is not as expected: leader 2; nobody leads"),
        ("expect leadr 2", "no condition is called 'leadr'"),
        ("expect log 1 1.1 1.3", "the runs leave a gap (usage: log NODE [RUNS])"),
        ("deliver 1->2 letter", "nobody knows what 'letter' means here"),
        ("deliver 1->2 append", "nothing is on its way that is 1->2 append"),
        ("until leader 2 within 2", "not within 2 ticks: leader 2; nobody leads"),
        ("restart 1", "node 1 runs"),
        ("campaign 1", "1 is blank and does not campaign"),
        ("cluster 3", "there is a cluster already"),
    ] {
        let text = format!("# Line 1.\ncluster 3\n{line}\nstatus\n");
        let ran = Script::parse("file.txt", &text).expect("a script").run();
        let error = ran.error.expect(line).to_string();
        let expected = format!("file.txt:3: {line}: {what}");
        assert!(error.starts_with(&expected), "{error}\nis not\n{expected}");
        assert!(!ran.text.contains("status"), "{line}: it went on");
    }
}

#[test]
fn before_a_cluster_there_is_nothing_to_do() {
    for line in ["crash 1", "propose 1", "client a get 1", "form", "status 1"] {
        let ran = Script::parse("file.txt", line).expect("a script").run();
        let error = ran.error.expect(line).what;
        assert!(error.contains("there is no cluster yet"), "{error}");
    }
}

#[test]
fn output_without_a_command_and_odd_indents_are_refused() {
    for (text, line) in [("    1: blank\n", 1), ("# a\n    1: blank\n", 2), ("cluster 3\n  x\n", 2)]
    {
        assert_eq!(Script::parse("file.txt", text).expect_err(text).line, line);
    }
}

#[test]
fn another_output_is_shown_line_by_line_and_an_update_takes_it() {
    let text = "cluster 1\nform\n    1: leader in term 7\nlog 1\n    1: 1.1\n";
    let script = Script::parse("file.txt", text).expect("a script");
    let ran = script.run();
    assert_eq!(ran.error, None);
    let differs = script.difference(&ran.text).to_string();
    assert_eq!(
        differs,
        "file.txt:3: another output than expected\n  form\n-     1: leader in term 7\n+     1: \
         leader in term 1"
    );
    assert_eq!(failure("file.txt", &ran.text), None);
}

/// Why a script does not go as it is written.
fn failure(name: &str, text: &str) -> Option<String> {
    let script = match Script::parse(name, text) {
        Ok(script) => script,
        Err(error) => return Some(error.to_string()),
    };
    let ran = script.run();
    if let Some(error) = ran.error {
        return Some(error.to_string());
    }
    let differs = ran.text != text;
    differs.then(|| format!("{}\n{UPDATE} {name} --update", script.difference(&ran.text)))
}

const UPDATE: &str = "if that is right: cargo sim --script";

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let files = fs::read_dir(folder).expect("there is a folder of scripts");
    let paths = files.map(|file| file.expect("a file").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|of| of == "txt")).collect();
    paths.sort();
    paths
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md");
    fs::read_to_string(path).expect("there is a page about scenarios")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
