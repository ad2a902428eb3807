use super::*;

/// A client's whole state, without its counters.
fn state(client: &Small) -> std::string::String {
    std::format!(
        "{:?}",
        (
            (&client.servers, client.target, client.tour, client.now, client.number),
            (client.session, &client.phase, client.bytes, client.length, &client.random),
            (client.command_room, client.query_room),
        )
    )
}

/// Clients in every phase, each with a reply that would be taken now, or was.
fn cases() -> Vec<(Small, Vec<u8>)> {
    let mut opening = client(3);
    opening.command(b"one").unwrap();
    let open = asked(&mut opening);
    let mut commanding = client(3);
    let sent = asked_in_session(&mut commanding, b"one");
    let mut querying = client(3);
    querying.query(b"q").unwrap();
    let query = asked(&mut querying);
    let mut asking = client(3);
    asking.status(Some(1)).unwrap();
    let question = asked(&mut asking);
    let mut pausing = client(3);
    let busy = asked_in_session(&mut pausing, b"one");
    answer(&mut pausing, &busy, Answer::Busy);
    vec![
        (opening, reply(&open, Answer::Opened(SessionId(7)))),
        (commanding, reply(&sent, applied(9, &[3; 40]))),
        (querying, reply(&query, answered(9, &[3; 40]))),
        (asking, reply(&question, Answer::Status(status_bytes()))),
        (pausing, reply(&busy, applied(9, &[3; 40]))),
    ]
}

#[test]
fn a_damaged_reply_changes_nothing() {
    for (mut client, reply) in cases() {
        let before = state(&client);
        let mut tried = 0;
        for length in 0..reply.len() {
            client.receive(1, &reply[..length]).unwrap_err();
            tried += 1;
        }
        for bit in 0..reply.len() * 8 {
            let mut damaged = reply.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let dropped = client.receive(1, &damaged).unwrap_err();
            assert!(matches!(dropped, ClientDropped::Undecodable(_)));
            tried += 1;
        }
        let mut longer = reply.clone();
        longer.push(0);
        client.receive(1, &longer).unwrap_err();
        assert_eq!(state(&client), before);
        assert_eq!(client.counters().undecodable, tried + 1);
        client.receive(1, &reply).unwrap();
    }
}

#[test]
fn random_bytes_change_nothing() {
    let mut random = Splitmix(5);
    for (mut client, reply) in cases() {
        let before = state(&client);
        for round in 0..2_000 {
            let mut bytes = [0; 120];
            random.try_fill_bytes(&mut bytes).unwrap();
            if round % 2 == 0 {
                // The header is genuine, and so is the seal: only the body is noise.
                let header = 41.min(reply.len());
                bytes[..header].copy_from_slice(&reply[..header]);
                let (content, seal) = bytes.split_at_mut(116);
                Checksum.seal(content, seal);
            }
            client.receive(1, &bytes).unwrap_err();
        }
        assert_eq!(state(&client), before);
    }
}

#[test]
fn what_is_for_others_is_dropped() {
    for (mut client, reply) in cases() {
        let before = state(&client);
        let (header, message) = wire::decode(&reply, &Checksum).unwrap();
        let Route::Client(own) = header.route else { panic!() };
        let request = Message::Request(Request { want: Want::Open, padding: &[] });
        let other_cluster = ClientRoute { cluster: ClusterId(1), ..own };
        let other_client = ClientRoute { client: ClientId(own.client.0 ^ 1), ..own };
        let misdirected = [
            (Route::Client(other_cluster), message),
            (Route::Client(other_client), message),
            (Route::Tagged(own.tag()), message),
            (Route::Client(own), request),
        ];
        for (route, message) in misdirected {
            let mut buffer = [0; 600];
            let header = Header { number: 1, route };
            let length = wire::encode(&header, &message, &Checksum, &mut buffer).unwrap();
            let dropped = client.receive(1, &buffer[..length]);
            assert_eq!(dropped, Err(ClientDropped::Misdirected));
        }
        assert_eq!(state(&client), before);
        assert_eq!(client.counters().misdirected, 4);
    }
}

#[test]
fn an_answer_to_another_question_is_dropped() {
    let answers = [
        Answer::Opened(SessionId(7)),
        applied(9, b"a"),
        answered(9, b"a"),
        Answer::Status(status_bytes()),
    ];
    for (own, (mut client, _)) in cases().into_iter().take(4).enumerate() {
        let before = state(&client);
        let question = Asked {
            to: 1,
            number: client.number,
            route: ClientRoute { cluster: CLUSTER, epoch: WORLD, client: client.id() },
            wish: Wish::Open,
            bytes: 0,
            padding: 0,
        };
        for (_, other) in answers.iter().enumerate().filter(|(at, _)| *at != own) {
            assert_eq!(drops(&mut client, &question, *other), ClientDropped::Unexpected);
        }
        assert_eq!(state(&client), before);
        answer(&mut client, &question, answers[own]);
    }
}

#[test]
fn a_session_or_an_epoch_of_zero_is_none() {
    let mut client = client(1);
    client.command(b"one").unwrap();
    let open = asked(&mut client);
    assert_eq!(drops(&mut client, &open, Answer::Opened(SessionId(0))), ClientDropped::Unexpected);
    let blank = reply_in(Epoch(0), &open, Answer::Opened(SessionId(7)));
    assert_eq!(client.receive(1, &blank), Err(ClientDropped::Unexpected));
    assert_eq!(client.counters().unexpected, 2);
}

#[test]
fn a_request_waits_for_a_buffer_that_is_long_enough() {
    let mut client = client(1);
    client.query(b"q").unwrap();
    for length in 0..256 {
        assert_eq!(client.poll(&mut vec![0; length]), None);
        assert_eq!(client.next_timeout(), Some(Ticks(0)));
    }
    assert_eq!(client.counters().short_buffers, 256);
    assert_eq!(asked(&mut client).number, 1);
}

#[test]
fn the_same_seed_gives_the_same_datagrams() {
    let run = || {
        let mut client = client(3);
        let mut seen = Vec::new();
        client.command(b"one").unwrap();
        for _ in 0..20 {
            seen.push(std::format!("{:?}", asked(&mut client)));
            seen.push(std::format!("{}", wait(&mut client)));
        }
        seen
    };
    assert_eq!(run(), run());
}
