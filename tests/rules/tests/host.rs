//! Every rule as a test of its own.

macro_rules! tests {
    ($($chapter:ident: [$($rule:ident,)*];)*) => { $(
        mod $chapter {
            $(
                #[test]
                fn $rule() {
                    coracle_rules::$chapter::$rule();
                }
            )*
        }
    )* };
}

coracle_rules::for_each_rule!(tests);

/// Prints the golden datagrams as `src/vectors.rs` holds them.
#[test]
#[ignore = "prints the golden datagrams anew, for a change of the format that is meant"]
fn print_vectors() {
    use coracle_rules::wire::{Datagram, KINDS, sample};
    for (which, name) in KINDS.iter().enumerate() {
        let datagram = Datagram::of(&coracle_rules::vectors::header(which), &sample(which));
        let hex: String = datagram.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        println!("    (\n        \"{name}\",");
        let lines: Vec<&str> =
            (0..hex.len()).step_by(84).map(|at| &hex[at..hex.len().min(at + 84)]).collect();
        println!("        \"{}\",\n    ),", lines.join("\\\n         "));
    }
    let coracle::message::Message::Boot(members) = sample(2) else { panic!("the members") };
    println!("EPOCH {:#x}", members.epoch(coracle_rules::harness::CLUSTER).0);
}

/// A rule that is not in the list is a rule that nobody checks.
#[test]
fn every_rule_is_in_the_list() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut count = 0;
    for file in std::fs::read_dir(root).expect("the sources are there") {
        let path = file.expect("the sources can be read").path();
        let chapter = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() || chapter == "list" {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("the sources can be read");
        for line in source.lines() {
            let Some(rest) = line.strip_prefix("pub fn ") else { continue };
            let Some((rule, _)) = rest.split_once("() {") else { continue };
            let is_listed =
                |(listed, name, _): &&(&str, &str, fn())| *listed == chapter && *name == rule;
            let times = coracle_rules::RULES.iter().filter(is_listed).count();
            assert_eq!(times, 1, "{chapter}::{rule} is {times} times in src/list.rs");
            count += 1;
        }
    }
    assert_eq!(count, coracle_rules::RULES.len());
}

/// The page of pitfalls says which rules watch over each; those rules must exist.
#[test]
fn the_page_of_pitfalls_names_rules_that_there_are() {
    let page = include_str!("../../../docs/pitfalls.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut count = 0;
    for name in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
        let (chapter, rule) = name.split_once("::").unwrap_or((name, ""));
        let is_named = |(listed, name, _): &(&str, &str, fn())| {
            *listed == chapter && (rule.is_empty() || *name == rule)
        };
        assert!(coracle_rules::RULES.iter().any(is_named), "there is no rule {name}");
        count += 1;
    }
    assert!(count > 20, "the page names {count} rules");
}
