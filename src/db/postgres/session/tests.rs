//! A session against a server that answers by script, byte for byte.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::super::dial::Opened;
use super::super::environment::Environment;
use super::super::exchange::rows_of_tag;
use super::super::settings::TargetSession;
use super::*;
use crate::db::stream::Stream;
use crate::db::{Begin, Place, RowsExpected, Substitution};
use crate::sql::values::Slot;
use crate::units::{SlotId, Stamp};

/// Each look at it is one later than the last.
#[derive(Clone, Default)]
struct Ticks(Arc<AtomicU64>);

impl Now for Ticks {
    fn now(&self) -> Stamp {
        Stamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The server's side.
struct Peer {
    stream: DuplexStream,
}

impl Peer {
    /// Answers the startup message, and each request that is expected then.
    async fn greet(mut stream: DuplexStream, expected: Vec<(&str, Vec<u8>)>) -> Self {
        let len = stream.read_u32().await.expect("the length of the startup message");
        let mut startup = vec![0; len as usize - 4];
        stream.read_exact(&mut startup).await.expect("the startup message");
        assert_eq!(startup[..4], 196_608_u32.to_be_bytes());
        let mut peer = Self { stream };
        let greeting = [
            message(b'R', &[0; 4]),
            message(b'S', b"server_version\x0016.4 (Test)\0"),
            message(b'N', &error_fields("WARNING", "01000", "be warned")),
            message(b'K', &[0, 0, 0x12, 0x34, 0, 0, 0, 1]),
            message(b'Z', b"I"),
        ];
        peer.send(&greeting.concat()).await;
        for (tags, answer) in expected {
            assert_eq!(peer.request().await, tags.as_bytes());
            peer.send(&answer).await;
        }
        peer
    }

    /// The message types up to the next Sync or Query.
    async fn request(&mut self) -> Vec<u8> {
        self.messages().await.0
    }

    /// The message types up to the next Sync or Query, and what the first message says.
    async fn messages(&mut self) -> (Vec<u8>, Vec<u8>) {
        let mut tags = Vec::new();
        let mut first = None;
        loop {
            let tag = self.stream.read_u8().await.expect("a message");
            let len = self.stream.read_u32().await.expect("its length");
            let mut body = vec![0; len as usize - 4];
            self.stream.read_exact(&mut body).await.expect("its body");
            tags.push(tag);
            first.get_or_insert(body);
            if tag == b'S' || tag == b'Q' {
                return (tags, first.unwrap_or_default());
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the client reads");
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).expect("short");
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

fn error_fields(severity: &str, code: &str, text: &str) -> Vec<u8> {
    format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0").into_bytes()
}

fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    message(b'E', &error_fields(severity, code, text))
}

fn row(fields: &[&[u8]]) -> Vec<u8> {
    let mut body = u16::try_from(fields.len()).expect("few").to_be_bytes().to_vec();
    for field in fields {
        body.extend_from_slice(&u32::try_from(field.len()).expect("short").to_be_bytes());
        body.extend_from_slice(field);
    }
    message(b'D', &body)
}

/// Bound, then `middle`, then the tag and the status.
fn answer(middle: &[Vec<u8>], tag: &str, status: &[u8]) -> Vec<u8> {
    let end = [message(b'C', &[tag.as_bytes(), &[0]].concat()), message(b'Z', status)].concat();
    [message(b'2', &[]), middle.concat(), end].concat()
}

/// The description of a statement with parameters and columns of these types.
fn described(parameters: &[u32], columns: &[(&str, u32)]) -> Vec<u8> {
    let count = |len: usize| u16::try_from(len).expect("few").to_be_bytes();
    let mut types = count(parameters.len()).to_vec();
    types.extend(parameters.iter().flat_map(|oid| oid.to_be_bytes()));
    let mut rows = count(columns.len()).to_vec();
    for (name, oid) in columns {
        rows.extend_from_slice(name.as_bytes());
        rows.extend_from_slice(&[0; 7]);
        rows.extend_from_slice(&oid.to_be_bytes());
        rows.extend_from_slice(&[0; 8]);
    }
    let rows = if columns.is_empty() { message(b'n', &[]) } else { message(b'T', &rows) };
    [message(b'1', &[]), message(b't', &types), rows, message(b'Z', b"I")].concat()
}

fn plan(rows: RowsExpected, outputs: &[(&str, u32)]) -> StatementPlan {
    StatementPlan {
        sql: "/*dbdyno:t.s*/ SELECT a, b FROM c WHERE d = $1".to_owned(),
        rows,
        inputs: vec![SlotId(0)],
        outputs: outputs.iter().map(|(name, slot)| ((*name).to_owned(), SlotId(*slot))).collect(),
        places: vec![Place { range: 44..46, input: 0 }],
        substitution: Substitution::default(),
    }
}

const INT4: u32 = 23;
const TEXT: u32 = 25;

/// A session with one statement: an integer parameter, columns `a` (integer) and `b` (text).
async fn connect(plan: StatementPlan) -> (PgSession<Ticks>, Peer) {
    let description = described(&[INT4], &[("a", INT4), ("b", TEXT)]);
    let (result, peer) = try_connect(plan, description).await;
    (result.expect("a session"), peer)
}

async fn try_connect(
    plan: StatementPlan,
    description: Vec<u8>,
) -> (Result<PgSession<Ticks>, ConnectError>, Peer) {
    connect_as(&SessionOptions::default(), plan, vec![("PDS", description)]).await
}

async fn connect_as(
    options: &SessionOptions,
    plan: StatementPlan,
    expected: Vec<(&str, Vec<u8>)>,
) -> (Result<PgSession<Ticks>, ConnectError>, Peer) {
    let (ours, theirs) = duplex(1024);
    let settings = Settings::from_url_in("postgres://u@test/d", &Environment::empty()).expect("settings");
    let opened = Opened {
        stream: Stream::Memory(ours),
        address: "test:5432".to_owned(),
        password: None,
        binding: None,
        target: TargetSession::Any,
    };
    let connecting = async {
        let started = startup::start(opened, &settings, "dbdyno pool").await?;
        PgSession::open(started, Ticks::default(), &[plan], options, Abandoned::default()).await
    };
    tokio::join!(connecting, Peer::greet(theirs, expected))
}

fn frame() -> Frame {
    let mut frame = Frame::default();
    frame.reset(4);
    frame.slots[0] = Slot::Int(7);
    frame
}

/// One execution, answered by these bytes.
async fn execute(
    session: &mut PgSession<Ticks>,
    peer: &mut Peer,
    frame: &mut Frame,
    answer: &[u8],
) -> (Result<(), ExecError>, Reply) {
    let mut reply = Reply::default();
    let answering = async {
        assert_eq!(peer.request().await, b"BES");
        peer.send(answer).await;
    };
    let (result, ()) = tokio::join!(session.execute(StatementId(0), frame, &mut reply), answering);
    (result, reply)
}

async fn control(
    session: &mut PgSession<Ticks>,
    peer: &mut Peer,
    what: Control,
    answer: &[u8],
) -> Result<(), ExecError> {
    let mut reply = Reply::default();
    let answering = async {
        assert_eq!(peer.request().await, b"Q");
        peer.send(answer).await;
    };
    tokio::join!(session.control(what, &mut reply), answering).0
}

#[tokio::test]
async fn rows_are_counted_and_stamped() {
    let (mut session, mut peer) = connect(plan(RowsExpected::Any, &[])).await;
    assert_eq!((session.backend(), session.major_version()), (BackendId(0x1234), 16));
    let rows = [row(&[b"1", b"x"]), row(&[b"2", b"y"])];
    let bytes = answer(&rows, "SELECT 2", b"I");
    let (result, reply) = execute(&mut session, &mut peer, &mut frame(), &bytes).await;
    result.expect("rows");
    assert_eq!((reply.rows, reply.bytes), (2, bytes.len() as u64));
    let first_row = reply.first_row_at.expect("a first row");
    assert!(reply.sent_at < first_row && first_row < reply.done_at, "{reply:?}");

    let (result, reply) =
        execute(&mut session, &mut peer, &mut frame(), &answer(&[], "UPDATE 5", b"I")).await;
    result.expect("a change");
    assert_eq!((reply.rows, reply.first_row_at), (5, None));
    assert!(session.usable());
}

#[tokio::test]
async fn columns_become_values() {
    let (mut session, mut peer) =
        connect(plan(RowsExpected::Optional, &[("b", 2), ("a", 1), ("b", 3)])).await;
    let mut frame = frame();
    let one = answer(&[row(&[&9_i32.to_be_bytes(), b"text"])], "SELECT 1", b"I");
    execute(&mut session, &mut peer, &mut frame, &one).await.0.expect("a row");
    assert_eq!(frame.slots[1], Slot::Int(9));
    for slot in [2, 3] {
        assert!(matches!(frame.slots[slot], Slot::Text(range) if frame.arena.str(range) == "text"));
    }

    let null = message(b'D', &[0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, b'z']);
    execute(&mut session, &mut peer, &mut frame, &answer(&[null], "SELECT 1", b"I")).await.0.expect("a row");
    assert_eq!(frame.slots[1], Slot::Null);

    execute(&mut session, &mut peer, &mut frame, &answer(&[], "SELECT 0", b"I")).await.0.expect("no row");
    assert_eq!(frame.slots[2], Slot::Null, "no value of a former execution stays");
}

#[tokio::test]
async fn an_answer_may_come_in_any_pieces() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[("a", 1)])).await;
    let bytes = answer(
        &[message(b'N', &error_fields("NOTICE", "00000", "hello")), row(&[&9_i32.to_be_bytes(), b"text"])],
        "SELECT 1",
        b"I",
    );
    for piece in 1..bytes.len() {
        let mut frame = frame();
        let mut reply = Reply::default();
        let answering = async {
            peer.request().await;
            for part in bytes.chunks(piece) {
                peer.send(part).await;
                tokio::task::yield_now().await;
            }
        };
        let (result, ()) = tokio::join!(session.execute(StatementId(0), &mut frame, &mut reply), answering);
        result.unwrap_or_else(|error| panic!("in pieces of {piece}: {error}"));
        assert_eq!((frame.slots[1], reply.rows), (Slot::Int(9), 1));
        assert!(session.usable());
    }
}

#[tokio::test]
async fn an_error_is_read_to_its_end_and_the_session_goes_on() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let refused = [error("ERROR", "23505", "duplicate key"), message(b'Z', b"I")].concat();
    let (result, reply) = execute(&mut session, &mut peer, &mut frame(), &refused).await;
    let error = result.expect_err("an error");
    assert_eq!(error.code(), "23505");
    assert!(matches!(&error, ExecError::Server { message, .. } if message == "duplicate key"));
    assert!(reply.done_at > reply.sent_at && session.usable());
    let good = answer(&[row(&[b"1", b"x"])], "SELECT 1", b"I");
    execute(&mut session, &mut peer, &mut frame(), &good).await.0.expect("the next one is fine");
}

