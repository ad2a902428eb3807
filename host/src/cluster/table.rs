//! The table of all nodes: what each says, and what is done to it.

use coracle::{NodeId, RoleName, Status};

use super::Cluster;
use super::network::list;

impl Cluster {
    /// A row for each node, and a line for each thing that is wrong with the network.
    pub fn table(&mut self) -> String {
        let mut lines = vec![line(&HEADING)];
        for place in 0..self.nodes.members().len() {
            lines.push(self.row(place));
        }
        lines.extend(self.network.weather());
        lines.join("\n")
    }

    fn row(&mut self, place: usize) -> String {
        let node = self.nodes.members()[place];
        let (id, address) = (node.id.to_string(), node.address.to_string());
        let without_answer =
            |role: &str, notes: &str| line(&[&id, &address, role, "", "", "", "", "", notes]);
        if !self.nodes.is_running(place) {
            let ended = self.nodes.ended(place);
            let notes =
                ended.map_or_else(String::new, |status| format!("ended by itself ({status})"));
            return without_answer("down", &notes);
        }
        let cut = self.cut_off(node.id);
        if self.paused.contains(&node.id) {
            return without_answer("paused", &cut);
        }
        let Ok(status) = self.observer.status(place) else {
            return without_answer("does not answer", &cut);
        };
        let Status { role, term, leader, commit, applied, log_bytes, log_capacity, .. } = status;
        let mut notes = Vec::new();
        if role == RoleName::Blank {
            notes.push("nothing stored, and not taken in yet");
        }
        notes.extend((!cut.is_empty()).then_some(cut.as_str()));
        let leader = leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        let fill = 100.0 * f64::from(log_bytes) / f64::from(log_capacity.max(1));
        line(&[
            &id,
            &address,
            &role.to_string(),
            &term.to_string(),
            &leader,
            &commit.to_string(),
            &applied.to_string(),
            &format!("{fill:.1}%"),
            &notes.join("; "),
        ])
    }

    fn cut_off(&self, own: NodeId) -> String {
        let all = self.ids();
        let cut: Vec<NodeId> =
            all.into_iter().filter(|id| !self.network.is_joined(own, *id)).collect();
        if cut.is_empty() { String::new() } else { format!("cut off from {}", list(&cut)) }
    }
}

fn line(columns: &[&str; 9]) -> String {
    let [id, address, role, term, leader, commit, applied, log, notes] = columns;
    let line = format!(
        "{id:>3}  {address:<15}  {role:<15} {term:>5}  {leader:>6} {commit:>9} {applied:>9} \
         {log:>6}  {notes}"
    );
    line.trim_end().to_owned()
}

const HEADING: [&str; 9] =
    ["id", "address", "role", "term", "leader", "commit", "applied", "log", ""];
