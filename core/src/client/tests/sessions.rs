use super::*;

#[test]
fn the_first_command_opens_a_session_and_is_its_first() {
    let mut client = client(3);
    client.command(b"one").unwrap();
    let open = asked(&mut client);
    assert_eq!((open.to, open.number, &open.wish), (1, 1, &Wish::Open));
    assert_eq!(open.route, ClientRoute { cluster: CLUSTER, epoch: Epoch(0), client: client.id() });
    assert_ne!(client.id(), ClientId(0));
    answer(&mut client, &open, Answer::Opened(SessionId(7)));
    let sent = asked(&mut client);
    assert_eq!((sent.number, sent.route.epoch), (2, WORLD));
    assert_eq!(sent.wish, command(1, b"one"));
    answer(&mut client, &sent, applied(9, b"done"));
    let mut buffer = [0; 600];
    assert_eq!(client.next_timeout(), Some(Ticks(0)));
    assert_eq!(
        client.poll(&mut buffer),
        Some(ClientEvent::Finished {
            from: NodeId(10),
            epoch: WORLD,
            outcome: Outcome::Applied { entry: entry(9), response: b"done" },
        })
    );
    assert_eq!(client.next_timeout(), None);
    nothing(&mut client);
}

#[test]
fn each_command_has_the_next_sequence_number() {
    let mut client = client(1);
    let mut sent = asked_in_session(&mut client, b"1");
    for sequence in 2..5 {
        answer(&mut client, &sent, applied(sequence, &[]));
        finished(&mut client, &mut [0; 600]);
        client.command(b"n").unwrap();
        sent = asked(&mut client);
        assert_eq!(sent.wish, command(sequence, b"n"));
    }
}

#[test]
fn a_repeated_command_keeps_its_sequence_and_changes_its_number() {
    let mut client = client(2);
    let first = asked_in_session(&mut client, b"one");
    wait(&mut client);
    let second = asked(&mut client);
    assert_eq!(second.wish, first.wish);
    assert_eq!(second.number, first.number + 1);
    assert_eq!(client.counters().timeouts, 1);
}

#[test]
fn an_answer_to_any_copy_of_the_command_counts_once() {
    let mut client = client(2);
    let first = asked_in_session(&mut client, b"one");
    wait(&mut client);
    let second = asked(&mut client);
    answer(&mut client, &first, applied(9, b"yes"));
    assert_eq!(
        finished(&mut client, &mut [0; 600]),
        Outcome::Applied { entry: entry(9), response: b"yes" }
    );
    assert_eq!(drops(&mut client, &second, applied(9, b"yes")), ClientDropped::Stale);
    client.command(b"two").unwrap();
    let third = asked(&mut client);
    for late in [&first, &second] {
        assert_eq!(drops(&mut client, late, applied(9, b"yes")), ClientDropped::Stale);
    }
    let ahead = Asked { number: third.number + 1, ..third.clone() };
    assert_eq!(drops(&mut client, &ahead, applied(9, b"yes")), ClientDropped::Stale);
    assert_eq!(client.counters().stale, 4);
    nothing(&mut client);
    answer(&mut client, &third, applied(10, b""));
}

#[test]
fn a_second_session_opened_by_a_copy_is_ignored() {
    let mut client = client(1);
    client.command(b"one").unwrap();
    let first = asked(&mut client);
    wait(&mut client);
    let second = asked(&mut client);
    answer(&mut client, &second, Answer::Opened(SessionId(7)));
    let sent = asked(&mut client);
    assert_eq!(drops(&mut client, &first, Answer::Opened(SessionId(6))), ClientDropped::Stale);
    assert_eq!(sent.wish, command(1, b"one"));
}

#[test]
fn an_expired_session_is_reported_and_the_next_command_opens_another() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, Answer::SessionExpired);
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::SessionExpired);
    client.command(b"two").unwrap();
    let open = asked(&mut client);
    assert_eq!((open.route.epoch, &open.wish), (Epoch(0), &Wish::Open));
    assert_eq!(drops(&mut client, &open, Answer::SessionExpired), ClientDropped::Unexpected);
    client.receive(1, &reply_in(Epoch(2), &open, Answer::Opened(SessionId(3)))).unwrap();
    let sent = asked(&mut client);
    let first = Wish::Command { session: 3, sequence: 1, command: b"two".to_vec() };
    assert_eq!((sent.route.epoch, sent.wish), (Epoch(2), first));
}

#[test]
fn a_session_whose_epoch_is_over_is_told_so_and_the_next_command_opens_another() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    let gone = reply_in(Epoch(2), &sent, Answer::SessionExpired);
    client.receive(1, &gone).unwrap();
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::EpochEnded);
    client.command(b"two").unwrap();
    let open = asked(&mut client);
    assert_eq!((open.route.epoch, &open.wish), (Epoch(0), &Wish::Open));
}

