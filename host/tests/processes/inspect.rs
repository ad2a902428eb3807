//! `coracle inspect`: the directory of a node that was killed, whole and damaged.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::process::{Process, free_ports};
use crate::scratch;

const PROMPT: &str = "* Enter a command: ";
const SEGMENT: &str = "log-00000001";

/// The directory of a node, in one that goes away with its guard.
struct Folder {
    path: PathBuf,
    _around: scratch::Folder,
}

impl Folder {
    /// A directory that is not there.
    fn missing(name: &str) -> Self {
        let around = scratch::Folder::new(&format!("inspect-{name}"));
        let path = Path::new(around.path()).canonicalize().unwrap().join("node");
        Self { path, _around: around }
    }

    fn empty(name: &str) -> Self {
        let folder = Self::missing(name);
        fs::create_dir(&folder.path).unwrap();
        folder
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.path.join(file)).unwrap()
    }

    fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(file);
        change(&mut bytes);
        fs::write(self.path.join(file), bytes).unwrap();
    }

    /// All files with their bytes and the time of their last change.
    fn contents(&self) -> Vec<(OsString, Vec<u8>, SystemTime)> {
        let mut files: Vec<_> = fs::read_dir(&self.path)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let changed = entry.metadata().unwrap().modified().unwrap();
                (entry.file_name(), fs::read(entry.path()).unwrap(), changed)
            })
            .collect();
        files.sort();
        files
    }
}

/// Starts the only member of a cluster.
fn start(folder: &Folder, port: u16) -> Process {
    let listen = format!("127.0.0.1:{port}");
    Process::start(&["node", "--id", "4", "--listen", &listen, "--data-dir", folder.path()])
}

/// A directory in which `add 2` was confirmed, of a node that was killed then; and its port.
fn killed(name: &str) -> (Folder, u16) {
    let folder = Folder::missing(name);
    let [port] = free_ports();
    let mut node = start(&folder, port);
    node.expect("* start node 4 with init value 0");
    node.expect("* others are: ");
    node.expect(PROMPT);
    node.send("add 2");
    node.expect("* commit command: add 2");
    node.kill();
    (folder, port)
}

/// What `coracle inspect` says with success, having changed nothing.
#[track_caller]
fn inspect(folder: &Folder, more: &[&str]) -> String {
    let before = folder.contents();
    let mut process = Process::start(&[&["inspect", folder.path()], more].concat());
    assert_eq!(process.status().code(), Some(0), "{}", process.errors());
    assert_eq!(process.errors(), "");
    assert_eq!(folder.contents(), before);
    process.rest()
}

/// Why `coracle inspect` fails.
#[track_caller]
fn refused(path: &Path) -> String {
    let mut process = Process::start(&["inspect", path.to_str().unwrap()]);
    assert_eq!(process.status().code(), Some(1));
    assert_eq!(process.rest(), "");
    process.errors()
}

