use super::*;

const NOT_LEADER: Answer<'_> = Answer::NotLeader(None);

fn led_by(id: u32) -> Answer<'static> {
    Answer::NotLeader(Some(NodeId(id)))
}

#[test]
fn a_hint_is_followed_at_once_and_the_leader_remembered() {
    let mut client = client(4);
    client.query(b"q").unwrap();
    let first = asked(&mut client);
    answer(&mut client, &first, led_by(30));
    let second = asked(&mut client);
    assert_eq!((first.to, second.to, second.number), (1, 3, 2));
    answer(&mut client, &second, answered(1, b"a"));
    finished(&mut client, &mut [0; 600]);
    client.query(b"q").unwrap();
    assert_eq!(asked(&mut client).to, 3);
}

#[test]
fn without_a_known_leader_the_next_server_is_asked() {
    for unknown in [NOT_LEADER, led_by(99), led_by(10)] {
        let mut client = client(3);
        client.query(b"q").unwrap();
        let first = asked(&mut client);
        answer(&mut client, &first, unknown);
        assert_eq!(asked(&mut client).to, 2);
    }
}

#[test]
fn ids_are_learnt_from_answers() {
    let mut client = stranger(3);
    client.query(b"q").unwrap();
    let first = asked(&mut client);
    answer(&mut client, &first, led_by(30));
    let second = asked(&mut client);
    answer(&mut client, &second, led_by(10));
    let third = asked(&mut client);
    assert_eq!((first.to, second.to, third.to), (1, 2, 1));
    let ids: Vec<_> = client.servers().iter().map(|server| server.id).collect();
    assert_eq!(ids, [Some(NodeId(10)), Some(NodeId(20)), None]);
    let moved = reply(&Asked { to: 1, ..third }, answered(1, b"a"));
    client.receive(3, &moved).unwrap();
    let ids: Vec<_> = client.servers().iter().map(|server| server.id).collect();
    assert_eq!(ids, [None, Some(NodeId(20)), Some(NodeId(10))]);
}

#[test]
fn a_circle_of_hints_is_left_after_a_wait_and_every_server_gets_its_turn() {
    let mut client = client(4);
    client.query(b"q").unwrap();
    let mut asked_by_address = [0_u32; 5];
    let (mut sent, mut waits) = (0, 0);
    for _ in 0..60 {
        let request = asked(&mut client);
        sent += 1;
        asked_by_address[usize::from(request.to)] += 1;
        answer(&mut client, &request, led_by(if request.to == 1 { 20 } else { 10 }));
        if client.next_timeout() != Some(Ticks(0)) {
            assert!(sent <= 5);
            wait(&mut client);
            (sent, waits) = (0, waits + 1);
        }
    }
    assert_eq!(waits, 12);
    assert!(asked_by_address[3] > 0);
    assert!(asked_by_address[4] > 0);
}

#[test]
fn a_lone_server_that_does_not_lead_is_asked_again_after_a_wait() {
    let mut client = client(1);
    client.query(b"q").unwrap();
    for _ in 0..10 {
        let sent = asked(&mut client);
        answer(&mut client, &sent, led_by(10));
        nothing(&mut client);
        assert!(wait(&mut client) >= RETRY_MIN);
    }
}

#[test]
fn a_redirect_is_heard_once() {
    let mut client = client(3);
    client.query(b"q").unwrap();
    let first = asked(&mut client);
    answer(&mut client, &first, NOT_LEADER);
    assert_eq!(drops(&mut client, &first, NOT_LEADER), ClientDropped::Stale);
    let second = asked(&mut client);
    assert_eq!(drops(&mut client, &first, led_by(30)), ClientDropped::Stale);
    nothing(&mut client);
    answer(&mut client, &second, Answer::Busy);
    assert_eq!(drops(&mut client, &second, Answer::Busy), ClientDropped::Stale);
    assert_eq!(drops(&mut client, &second, led_by(30)), ClientDropped::Stale);
    nothing(&mut client);
    answer(&mut client, &first, answered(1, b"a"));
}

#[test]
fn a_redirect_from_another_epoch_is_a_redirect() {
    let mut client = client(3);
    let sent = asked_in_session(&mut client, b"one");
    client.receive(1, &reply_in(Epoch(0), &sent, NOT_LEADER)).unwrap();
    let again = asked(&mut client);
    assert_eq!((again.to, again.route.epoch, again.wish), (2, WORLD, sent.wish));
}

#[test]
fn a_silent_server_is_left_for_the_next() {
    let mut client = client(3);
    client.query(b"q").unwrap();
    for to in [1, 2, 3, 1, 2] {
        assert_eq!(asked(&mut client).to, to);
        wait(&mut client);
    }
}