#[tokio::test]
async fn rows_that_break_the_promise_are_an_error_of_their_own() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let none = answer(&[], "SELECT 0", b"I");
    let error = execute(&mut session, &mut peer, &mut frame(), &none).await.0.expect_err("no row");
    assert_eq!(error.code(), "no_row");
    let two = answer(&[row(&[b"1", b"x"]), row(&[b"1", b"x"])], "SELECT 2", b"I");
    let error = execute(&mut session, &mut peer, &mut frame(), &two).await.0.expect_err("two rows");
    assert_eq!(error.code(), "many_rows");
    assert!(session.usable());
}

#[tokio::test]
async fn a_server_that_ends_the_connection_is_told_from_one_that_vanishes() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let fatal = error("FATAL", "57P01", "terminating connection due to administrator command");
    let (result, _) = execute(&mut session, &mut peer, &mut frame(), &fatal).await;
    assert!(matches!(result, Err(ExecError::Ended { code, .. }) if code.as_str() == "57P01"));
    assert!(!session.usable());

    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let mut frame = frame();
    let mut reply = Reply::default();
    let answering = async {
        peer.request().await;
        let whole = answer(&[row(&[b"1", b"x"])], "SELECT 1", b"I");
        peer.send(&whole[..whole.len() - 8]).await;
        drop(peer);
    };
    let (result, ()) = tokio::join!(session.execute(StatementId(0), &mut frame, &mut reply), answering);
    assert!(matches!(result, Err(ExecError::Lost(_))), "{result:?}");
    assert_eq!(reply.rows, 1, "the reply tells how far things went");
    assert!(!session.usable());
    let again = session.execute(StatementId(0), &mut frame, &mut reply).await;
    assert!(matches!(again, Err(ExecError::Lost(_))), "{again:?}");
}

