//! Protocols as clients: questions and answers, and the ways they end.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{collections::VecDeque, time::Duration};

use ropewalk_core::{
    Client, ClientEndpoint, Closed, ConnectOptions, Input, Protocol, Reply, Result, Schemes,
    Server, ServerEndpoint, Transport, each, testing::run,
};

/// Answers each line with its length; `die` closes, `hush` is not answered.
#[derive(Default)]
struct Lengths;

impl Protocol for Lengths {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(100) {
            match &*line? {
                b"die" => t.close(),
                b"hush" => {}
                b"QUIT" => {
                    t.write("bye\r\n");
                    t.close();
                    return Ok(());
                }
                line => t.write(format_args!("{}\r\n", line.len())),
            }
        }
        Ok(())
    }
}

/// Its client: answers come in the order of the questions.
#[derive(Default)]
struct Asker {
    waiting: VecDeque<Reply<u64>>,
    said_goodbye: Option<tokio::sync::oneshot::Sender<String>>,
}

enum Question {
    Length(&'static str, Reply<u64>),
    /// A question that the client throws away.
    Drop(Reply<u64>),
    Say(&'static str),
}

impl Protocol for Asker {
    type Message = Question;
    type Timer = ();

    fn message(&mut self, t: &mut Transport<Self>, question: Question) -> Result {
        match question {
            Question::Length(line, reply) => {
                self.waiting.push_back(reply);
                t.write(format_args!("{line}\r\n"));
            }
            Question::Drop(reply) => drop(reply),
            Question::Say(line) => t.write(format_args!("{line}\r\n")),
        }
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(100) {
            let line = line?.to_string();
            if line == "bye" {
                if let Some(told) = self.said_goodbye.take() {
                    let _ = told.send(line);
                }
            } else if let Some(reply) = self.waiting.pop_front() {
                reply.send(line.parse()?);
            }
        }
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        // The peer's goodbye ends it.
        t.write("QUIT\r\n");
        Ok(())
    }
}

async fn start(asker: Asker) -> (Server, Client<Asker>) {
    let schemes = Schemes::new();
    let endpoint: ServerEndpoint = "mem:lengths".parse().unwrap();
    let server = endpoint
        .listen_with(each::<Lengths>(), schemes.clone())
        .await
        .unwrap();
    let mut options = ConnectOptions::default();
    options.schemes = schemes;
    let endpoint: ClientEndpoint = "mem:lengths".parse().unwrap();
    let conn = endpoint.connect_with(&options).await.unwrap();
    (server, Client::start(conn, asker))
}

async fn end(server: Server) {
    server.drain(Duration::ZERO, Duration::from_secs(60)).await;
}

#[test]
fn questions_are_answered_in_order_however_many_ask() {
    run(async {
        let (server, client) = start(Asker::default()).await;
        let other = client.clone();
        let (a, b, c) = tokio::join!(
            client.ask(|r| Question::Length("one", r)),
            other.ask(|r| Question::Length("three", r)),
            client.ask(|r| Question::Length("", r)),
        );
        assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (3, 5, 0));
        drop((client, other));
        end(server).await;
    });
}

#[test]
fn a_question_open_at_the_end_hears_why_it_ended() {
    run(async {
        let (server, client) = start(Asker::default()).await;
        let (open, told) = tokio::join!(
            client.ask(|r| Question::Length("hush", r)),
            client.tell(Question::Say("die")),
        );
        told.unwrap();
        assert!(matches!(open, Err(Closed::Peer)), "{open:?}");
        let late = client.ask(|r| Question::Length("late", r)).await;
        assert!(matches!(late, Err(Closed::Peer)), "{late:?}");
        assert!(matches!(client.closed().await, Closed::Peer));
        end(server).await;
    });
}

#[test]
fn a_question_that_the_protocol_drops_has_no_answer_and_the_connection_lives() {
    run(async {
        let (server, client) = start(Asker::default()).await;
        let none = client.ask(Question::Drop).await;
        assert!(matches!(none, Err(Closed::Failed(_))), "{none:?}");
        let length = client.ask(|r| Question::Length("alive", r)).await;
        assert_eq!(length.unwrap(), 5);
        drop(client);
        end(server).await;
    });
}

#[test]
fn the_last_one_dropped_says_goodbye() {
    run(async {
        let (told, goodbye) = tokio::sync::oneshot::channel();
        let asker = Asker {
            said_goodbye: Some(told),
            ..Asker::default()
        };
        let (server, client) = start(asker).await;
        let other = client.clone();
        // What was told before goes before the goodbye.
        client.tell(Question::Say("last words")).await.unwrap();
        drop(client);
        assert_eq!(
            other.ask(|r| Question::Length("still", r)).await.unwrap(),
            10,
            "the answer to the words"
        );
        drop(other);
        assert_eq!(goodbye.await.unwrap(), "bye");
        server.until_connections(|open| open == 0).await;
        end(server).await;
    });
}

#[test]
fn a_goodbye_ends_what_is_asked_behind_it() {
    run(async {
        let (server, client) = start(Asker::default()).await;
        let mut length = client.ask(|r| Question::Length("one", r)).await;
        assert_eq!(length.unwrap(), 3);
        // A goodbye is no answer to what comes behind it.
        client.tell(Question::Say("QUIT")).await.unwrap();
        length = client.ask(|r| Question::Length("", r)).await;
        assert!(matches!(length, Err(Closed::Peer)), "{length:?}");
        assert_eq!(server.counts().accepted, 1);
        end(server).await;
    });
}