#[test]
fn an_answer_from_another_epoch_than_the_sessions_is_no_answer() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, applied(9, b""));
    finished(&mut client, &mut [0; 600]);
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    let elsewhere = answered(3, b"empty");
    client.receive(1, &reply_in(Epoch(2), &sent, elsewhere)).unwrap();
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::EpochEnded);
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    client.receive(1, &reply_in(Epoch(2), &sent, elsewhere)).unwrap();
    let told = Outcome::Answered { index: Index(3), answer: b"empty" };
    assert_eq!(finished(&mut client, &mut [0; 600]), told);
}

#[test]
fn a_query_learns_that_the_session_has_expired() {
    let mut client = client(1);
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    assert_eq!(drops(&mut client, &sent, Answer::SessionExpired), ClientDropped::Unexpected);
    client.cancel();
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, applied(9, b""));
    finished(&mut client, &mut [0; 600]);
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    assert_eq!(sent.route.epoch, WORLD);
    answer(&mut client, &sent, Answer::SessionExpired);
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::SessionExpired);
    client.command(b"two").unwrap();
    assert_eq!(asked(&mut client).wish, Wish::Open);
}

#[test]
fn a_command_applied_in_another_epoch_than_its_session_is_not_believed() {
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    let elsewhere = reply_in(Epoch(2), &sent, applied(9, b""));
    assert_eq!(client.receive(1, &elsewhere), Err(ClientDropped::Unexpected));
    answer(&mut client, &sent, applied(9, b""));
}

#[test]
fn cancel_says_unknown_only_of_a_command_that_was_sent() {
    let mut client = client(1);
    assert_eq!(client.cancel(), Fate::NothingHappened);
    client.query(b"q").unwrap();
    asked(&mut client);
    assert_eq!(client.cancel(), Fate::NothingHappened);
    client.status(None).unwrap();
    asked(&mut client);
    assert_eq!(client.cancel(), Fate::NothingHappened);
    client.command(b"one").unwrap();
    assert_eq!(client.cancel(), Fate::NothingHappened);
    client.command(b"one").unwrap();
    let open = asked(&mut client);
    assert_eq!(client.cancel(), Fate::NothingHappened);
    assert_eq!(drops(&mut client, &open, Answer::Opened(SessionId(7))), ClientDropped::Stale);
    client.command(b"one").unwrap();
    let open = asked(&mut client);
    answer(&mut client, &open, Answer::Opened(SessionId(7)));
    assert_eq!(client.cancel(), Fate::NothingHappened);
    assert_eq!(client.retry(), Err(RetryError::NothingToRetry));
    client.command(b"one").unwrap();
    let sent = asked(&mut client);
    assert_eq!(sent.wish, command(1, b"one"));
    assert_eq!(client.cancel(), Fate::Unknown);
    assert_eq!(client.cancel(), Fate::Unknown);
    assert_eq!((client.next_timeout(), client.is_idle()), (None, true));
    assert_eq!(drops(&mut client, &sent, applied(9, b"")), ClientDropped::Stale);
    client.command(b"two").unwrap();
    let sent = asked(&mut client);
    assert_eq!(sent.wish, command(2, b"two"));
    answer(&mut client, &sent, applied(9, b""));
    assert_eq!(client.cancel(), Fate::Unknown);
    nothing(&mut client);
    client.command(b"three").unwrap();
    assert_eq!(asked(&mut client).wish, command(3, b"three"));
}

#[test]
fn a_cancelled_command_is_retried_under_its_sequence_number() {
    let mut client = client(1);
    let first = asked_in_session(&mut client, b"one");
    assert_eq!(client.retry(), Err(RetryError::Busy));
    client.cancel();
    assert_eq!(client.command(&[0; 201]), Err(StartError::TooLarge { limit: 200 }));
    client.retry().unwrap();
    let second = asked(&mut client);
    assert_eq!((second.number, &second.wish), (first.number + 1, &first.wish));
    client.cancel();
    client.retry().unwrap();
    asked(&mut client);
    answer(&mut client, &first, applied(9, b"once"));
    assert_eq!(
        finished(&mut client, &mut [0; 600]),
        Outcome::Applied { entry: entry(9), response: b"once" }
    );
    assert_eq!(client.retry(), Err(RetryError::NothingToRetry));
    client.command(b"two").unwrap();
    assert_eq!(asked(&mut client).wish, command(2, b"two"));
}

#[test]
fn a_query_spends_the_sequence_number_of_an_abandoned_command() {
    let mut client = client(1);
    asked_in_session(&mut client, b"one");
    client.cancel();
    client.query(b"q").unwrap();
    client.cancel();
    assert_eq!(client.retry(), Err(RetryError::NothingToRetry));
    client.command(b"two").unwrap();
    assert_eq!(asked(&mut client).wish, command(2, b"two"));
}

#[test]
fn a_refusal_is_certain_only_of_a_command_sent_once() {
    let refusal = Refusal::Malformed;
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, Answer::Refused(refusal));
    let fate = Fate::NothingHappened;
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::Refused { refusal, fate });
    client.command(b"two").unwrap();
    assert_eq!(asked(&mut client).wish, command(2, b"two"));
    wait(&mut client);
    let sent = asked(&mut client);
    answer(&mut client, &sent, Answer::Refused(refusal));
    let fate = Fate::Unknown;
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::Refused { refusal, fate });
}