#[tokio::test]
async fn last_words_are_heard_when_the_request_cannot_be_sent() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    peer.send(&error("FATAL", "57P01", "terminating connection")).await;
    drop(peer);
    let result = session.execute(StatementId(0), &mut frame(), &mut Reply::default()).await;
    assert!(matches!(result, Err(ExecError::Ended { .. })), "{result:?}");
}

#[tokio::test]
async fn a_transaction_is_followed_by_what_the_server_says_of_it() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let done = |tag: &str, status: &[u8]| {
        [message(b'C', &[tag.as_bytes(), &[0]].concat()), message(b'Z', status)].concat()
    };
    control(&mut session, &mut peer, Control::Begin(Begin::default()), &done("BEGIN", b"T"))
        .await
        .expect("begun");
    assert!(!session.usable());
    control(&mut session, &mut peer, Control::Commit, &done("COMMIT", b"I")).await.expect("committed");
    assert!(session.usable());

    control(&mut session, &mut peer, Control::Begin(Begin::default()), &done("BEGIN", b"T"))
        .await
        .expect("begun");
    let error = control(&mut session, &mut peer, Control::Commit, &done("ROLLBACK", b"I"))
        .await
        .expect_err("a commit that rolls back");
    assert_eq!(error.code(), "25P02");
    assert!(session.usable());
    control(&mut session, &mut peer, Control::Rollback, &done("ROLLBACK", b"I")).await.expect("rolled back");
}