#[test]
fn busy_and_unknown_are_asked_again_after_a_wait_and_in_place() {
    for later in [Answer::Busy, Answer::Unknown] {
        let mut client = client(3);
        let mut sent = asked_in_session(&mut client, b"one");
        for _ in 0..5 {
            answer(&mut client, &sent, later);
            nothing(&mut client);
            wait(&mut client);
            let again = asked(&mut client);
            assert_eq!((again.to, &again.wish), (1, &command(1, b"one")));
            assert_eq!(again.number, sent.number + 1);
            sent = again;
        }
        let busy = if later == Answer::Busy { 5 } else { 0 };
        assert_eq!((client.counters().deferrals, client.counters().busy), (5, busy));
    }
}

#[test]
fn waits_grow_within_their_bounds_and_start_anew_after_an_answer() {
    for seed in 0..100 {
        let servers = [Server { address: 1, id: None }];
        let mut client = Small::new(options(), &servers, Splitmix(seed), Checksum).unwrap();
        for _ in 0..2 {
            client.query(b"q").unwrap();
            asked(&mut client);
            for attempt in 1..=12 {
                let most = (RETRY_MIN << attempt).min(RETRY_MAX);
                let span = wait(&mut client);
                assert!(span >= RETRY_MIN.max(most / 2));
                assert!(span <= most);
                let sent = asked(&mut client);
                if attempt == 12 {
                    answer(&mut client, &sent, answered(1, b"a"));
                    finished(&mut client, &mut [0; 600]);
                }
            }
        }
    }
}

#[test]
fn waits_stay_within_bounds_that_lie_close_together() {
    for (seed, retry_max) in (0..100).flat_map(|seed| [(seed, 100), (seed, 101), (seed, 150)]) {
        let options = ClientOptions { retry_max: Ticks(retry_max), ..options() };
        let servers = [Server { address: 1, id: None }];
        let mut client = Small::new(options, &servers, Splitmix(seed), Checksum).unwrap();
        client.query(b"q").unwrap();
        for _ in 0..5 {
            asked(&mut client);
            assert!((RETRY_MIN..=retry_max).contains(&wait(&mut client)));
        }
    }
}

#[test]
fn several_timeouts_in_one_span_fire_once() {
    let mut client = client(2);
    client.query(b"q").unwrap();
    asked(&mut client);
    client.tick(Ticks(1_000_000));
    assert_eq!(asked(&mut client).number, 2);
}

#[test]
fn the_status_of_one_server_is_asked_of_no_other() {
    let mut client = client(3);
    assert_eq!(client.status(Some(3)), Err(StartError::NoSuchServer));
    client.status(Some(2)).unwrap();
    for _ in 0..4 {
        let sent = asked(&mut client);
        assert_eq!((sent.to, &sent.wish), (3, &Wish::Status));
        assert_eq!(drops(&mut client, &sent, led_by(10)), ClientDropped::Unexpected);
        wait(&mut client);
    }
    let sent = asked(&mut client);
    answer(&mut client, &sent, Answer::Status(status_bytes()));
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::Status(status()));
    client.query(b"q").unwrap();
    assert_eq!(asked(&mut client).to, 1);
}

#[test]
fn the_status_of_any_server_is_asked_of_the_next_if_one_is_silent() {
    let mut client = client(3);
    client.status(None).unwrap();
    for to in [1, 2, 3] {
        assert_eq!(asked(&mut client).to, to);
        wait(&mut client);
    }
}

#[test]
fn the_others_are_asked_for_by_the_page() {
    let mut client = client(3);
    assert_eq!(client.peers(Some(3), 0), Err(StartError::NoSuchServer));
    client.peers(Some(2), 4).unwrap();
    let sent = asked(&mut client);
    assert_eq!((sent.to, &sent.wish), (3, &Wish::Peers(4)));
    let member = crate::types::MemberId { id: NodeId(5), ..Default::default() };
    let peer = crate::status::PeerStatus { member, has_answered: true, progress: None };
    let mut bytes = [0; 64];
    let page = &*postcard::to_slice(&(peer, peer), &mut bytes).unwrap();
    for (first, peers) in [(0, page), (4, &page[1..]), (4, &[0; 3])] {
        let wrong = Answer::Peers { first, total: 9, peers };
        assert_eq!(drops(&mut client, &sent, wrong), ClientDropped::Unexpected);
    }
    let padded = Answer::Refused(Refusal::AnswerLongerThanRequest(300));
    answer(&mut client, &sent, padded);
    let sent = asked(&mut client);
    assert_eq!((sent.to, sent.bytes), (3, 300));
    answer(&mut client, &sent, Answer::Peers { first: 4, total: 9, peers: page });
    let mut buffer = [0; 600];
    let Outcome::Peers { first, total, peers } = finished(&mut client, &mut buffer) else {
        panic!("not about peers")
    };
    assert_eq!((first, total), (4, 9));
    assert!(peers.iter().eq([peer, peer]));
}
