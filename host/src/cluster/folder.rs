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
    let (folder, held) = match &arguments.data_dir {
        Some(folder) => (folder.display().to_string(), held(folder)?),
        None => (String::new(), Vec::new()),
    };
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
