//! The session of docs/cluster.md, run as it stands there.

use super::*;

/// A line with each number replaced, and each run of spaces: terms, ports and leaders may differ.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for letter in line.trim().chars() {
        let letter = match letter {
            letter if letter.is_ascii_digit() => '0',
            letter if letter.is_whitespace() => ' ',
            letter => letter,
        };
        if !("0 ".contains(letter) && shape.ends_with(letter)) {
            shape.push(letter);
        }
    }
    shape
}

fn is_failure(line: &str) -> bool {
    ["error: ", "refused: ", "outcome unknown: ", "failed: "].iter().any(|it| line.starts_with(it))
}

/// The commands of the page, each with the lines that are its answer.
fn session(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_shown = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_shown = line == "```console";
        } else if is_shown && let Some(command) = line.strip_prefix("coracle> ") {
            commands.push((command, Vec::new()));
        } else if is_shown && let Some((_, answer)) = commands.last_mut() {
            answer.push(line);
        }
    }
    commands
}

#[test]
fn the_guide_shows_what_happens() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cluster.md");
    let page = fs::read_to_string(page).unwrap();
    let session = session(&page);
    assert!(session.len() > 20, "{session:?}");
    let (mut cluster, _) = cluster(&[]);
    let mut failures = String::new();
    for (command, expected) in session {
        cluster.send(command);
        // Which row of a table leads may differ too.
        let (mut lines, mut shapes) = (Vec::new(), Vec::new());
        for line in expected {
            if is_failure(line) {
                failures.push_str(&format!("{line}\n"));
                cluster.expect_error(&failures);
            } else {
                lines.push(shape(&cluster.line()));
                shapes.push(shape(line));
            }
        }
        lines.sort_unstable();
        shapes.sort_unstable();
        assert_eq!(lines, shapes, "{command}");
    }
    assert!(cluster.status().success());
    assert_eq!(cluster.rest(), "");
    assert_eq!(cluster.errors(), failures);
}