#[track_caller]
fn json(folder: &Folder, more: &[&str]) -> Value {
    let text = inspect(folder, &[&["--json"], more].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_directory_of_a_killed_node_is_shown_whole() {
    let (folder, port) = killed("whole");
    let shown = json(&folder, &["--entries"]);
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    let (incarnation, epoch) = (text("incarnation"), text("epoch"));
    for random in [&incarnation, &epoch] {
        assert!(random.len() == 16 && u64::from_str_radix(random, 16).unwrap() != 0, "{random}");
    }
    // A client that has waited a while asks again, and its number has no fixed length.
    let told: Vec<&str> = shown["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["what"].as_str().unwrap())
        .collect();
    let mut kinds = told.clone();
    kinds.dedup();
    assert_eq!(kinds, ["the members", "a client's session", "add 2"]);
    let last = told.len();
    let bytes = shown["log"]["bytes"].as_u64().unwrap();
    let records = shown["log"]["records"].as_u64().unwrap();
    assert!((1..=last as u64).contains(&records), "{records}");
    let records = if records == 1 { "1 record".to_owned() } else { format!("{records} records") };
    let expected = format!(
        "directory     {}
node          4, incarnation {incarnation}
cluster       00656c6361726f63
epoch         {epoch}
term          1
vote          for node 4, incarnation {incarnation}
state         both copies are as they were written
members       1, as entry 1 names them
         4  voter, 127.0.0.1:{port}, incarnation {incarnation}
snapshot      none
log           index 1 to {last} (term 1), {last} entries, {bytes} bytes, behind index 0 of term 0
segments      1, {records}
torn          nothing
",
        folder.path()
    );
    assert_eq!(inspect(&folder, &[]), expected);
    let mut entries = "\n     index    term  entry\n".to_owned();
    for (index, what) in (1..).zip(&told) {
        entries += &format!("{index:>10}       1  {what}\n");
    }
    assert_eq!(inspect(&folder, &["--entries"]), expected + &entries);
    assert_eq!(shown["configuration"]["members"][0]["part"], "voter");
    assert_eq!(shown["snapshot"], Value::Null);
    assert_eq!(json(&folder, &[]).get("entries"), None);
}

#[test]
fn what_was_never_confirmed_is_shown_and_cut_off_by_the_next_start_only() {
    let (folder, port) = killed("torn");
    let before = json(&folder, &["--entries"]);
    folder.change(SEGMENT, |bytes| {
        let marks = bytes.windows(4).rposition(|window| window == b"ack\0").unwrap();
        bytes[marks + 16..][..5].copy_from_slice(b"trunc");
    });
    folder.change("state", |bytes| bytes[4096 + 30] ^= 4);
    let shown = inspect(&folder, &[]);
    assert!(
        shown.ends_with(
            "\ntorn          5 bytes behind the last record, never confirmed; the next start cuts \
             them off\n"
        ),
        "{shown}"
    );
    assert!(
        shown.contains(
            "\nstate         one copy is not as it was written; the next start writes it again\n"
        ),
        "{shown}"
    );
    let torn = json(&folder, &["--entries"]);
    assert_eq!(torn["entries"], before["entries"]);
    assert_eq!((&torn["log"]["torn_bytes"], &torn["state_repaired"]), (&5.into(), &true.into()));
    let mut node = start(&folder, port);
    node.send("get");
    for line in ["* start node 4 with init value 0", "* others are: ", PROMPT] {
        node.expect(line);
    }
    node.expect("* current value is: 2");
    node.kill();
    let after = json(&folder, &["--entries"]);
    assert_eq!((&after["log"]["torn_bytes"], &after["state_repaired"]), (&0.into(), &false.into()));
    let count = before["entries"].as_array().unwrap().len();
    let entries = after["entries"].as_array().unwrap();
    assert_eq!(Some(&entries[..count]), before["entries"].as_array().map(Vec::as_slice));
}

#[test]
fn damage_is_named_alike_by_the_node_and_by_inspect() {
    let (folder, port) = killed("damaged");
    folder.change(SEGMENT, |bytes| bytes[130] ^= 1);
    let before = folder.contents();
    let why = refused(&folder.path);
    let place = format!("error: {}/{SEGMENT} is damaged at byte 80: ", folder.path());
    assert!(why.starts_with(&place), "{why}");
    assert!(why.contains("move the whole directory away"), "{why}");
    let mut node = start(&folder, port);
    assert_eq!(node.status().code(), Some(1));
    assert_eq!(node.errors(), why);
    assert_eq!(folder.contents(), before);
}

#[test]
fn a_snapshot_is_shown_and_none_of_its_bytes_is_damaged_unnoticed() {
    let folder = Folder::missing("snapshot");
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["node", "--id", "4", "--listen", &listen, "--data-dir", folder.path()];
    let arguments = [&arguments[..], &["--log-entries", "32"]].concat();
    let mut node = Process::start(&arguments);
    node.expect("* start node 4 with init value 0");
    node.expect("* others are: ");
    for count in 1..=40 {
        node.expect(PROMPT);
        node.send(&format!("add {count}"));
        node.expect(&format!("* commit command: add {count}"));
    }
    node.kill();
    let shown = json(&folder, &["--entries"]);
    let number = |place: &str| shown.pointer(place).unwrap().as_u64().unwrap();
    let (index, bytes) = (number("/snapshot/index"), number("/snapshot/bytes"));
    let (base, last) = (number("/log/base"), number("/log/last"));
    assert!(0 < base && base <= index && index <= last, "{shown}");
    // Besides the commands, an entry for the members and one at least for the client.
    assert!(last >= 42, "{last}");
    assert_eq!(number("/log/count"), last - base);
    let entries = shown["entries"].as_array().unwrap();
    assert_eq!(entries.len() as u64, last - base);
    assert_eq!(entries[0]["index"].as_u64(), Some(base + 1));
    assert_eq!(entries[entries.len() - 1]["what"], "add 40");
    // The members are known from the snapshot alone.
    assert_eq!((number("/configuration/index"), number("/configuration/members/0/id")), (1, 4));
    let line = format!(
        "\nsnapshot      up to index {index} of term 1, {bytes} bytes, its checksum is right\n"
    );
    assert!(inspect(&folder, &[]).contains(&line));
    let whole = folder.bytes("snapshot");
    assert_eq!(whole.len() as u64, 4096 + bytes);
    for (at, offset) in [(9, 0), (4095, 0), (4096, 4096), (whole.len() - 1, 4096)] {
        folder.change("snapshot", |bytes| bytes[at] ^= 0x10);
        let why = refused(&folder.path);
        let place = format!("error: {}/snapshot is damaged at byte {offset}: ", folder.path());
        assert!(why.starts_with(&place), "{at}: {why}");
        let mut node = Process::start(&arguments);
        assert_eq!(node.status().code(), Some(1), "{at}");
        assert_eq!(node.errors(), why, "{at}");
        folder.change("snapshot", |bytes| bytes[at] ^= 0x10);
    }
    let mut node = Process::start(&arguments);
    node.send("get");
    for line in ["* start node 4 with init value 0", "* others are: ", PROMPT] {
        node.expect(line);
    }
    node.expect("* current value is: 820");
}

#[test]
fn a_directory_that_has_lost_its_state_is_damaged_and_not_empty() {
    let (folder, _) = killed("stateless");
    fs::remove_file(folder.path.join("state")).unwrap();
    let why = refused(&folder.path);
    let place = format!("error: {}/state is damaged at byte 0: the file is missing", folder.path());
    assert!(why.starts_with(&place), "{why}");
}

#[test]
fn a_directory_without_a_node_is_an_error_and_stays_as_it_is() {
    let missing = Folder::missing("nothing");
    assert_eq!(
        refused(&missing.path),
        format!(
            "error: {} cannot be found (No such file or directory (os error 2)); nothing was \
             changed\n",
            missing.path()
        )
    );
    assert!(!missing.path.exists());
    let empty = Folder::empty("empty");
    let none = format!(
        "error: {} holds no node's state: nothing was ever confirmed in it\n",
        empty.path()
    );
    assert_eq!(refused(&empty.path), none);
    assert_eq!(empty.contents(), []);
    fs::write(empty.path.join("letter"), "of somebody else").unwrap();
    assert_eq!(refused(&empty.path), none);
    let why = refused(&empty.path.join("letter"));
    assert!(why.contains("/letter cannot be listed (Not a directory"), "{why}");
}

#[test]
fn a_file_of_another_node_is_told_apart_from_damage() {
    let (folder, _) = killed("own");
    let (other, _) = killed("foreign");
    folder.change(SEGMENT, |bytes| *bytes = other.bytes(SEGMENT));
    let why = refused(&folder.path);
    let place =
        format!("error: {}/{SEGMENT}: this segment is of another life of a node", folder.path());
    assert!(why.starts_with(&place), "{why}");
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let folder = Folder::missing("busy");
    let [port] = free_ports();
    let mut node = start(&folder, port);
    node.send("add 2");
    for line in ["* start node 4 with init value 0", "* others are: ", PROMPT] {
        node.expect(line);
    }
    node.expect("* commit command: add 2");
    assert_eq!(
        refused(&folder.path),
        format!(
            "error: {} is in use by another process; nothing was changed. Stop its node first, or \
             ask that with `coracle status`\n",
            folder.path()
        )
    );
    node.send("get");
    node.expect(PROMPT);
    node.expect("* current value is: 2");
}
