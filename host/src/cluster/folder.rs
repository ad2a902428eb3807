//! Where the nodes of a local cluster keep themselves: each in a folder of its own, in one for all.

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};

use coracle::{Epoch, NodeId};
use coracle_disk::{ReadOnly, Recovered};
use tempfile::TempDir;

use crate::cli::{ClusterArguments, MAX_NODES};
use crate::inspect;
use crate::print::complain;

/// The folder for all.
#[derive(Default)]
pub enum Folder {
    /// There is none: nothing is stored.
    #[default]
    None,
    /// One that goes away with this value.
    Temporary(TempDir),
    /// One that stays.
    Given(PathBuf),
}

impl Folder {
    /// As the arguments say.
    ///
    /// # Errors
    /// When no temporary one can be made.
    pub fn new(arguments: &ClusterArguments) -> io::Result<Self> {
        if arguments.memory {
            return Ok(Self::None);
        }
        if let Some(given) = &arguments.data_dir {
            return Ok(Self::Given(given.clone()));
        }
        let made = tempfile::Builder::new().prefix("coracle-").tempdir();
        made.map(Self::Temporary).map_err(|error| {
            let why = format!("no node runs: no temporary folder is made ({error}); try --memory");
            Error::new(error.kind(), why)
        })
    }

    /// A node's own, as a command line names it.
    pub fn of(&self, id: NodeId) -> Option<String> {
        self.path(id).map(|path| path.display().to_string())
    }

    /// Removes a node's own with all that is in it. One that is not there needs no removal.
    ///
    /// # Errors
    /// When some of it may be left.
    pub fn remove(&self, id: NodeId) -> io::Result<()> {
        let Some(path) = self.path(id) else { return Ok(()) };
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let why = format!("{} is not removed: {error}", path.display());
                Err(Error::new(error.kind(), why))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, id: NodeId) -> Option<PathBuf> {
        let all = match self {
            Self::None => return None,
            Self::Temporary(made) => made.path(),
            Self::Given(given) => given,
        };
        Some(all.join(format!("{PREFIX}{id}")))
    }
}

/// Which nodes the cluster has: those of the folder, if there are any.
///
/// # Errors
/// When the folder cannot be read, or holds a cluster of another size. Nothing has changed.
pub fn ids(arguments: &ClusterArguments) -> io::Result<Vec<NodeId>> {
    let asked = arguments.nodes.map(usize::from);
    let (folder, mut held) = match &arguments.data_dir {
        Some(folder) => (folder.display().to_string(), held(folder)?),
        None => (String::new(), Vec::new()),
    };
    if let Some(all) = &arguments.data_dir {
        for id in never_taken_in(all, &held) {
            complain(format_args!(
                "node {id} is left out: {folder} holds nothing of it, and no member knows it"
            ));
            held.retain(|other| *other != id);
        }
    }
    let count = held.len();
    if count == 0 {
        return Ok((1..).map(NodeId).take(asked.unwrap_or(USUAL_NODES)).collect());
    }
    if count > MAX_NODES {
        let why = format!("no node runs: {folder} holds {count} nodes, more than {MAX_NODES}");
        return Err(Error::other(why));
    }
    if let Some(asked) = asked.filter(|asked| *asked != count) {
        let why =
            format!("no node runs: {folder} holds a cluster of {count} nodes, not of {asked}");
        return Err(Error::other(why));
    }
    Ok(held)
}

/// Those that were started and that no cluster has taken in, since the prompt ended in between: they
/// hold nothing, and the newest configuration of the others does not name them.
fn never_taken_in(all: &Path, held: &[NodeId]) -> Vec<NodeId> {
    let path = |id: &NodeId| all.join(format!("{PREFIX}{id}"));
    // What cannot be read is for its node to complain of.
    let read = |id: &NodeId| Recovered::read(&ReadOnly::look(&path(id)).ok()?).ok();
    // Who has a snapshot is in a cluster, and would take long to read.
    let is_empty = |id: &&NodeId| {
        let is_small = !path(id).join("snapshot").exists();
        is_small && read(id).is_some_and(|it| it.hard.is_none_or(|hard| hard.epoch == Epoch(0)))
    };
    let empty: Vec<NodeId> = held.iter().filter(is_empty).copied().collect();
    if empty.is_empty() || empty.len() == held.len() {
        return Vec::new();
    }
    let others = held.iter().filter(|id| !empty.contains(id));
    let newest = others.filter_map(read).max_by_key(|recovered| recovered.last);
    let Some((_, Some(members))) = newest.as_ref().and_then(inspect::members) else {
        return Vec::new();
    };
    let is_named = |id: &NodeId| members.iter().any(|member| member.member.id == *id);
    empty.into_iter().filter(|id| !is_named(id)).collect()
}

/// The ids of the nodes that a folder holds, in order.
fn held(folder: &Path) -> io::Result<Vec<NodeId>> {
    let fail = |error: Error| {
        let why = format!("no node runs: {} cannot be read: {error}", folder.display());
        Error::new(error.kind(), why)
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        // In the one form in which they are written: no node is held twice.
        let written = |id: &NodeId| name.to_str() == Some(format!("{PREFIX}{id}").as_str());
        ids.extend(id.and_then(|id| id.parse().ok()).map(NodeId).filter(written));
    }
    ids.sort_unstable();
    Ok(ids)
}

const PREFIX: &str = "node-";
const USUAL_NODES: usize = 3;
