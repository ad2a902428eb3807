use super::order::parse_line;
use super::*;

const NOW: Ticks = Ticks(1000);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A node with the peers 2 and 3 on ports of these numbers; port 9 is a client's.
fn faults(line: &str) -> Faults {
    let mut faults =
        Faults::new(7, &[2, 3].map(|id| Peer { id: NodeId(id.into()), address: address(id) }));
    faults.apply(&parse_line(line).unwrap()).unwrap();
    faults
}

/// How many of a thousand datagrams pass at once.
fn passing(faults: &mut Faults, way: Way, port: u16) -> usize {
    (0..1000).filter(|_| faults.admits(way, address(port), b"data", NOW)).count()
}

#[test]
fn a_cut_is_for_its_peers_and_directions_only() {
    let mut both = faults("cut 2");
    let mut one = faults("cut 2 in; cut clients out");
    for (port, way, of_both, of_one) in [
        (2, Way::In, 0, 0),
        (2, Way::Out, 0, 1000),
        (3, Way::In, 1000, 1000),
        (3, Way::Out, 1000, 1000),
        (9, Way::In, 1000, 1000),
        (9, Way::Out, 1000, 0),
    ] {
        assert_eq!(passing(&mut both, way, port), of_both, "{port} {way:?}");
        assert_eq!(passing(&mut one, way, port), of_one, "{port} {way:?}");
    }
}

#[test]
fn all_faults_end_with_heal_and_each_by_itself() {
    let mut all = faults("cut 2; loss 1 3; cut clients; heal");
    for port in [2, 3, 9] {
        assert_eq!(passing(&mut all, Way::Out, port), 1000);
    }
    let mut each =
        faults("cut peers; loss 1 peers; join peers; loss 0 peers; delay 1s 2; delay 0 2");
    assert_eq!(passing(&mut each, Way::In, 2), 1000);
    assert_eq!(each.deadline(), None);
}

#[test]
fn loss_takes_its_share_and_the_same_one_with_the_same_seed() {
    let passed = passing(&mut faults("loss 30% peers"), Way::Out, 2);
    assert!((650..750).contains(&passed), "{passed}");
    assert_eq!(passing(&mut faults("loss 30% peers"), Way::Out, 2), passed);
    assert_eq!(passing(&mut faults("loss 100% peers"), Way::Out, 2), 0);
}

#[test]
fn a_duplicate_is_due_at_once_behind_its_original() {
    let mut faults = faults("duplicate 1 2");
    assert!(faults.admits(Way::In, address(2), b"twice", NOW));
    assert_eq!(faults.deadline(), Some(NOW));
    let copy = faults.next_due(Way::In, NOW).unwrap();
    assert_eq!((copy.other, copy.datagram.as_slice()), (address(2), b"twice".as_slice()));
    assert_eq!(faults.next_due(Way::In, NOW), None);
}

#[test]
fn what_is_delayed_comes_in_the_order_of_its_time_and_not_before() {
    let mut faults = faults("delay 5ms 2; delay 1ms 3");
    for (port, datagram) in [(2, b"later"), (3, b"first"), (3, b"again")] {
        assert!(!faults.admits(Way::Out, address(port), datagram, NOW));
    }
    assert_eq!(faults.deadline(), Some(Ticks(2000)));
    assert_eq!(faults.next_due(Way::Out, Ticks(1999)), None);
    assert_eq!(faults.next_due(Way::In, Ticks(9000)), None);
    for datagram in [b"first", b"again", b"later"] {
        assert_eq!(faults.next_due(Way::Out, Ticks(9000)).unwrap().datagram, datagram);
    }
    assert_eq!(faults.deadline(), None);
}

#[test]
fn a_delay_is_drawn_between_its_borders() {
    let mut faults = faults("delay 1us..3us 2");
    let mut seen = [0; 5];
    for _ in 0..300 {
        assert!(!faults.admits(Way::Out, address(2), b"", Ticks(0)));
        let due = faults.deadline().unwrap();
        seen[usize::try_from(due.0).unwrap()] += 1;
        faults.next_due(Way::Out, due).unwrap();
    }
    assert!(seen[0] == 0 && seen[4] == 0 && seen[1..4].iter().all(|count| *count > 50), "{seen:?}");
}

#[test]
fn what_is_held_when_its_way_is_cut_is_lost() {
    let mut faults = faults("delay 1ms peers");
    assert!(!faults.admits(Way::Out, address(2), b"lost", NOW));
    assert!(!faults.admits(Way::Out, address(3), b"kept", NOW));
    faults.apply(&parse_line("cut 2").unwrap()).unwrap();
    assert_eq!(faults.next_due(Way::Out, Ticks(9000)).unwrap().datagram, b"kept");
    assert_eq!(faults.next_due(Way::Out, Ticks(9000)), None);
}

#[test]
fn more_than_can_be_held_is_lost() {
    let mut faults = faults("delay 1ms 2");
    for _ in 0..MOST_HELD + 1 {
        assert!(!faults.admits(Way::In, address(2), b"", NOW));
    }
    let held = (0..).take_while(|_| faults.next_due(Way::In, Ticks(9000)).is_some()).count();
    assert_eq!(held, MOST_HELD);
}

#[test]
fn orders_with_an_unknown_peer_are_followed_not_even_in_part() {
    let mut faults = faults("loss 0 peers");
    let orders = parse_line("cut 2; cut 3,4").unwrap();
    assert_eq!(faults.apply(&orders), Err(OrderError::NoPeer(NodeId(4))));
    assert_eq!(passing(&mut faults, Way::Out, 2), 1000);
}

#[test]
fn a_peer_that_is_met_later_is_one_and_whoever_was_at_its_address_is_none() {
    let mut met = faults("cut peers; meet 4=127.0.0.1:9; cut 4 out");
    assert_eq!(passing(&mut met, Way::Out, 9), 0);
    assert_eq!(passing(&mut met, Way::In, 9), 1000);
    // It has moved, and then another one has its address.
    met.apply(&parse_line("meet 4=127.0.0.1:8").unwrap()).unwrap();
    assert_eq!((passing(&mut met, Way::Out, 9), passing(&mut met, Way::Out, 8)), (1000, 0));
    let late = met.apply(&parse_line("cut 5; meet 5=127.0.0.1:8").unwrap());
    assert_eq!(late, Err(OrderError::NoPeer(NodeId(5))));
    met.apply(&parse_line("heal; meet 5=127.0.0.1:8; cut 5").unwrap()).unwrap();
    assert_eq!(passing(&mut met, Way::Out, 8), 0);
    let unknown = met.apply(&parse_line("heal; cut 4").unwrap());
    assert_eq!(unknown, Err(OrderError::NoPeer(NodeId(4))));
    assert_eq!(passing(&mut met, Way::Out, 8), 0, "nothing was followed");
}