#[tokio::test]
async fn a_future_that_is_dropped_midway_poisons_the_session() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    {
        let mut frame = frame();
        let mut reply = Reply::default();
        let mut executing = Box::pin(session.execute(StatementId(0), &mut frame, &mut reply));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(executing.as_mut().poll(&mut context), Poll::Pending));
    }
    assert!(!session.usable());
    peer.send(&answer(&[row(&[b"1", b"x"])], "SELECT 1", b"I")).await;
    let result = session.execute(StatementId(0), &mut frame(), &mut Reply::default()).await;
    assert!(
        matches!(result, Err(ExecError::Lost(_))),
        "the answer to another request is never taken: {result:?}"
    );
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_ends_the_session() {
    for bytes in [message(b'G', &[0; 3]), message(b'?', &[]), vec![b'D', 0, 0, 0, 1], message(b'Z', b"?")] {
        let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
        let (result, _) = execute(&mut session, &mut peer, &mut frame(), &bytes).await;
        assert!(matches!(result, Err(ExecError::Protocol(_))), "{bytes:?}: {result:?}");
        assert!(!session.usable());
    }
}

#[tokio::test]
async fn a_large_row_passes_by_and_a_large_value_gives_its_room_back() {
    let large = vec![b'x'; 1 << 20];
    let bytes = answer(&[row(&[&9_i32.to_be_bytes(), &large])], "SELECT 1", b"I");
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let before = session.wire.held();
    execute(&mut session, &mut peer, &mut frame(), &bytes).await.0.expect("a row");
    assert_eq!(session.wire.held(), before, "what nobody reads is not held");

    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[("b", 1)])).await;
    let mut frame = frame();
    execute(&mut session, &mut peer, &mut frame, &bytes).await.0.expect("a row");
    assert!(matches!(frame.slots[1], Slot::Text(range) if frame.arena.get(range).len() == large.len()));
    assert!(session.wire.held() > large.len());
    let small = answer(&[row(&[&9_i32.to_be_bytes(), b"x"])], "SELECT 1", b"I");
    execute(&mut session, &mut peer, &mut frame, &small).await.0.expect("a row");
    assert_eq!(session.wire.held(), before);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_never_sent() {
    let (mut session, mut peer) = connect(plan(RowsExpected::One, &[])).await;
    let mut frame = frame();
    frame.slots[0] = Slot::Bool(true);
    let error = session
        .execute(StatementId(0), &mut frame, &mut Reply::default())
        .await
        .expect_err("a truth value is no integer");
    let message = error.to_string();
    for part in ["$1", "t.s", "int4", "truth value"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(session.usable());
    frame.slots[0] = Slot::Int(1);
    let good = answer(&[row(&[b"1", b"x"])], "SELECT 1", b"I");
    execute(&mut session, &mut peer, &mut frame, &good).await.0.expect("the next one is fine");
}

#[tokio::test]
async fn a_statement_that_cannot_be_prepared_is_named() {
    let refused = [error("ERROR", "42P01", "relation \"c\" does not exist"), message(b'Z', b"I")].concat();
    let (result, _) = try_connect(plan(RowsExpected::Any, &[]), refused).await;
    let error = result.err().expect("an error");
    assert_eq!(error.code(), "42P01");
    assert!(error.to_string().contains("`t.s`"), "{error}");

    let description = described(&[INT4], &[("a", INT4)]);
    let (result, _) = try_connect(plan(RowsExpected::One, &[("total", 1)]), description).await;
    let message = result.err().expect("an error").to_string();
    assert!(message.contains("no column `total`") && message.contains("it returns: a"), "{message}");

    let description = described(&[INT4], &[("a", INT4), ("a", INT4)]);
    let (result, _) = try_connect(plan(RowsExpected::One, &[("a", 1)]), description).await;
    let message = result.err().expect("an error").to_string();
    assert!(message.contains("more than one column `a`"), "{message}");

    let (result, _) = try_connect(plan(RowsExpected::One, &[]), described(&[INT4], &[])).await;
    let message = result.err().expect("an error").to_string();
    assert!(message.contains("RETURNING"), "{message}");
}

/// The number of the connection is not that of the session behind it, so that what is set once may be gone at the next
/// transaction: the limit goes with each.
#[tokio::test]
async fn behind_a_pooler_the_limit_of_statements_goes_with_each_transaction() {
    let text_row = |text: &str| {
        let done = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
        [row(&[text.as_bytes()]), done].concat()
    };
    let limited = |protocol: Protocol| SessionOptions {
        statement_timeout: Some(std::time::Duration::from_millis(500)),
        ..protocol.into()
    };
    let description = described(&[INT4], &[("a", INT4), ("b", TEXT)]);
    for protocol in [Protocol::Prepared, Protocol::Extended] {
        let expected = vec![("Q", text_row("77")), ("PDS", description.clone())];
        let (session, mut peer) =
            connect_as(&limited(protocol), plan(RowsExpected::One, &[("a", 1)]), expected).await;
        let mut session = session.expect("a session");

        // A statement that is its own transaction: what is set stands in front, and its row is nobody's.
        let mut frame = frame();
        let mut reply = Reply::default();
        let set =
            [message(b'1', &[]), message(b'2', &[]), row(&[b"500"]), message(b'C', b"SELECT 1\0")].concat();
        let whole = [set, answer(&[row(&[&9_i32.to_be_bytes(), b"x"])], "SELECT 1", b"I")].concat();
        let answering = async {
            let (tags, first) = peer.messages().await;
            assert_eq!(tags, if protocol == Protocol::Prepared { b"PBEBES".as_slice() } else { b"PBEPBES" });
            let first = String::from_utf8_lossy(&first).into_owned();
            assert!(first.contains("set_config('statement_timeout', '500', true)"), "{first}");
            peer.send(&whole).await;
        };
        let (result, ()) = tokio::join!(session.execute(StatementId(0), &mut frame, &mut reply), answering);
        result.expect("one row");
        assert_eq!((frame.slots[1], reply.rows), (Slot::Int(9), 1));

        // In a transaction it is a part of BEGIN, and of nothing else.
        let begun = [message(b'C', b"BEGIN\0"), message(b'C', b"SET\0"), message(b'Z', b"T")].concat();
        let answering = async {
            let (tags, text) = peer.messages().await;
            assert_eq!(tags, b"Q");
            assert_eq!(text, b"BEGIN; SET LOCAL statement_timeout = 500\0");
            peer.send(&begun).await;
        };
        let begin = Control::Begin(Begin::default());
        let (result, ()) = tokio::join!(session.control(begin, &mut reply), answering);
        result.expect("begun");
        let tags = if protocol == Protocol::Prepared { "BES" } else { "PBES" };
        let answering = async {
            assert_eq!(peer.request().await, tags.as_bytes());
            peer.send(&answer(&[row(&[&9_i32.to_be_bytes(), b"x"])], "SELECT 1", b"T")).await;
        };
        let (result, ()) = tokio::join!(session.execute(StatementId(0), &mut frame, &mut reply), answering);
        result.expect("one row");
    }

    // Face to face with the server it is set once.
    let once = [message(b'C', b"SET\0"), message(b'Z', b"I")].concat();
    let expected = vec![("Q", text_row(&0x1234.to_string())), ("Q", once), ("PDS", description)];
    let (session, mut peer) =
        connect_as(&limited(Protocol::Prepared), plan(RowsExpected::One, &[]), expected).await;
    let good = answer(&[row(&[b"1", b"x"])], "SELECT 1", b"I");
    execute(&mut session.expect("a session"), &mut peer, &mut frame(), &good).await.0.expect("one row");
}

#[test]
fn the_rows_of_a_command_stand_at_its_end() {
    for (tag, rows) in
        [("INSERT 0 12", 12), ("UPDATE 3", 3), ("BEGIN", 0), ("SELECT 1000000", 1_000_000), ("", 0)]
    {
        assert_eq!(rows_of_tag(&[tag.as_bytes(), &[0]].concat()), rows, "{tag}");
    }
}
