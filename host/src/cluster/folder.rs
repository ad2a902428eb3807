//! Where the nodes of a local cluster keep themselves: each in a folder of its own, in one for all.

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};

use coracle::NodeId;
use tempfile::TempDir;

use crate::cli::{ClusterArguments, MAX_NODES};

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
        let all = match self {
            Self::None => return None,
            Self::Temporary(made) => made.path(),
            Self::Given(given) => given,
        };
        Some(all.join(format!("{PREFIX}{id}")).display().to_string())
    }
}

/// How many nodes the cluster has: those of the folder, if there are any.
///
/// # Errors
/// When the folder cannot be read, or holds a cluster of another size. Nothing has changed.
pub fn count(arguments: &ClusterArguments) -> io::Result<usize> {
    let asked = arguments.nodes.map(usize::from);
    let held = match &arguments.data_dir {
        Some(folder) => held(folder)?,
        None => Vec::new(),
    };
    if held.is_empty() {
        return Ok(asked.unwrap_or(USUAL_NODES));
    }
    let folder =
        arguments.data_dir.as_ref().map_or_else(String::new, |it| it.display().to_string());
    let count = held.len();
    if !(1..).zip(&held).all(|(id, held)| *held == id) || count > MAX_NODES {
        let why = format!("no node runs: {folder} does not hold nodes 1 to {count}, but {held:?}");
        return Err(Error::other(why));
    }
    if let Some(asked) = asked.filter(|asked| *asked != count) {
        let why =
            format!("no node runs: {folder} holds a cluster of {count} nodes, not of {asked}");
        return Err(Error::other(why));
    }
    Ok(count)
}

/// The ids of the nodes that a folder holds, in order.
fn held(folder: &Path) -> io::Result<Vec<u32>> {
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
        ids.extend(id.and_then(|id| id.parse::<u32>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

const PREFIX: &str = "node-";
const USUAL_NODES: usize = 3;