#[test]
fn a_command_that_was_too_large_may_still_fit_a_later_leader() {
    let refusal = Refusal::TooLarge(9);
    let mut client = client(1);
    let sent = asked_in_session(&mut client, b"one");
    answer(&mut client, &sent, Answer::Refused(refusal));
    let fate = Fate::Unknown;
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::Refused { refusal, fate });
    client.query(b"q").unwrap();
    let sent = asked(&mut client);
    answer(&mut client, &sent, Answer::Refused(refusal));
    let fate = Fate::NothingHappened;
    assert_eq!(finished(&mut client, &mut [0; 600]), Outcome::Refused { refusal, fate });
}

#[test]
fn without_a_number_left_nothing_is_started_or_sent() {
    let mut client = client(1);
    client.number = wire::MAX_NUMBER - 1;
    client.query(b"q").unwrap();
    let last = asked(&mut client);
    assert_eq!(last.number, wire::MAX_NUMBER);
    wait(&mut client);
    nothing(&mut client);
    assert_eq!(client.next_timeout(), None);
    answer(&mut client, &last, answered(1, b"a"));
    finished(&mut client, &mut [0; 600]);
    assert_eq!(client.query(b"q"), Err(StartError::Exhausted));
    assert_eq!(client.command(b"c"), Err(StartError::Exhausted));
    assert_eq!(client.status(None), Err(StartError::Exhausted));
}

#[test]
fn another_client_goes_on_with_an_abandoned_command() {
    let mut first = client(2);
    assert_eq!(first.ticket(), None);
    let sent = asked_in_session(&mut first, b"one");
    assert_eq!(first.ticket(), None, "it is under way");
    first.cancel();
    let mut bytes = [0; 64];
    let length = first.ticket().unwrap().encode(&mut bytes).unwrap();
    let ticket = Ticket::decode(&bytes[..length]).unwrap();
    assert_eq!((Some(ticket), ticket.command()), (first.ticket(), &b"one"[..]));
    let servers = [Server { address: 9, id: None }];
    let mut second = Small::new(options(), &servers, Splitmix(2), Checksum).unwrap();
    assert_ne!(second.id(), first.id());
    second.resume(&ticket).unwrap();
    assert_eq!(second.id(), first.id());
    let again = asked(&mut second);
    assert_eq!((&again.wish, again.route), (&sent.wish, sent.route));
    assert_eq!(again.number, sent.number + 1);
    second.cancel();
    let later = second.ticket().unwrap();
    let mut third = client(1);
    third.resume(&later).unwrap();
    let again = asked(&mut third);
    answer(&mut third, &again, applied(9, b"once"));
    let mut buffer = [0; 600];
    let outcome = finished(&mut third, &mut buffer);
    assert_eq!(outcome, Outcome::Applied { entry: entry(9), response: b"once" });
    assert_eq!(third.ticket(), None);
    third.command(b"two").unwrap();
    assert_eq!(asked(&mut third).wish, command(2, b"two"));
}

#[test]
fn a_refusal_of_a_command_that_was_taken_up_is_not_certain() {
    let mut first = client(1);
    asked_in_session(&mut first, b"one");
    first.cancel();
    let mut second = client(1);
    second.resume(&first.ticket().unwrap()).unwrap();
    let sent = asked(&mut second);
    let refusal = Refusal::Malformed;
    answer(&mut second, &sent, Answer::Refused(refusal));
    let fate = Fate::Unknown;
    assert_eq!(finished(&mut second, &mut [0; 600]), Outcome::Refused { refusal, fate });
}

#[test]
fn a_ticket_is_taken_whole_or_not_at_all() {
    let mut first = client(1);
    asked_in_session(&mut first, b"one");
    first.cancel();
    let mut bytes = [0; 64];
    let length = first.ticket().unwrap().encode(&mut bytes).unwrap();
    assert_eq!(first.ticket().unwrap().encode(&mut [0; 8]), None);
    for cut in 0..length {
        assert_eq!(Ticket::decode(&bytes[..cut]), None, "{cut}");
    }
    assert_eq!(Ticket::decode(&bytes[..=length]), None);
    for zero in [0..8, 8..16, 16..17, 17..18, 18..19, 19..20] {
        let mut bytes = bytes;
        bytes[zero.clone()].fill(0);
        assert_eq!(Ticket::decode(&bytes[..length]), None, "{zero:?}");
    }
}

#[test]
fn a_ticket_that_cannot_be_taken_up_changes_nothing() {
    let mut first = client(1);
    asked_in_session(&mut first, b"one");
    first.cancel();
    let ticket = first.ticket().unwrap();
    let mut second = client(1);
    second.query(b"q").unwrap();
    let id = second.id();
    assert_eq!(second.resume(&ticket), Err(StartError::Busy));
    assert_eq!(second.id(), id);
    let mut last = client(1);
    asked_in_session(&mut last, b"one");
    last.cancel();
    last.number = wire::MAX_NUMBER;
    second.cancel();
    assert_eq!(second.resume(&last.ticket().unwrap()), Err(StartError::Exhausted));
    second.resume(&ticket).unwrap();
}
