use super::*;

const COMMANDS: u64 = 40;

/// A cluster of three that lives outside of time: whatever the leader takes is applied at once.
#[derive(Default)]
struct Cluster {
    leader: u8,
    /// For each session its last sequence number and the response to that.
    sessions: Vec<(u64, Vec<u8>)>,
    applied: Vec<Vec<u8>>,
}

impl Cluster {
    fn serve(&mut self, asked: &Asked) -> Vec<u8> {
        if asked.to != self.leader {
            return reply(asked, Answer::NotLeader(Some(NodeId(u32::from(self.leader) * 10))));
        }
        match &asked.wish {
            Wish::Open => {
                self.sessions.push((0, Vec::new()));
                let id = u64::try_from(self.sessions.len()).unwrap();
                reply(asked, Answer::Opened(SessionId(id)))
            }
            Wish::Command { session, sequence, command } => {
                let place = usize::try_from(session - 1).unwrap();
                let (last, response) = &mut self.sessions[place];
                if *sequence < *last {
                    return reply(asked, Answer::SessionExpired);
                }
                if *sequence > *last {
                    (*last, *response) = (*sequence, command.clone());
                    self.applied.push(command.clone());
                }
                reply(asked, applied(*last, response))
            }
            Wish::Query(_) | Wish::Status | Wish::Peers(_) | Wish::Admin(_) => {
                panic!("not asked here")
            }
        }
    }
}

/// Thesis 6.3: loss, copies, late answers and new leaders, and each command takes effect once.
#[test]
fn a_command_takes_effect_once_whatever_is_lost_doubled_or_late() {
    for seed in 0..200 {
        let mut random = Splitmix(seed);
        let mut percent = |chance: u64| random.try_next_u64().unwrap() % 100 < chance;
        let mut cluster = Cluster { leader: 1, ..Cluster::default() };
        let servers = [1, 2, 3].map(|address| Server { address, id: None });
        let mut client = Small::new(options(), &servers, Splitmix(!seed), Checksum).unwrap();
        let (mut late, mut done) = (Vec::new(), 0);
        client.command(&[0]).unwrap();
        for _ in 0..20_000 {
            let mut buffer = [0; DATAGRAM as usize];
            match client.poll(&mut buffer) {
                Some(ClientEvent::Send { to, datagram }) => {
                    let asked = understand(to, datagram);
                    for _ in 0..=u32::from(percent(20)) {
                        if percent(60) {
                            late.push((to, cluster.serve(&asked)));
                        }
                    }
                }
                Some(ClientEvent::Finished { outcome, .. }) => {
                    let Outcome::Applied { response, .. } = outcome else { panic!("{outcome:?}") };
                    assert_eq!(response, [u8::try_from(done).unwrap()]);
                    done += 1;
                    if done == COMMANDS {
                        break;
                    }
                    client.command(&[u8::try_from(done).unwrap()]).unwrap();
                }
                None if late.is_empty() || percent(30) => {
                    client.tick(client.next_timeout().unwrap());
                }
                None => {
                    let place = if percent(50) { 0 } else { late.len() - 1 };
                    let (from, datagram) = late[place].clone();
                    if percent(80) {
                        late.remove(place);
                    }
                    let _dropped = client.receive(from, &datagram);
                }
            }
            if percent(3) {
                cluster.leader = cluster.leader % 3 + 1;
            }
        }
        let expected: Vec<_> = (0..COMMANDS).map(|n| vec![u8::try_from(n).unwrap()]).collect();
        assert_eq!(cluster.applied, expected, "seed {seed}");
    }
}
