use super::*;
use crate::proto::casemap::CaseMapping::Ascii;

const ALL: View = View {
    events: true,
    since: Timestamp::FIRST,
};

fn channel(name: &str) -> Target {
    Target::Channel(Ascii.fold(name))
}

fn with(owner: &str, with: &str) -> Target {
    Target::Conversation {
        owner: Ascii.fold(owner),
        with: Ascii.fold(with),
    }
}

fn entry(number: u64) -> Entry<u64> {
    Entry {
        msgid: format!("m{number}").into(),
        time: Timestamp::from_millis(number * 10),
        event: number.is_multiple_of(3),
        bytes: 100,
        content: number,
    }
}

fn told(history: &History<u64>, target: &Target, range: Range, limit: usize) -> Vec<u64> {
    let found = history.select(target, &range, limit, ALL);
    found.into_iter().map(|entry| entry.content).collect()
}

fn msgid(number: u64) -> Selector {
    Selector::Msgid(format!("m{number}").into())
}

fn time(number: u64) -> Selector {
    Selector::Time(Timestamp::from_millis(number * 10))
}

fn ten() -> History<u64> {
    let mut history = History::new(HistoryLimits::default());
    for number in 0..10 {
        history.keep(channel("#rope"), "#Rope", entry(number));
    }
    history
}

#[test]
fn ranges_are_those_of_the_specification() {
    let (history, rope) = (ten(), channel("#rope"));
    let told = |range, limit| told(&history, &rope, range, limit);
    assert_eq!(told(Range::Latest(None), 3), [7, 8, 9]);
    for point in [msgid, time] {
        assert_eq!(told(Range::Latest(Some(point(4))), 20), [5, 6, 7, 8, 9]);
        assert_eq!(told(Range::Latest(Some(point(4))), 2), [8, 9]);
        assert_eq!(told(Range::Before(point(6)), 2), [4, 5]);
        assert_eq!(told(Range::After(point(3)), 3), [4, 5, 6]);
        assert_eq!(told(Range::Around(point(7)), 1), [7]);
        assert_eq!(told(Range::Around(point(7)), 3), [6, 7, 8]);
        assert_eq!(told(Range::Around(point(7)), 4), [5, 6, 7, 8]);
        assert_eq!(told(Range::Around(point(0)), 4), [0, 1]);
        assert_eq!(told(Range::Between(point(0), point(9)), 3), [1, 2, 3]);
        assert_eq!(told(Range::Between(point(9), point(0)), 3), [6, 7, 8]);
        assert!(told(Range::Between(point(4), point(4)), 3).is_empty());
        assert!(told(Range::Between(point(4), point(5)), 3).is_empty());
    }
    assert_eq!(told(Range::Between(msgid(2), time(5)), 9), [3, 4]);
    assert_eq!(told(Range::Before(time(100)), 2), [8, 9]);
    for range in [Range::Before, Range::After, Range::Around] {
        assert!(told(range(msgid(77)), 5).is_empty());
    }
}

#[test]
fn events_and_what_was_before_somebody_came_are_not_for_all() {
    let (history, rope) = (ten(), channel("#rope"));
    let view = View {
        events: false,
        since: Timestamp::from_millis(30),
    };
    let told = |range| -> Vec<u64> {
        let found = history.select(&rope, &range, 4, view);
        found.into_iter().map(|entry| entry.content).collect()
    };
    assert_eq!(told(Range::Latest(None)), [4, 5, 7, 8]);
    assert_eq!(told(Range::Before(msgid(7))), [4, 5]);
    // Points may be what one does not see.
    assert_eq!(told(Range::After(msgid(6))), [7, 8]);
    assert_eq!(told(Range::Around(msgid(6))), [4, 5, 7, 8]);
}

#[test]
fn a_clock_that_is_set_back_hides_nothing() {
    let mut history = History::new(HistoryLimits::default());
    for (number, millis) in [(1, 1000), (2, 500), (3, 2000)] {
        let time = Timestamp::from_millis(millis);
        history.keep(
            channel("#rope"),
            "#rope",
            Entry {
                time,
                ..entry(number)
            },
        );
    }
    let after = Range::After(Selector::Time(Timestamp::from_millis(999)));
    assert_eq!(told(&history, &channel("#rope"), after, 9), [1, 2, 3]);
}

#[test]
fn a_target_is_bounded_by_count_bytes_and_age() {
    let limits = |change: fn(&mut HistoryLimits)| {
        let mut limits = HistoryLimits::default();
        change(&mut limits);
        let mut history = History::new(limits);
        for number in 0..10 {
            history.keep(channel("#rope"), "#rope", entry(number));
        }
        let kept = told(&history, &channel("#rope"), Range::Latest(None), 99);
        let told = history.size().0.min(history.limits().most_at_once);
        assert_eq!(told, kept.len());
        kept
    };
    assert_eq!(limits(|it| it.messages = 3), [7, 8, 9]);
    assert_eq!(limits(|it| it.bytes_of_target = 500), [8, 9]);
    assert_eq!(limits(|it| it.bytes_of_target = 1), [9]);
    assert_eq!(limits(|it| it.bytes = 500), [8, 9]);
    assert_eq!(limits(|it| it.age = Duration::from_millis(20)), [7, 8, 9]);
    assert_eq!(limits(|it| it.most_at_once = 2), [8, 9]);
    assert!(limits(|it| it.messages = 0).is_empty());
}

#[test]
fn the_oldest_goes_whose_ever_it_is() {
    let mut history = History::new(HistoryLimits {
        bytes: 5 * (100 + 2 + OVERHEAD),
        ..HistoryLimits::default()
    });
    for number in 0..4 {
        history.keep(channel("#old"), "#old", entry(number));
    }
    for number in 4..8 {
        history.keep(channel("#new"), "#new", entry(number));
    }
    let all = |name| told(&history, &channel(name), Range::Latest(None), 9);
    assert_eq!((all("#old"), all("#new")), (vec![3], vec![4, 5, 6, 7]));
    history.expire(Timestamp::LAST);
    assert_eq!(history.size(), (0, 0));
    assert!(history.logs.is_empty() && history.order.is_empty());
}

#[test]
fn what_is_young_stays_though_others_were_pushed_out() {
    let mut history = History::new(HistoryLimits {
        messages: 2,
        ..HistoryLimits::default()
    });
    for number in 1..5 {
        history.keep(channel("#busy"), "#busy", entry(number));
    }
    history.keep(channel("#quiet"), "#quiet", entry(5));
    history.expire(Timestamp::from_millis(100));
    let all = |name| told(&history, &channel(name), Range::Latest(None), 9);
    assert_eq!((all("#busy"), all("#quiet")), (vec![3, 4], vec![5]));
}

#[test]
fn an_account_has_its_conversations_and_no_others() {
    let mut history = History::new(HistoryLimits {
        conversations: 2,
        ..HistoryLimits::default()
    });
    history.keep(with("ada", "bob"), "Bob", entry(1));
    history.keep(with("bob", "ada"), "ada", entry(1));
    history.keep(with("ada", "eve"), "Eve_", entry(2));
    let (ada, nobody) = (Ascii.fold("ada"), Ascii.fold("nobody"));
    let find = |history: &History<u64>, name: &str| {
        history.conversation(&ada, &Ascii.fold(name), |nick| Ascii.eq(nick, name))
    };
    assert_eq!(find(&history, "bob"), with("ada", "bob"));
    assert_eq!(find(&history, "eve_"), with("ada", "eve"));
    assert_eq!(find(&history, "carol"), with("ada", "carol"));
    let targets = |history: &History<u64>, owner, from, to, limit| -> Vec<String> {
        let range = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let found = history.targets([], Some((owner, ALL)), range, limit);
        found.into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(targets(&history, &ada, 0, 99, 9), ["Bob", "Eve_"]);
    assert_eq!(targets(&history, &ada, 0, 99, 1), ["Bob"]);
    assert_eq!(targets(&history, &ada, 99, 0, 1), ["Eve_"]);
    assert_eq!(targets(&history, &ada, 10, 20, 9), [""; 0]);
    assert!(targets(&history, &nobody, 0, 99, 9).is_empty());
    // A third one: the quietest goes.
    history.keep(with("ada", "mallory"), "mallory", entry(3));
    assert_eq!(targets(&history, &ada, 0, 99, 9), ["Eve_", "mallory"]);
    history.forget_account(&ada);
    assert!(targets(&history, &ada, 0, 99, 9).is_empty());
    assert_eq!(targets(&history, &Ascii.fold("bob"), 0, 99, 9), ["ada"]);
}

/// What the store is to be like: a list of all that was said, filtered anew for
/// each question.
struct Model {
    limits: HistoryLimits,
    said: Vec<(Target, Entry<u64>)>,
}

impl Model {
    fn keep(&mut self, target: Target, entry: Entry<u64>) {
        let oldest = entry.time.before(self.limits.age);
        self.said.push((target.clone(), entry));
        while self.of(&target).len() > self.limits.messages
            || self
                .of(&target)
                .first()
                .is_some_and(|first| first.time < oldest)
        {
            let first = self.said.iter().position(|(it, _)| *it == target).unwrap();
            self.said.remove(first);
        }
        let most = self.limits.bytes / (100 + OVERHEAD + 6);
        let gone = self.said.len().saturating_sub(most);
        self.said.drain(..gone);
    }

    fn of(&self, target: &Target) -> Vec<&Entry<u64>> {
        let said = self.said.iter().filter(|(it, _)| it == target);
        said.map(|(_, entry)| entry).collect()
    }

    fn select(&self, target: &Target, range: &Range, limit: usize, view: View) -> Vec<u64> {
        let all = self.of(target);
        let limit = limit.min(self.limits.most_at_once);
        let known = |point: &Selector| match point {
            Selector::Msgid(msgid) => all.iter().any(|entry| *entry.msgid == **msgid),
            Selector::Time(_) => true,
        };
        let number = |point: &Selector| match point {
            Selector::Msgid(msgid) => {
                let entry = all.iter().find(|entry| *entry.msgid == **msgid);
                entry.map_or(0, |entry| entry.time.millis())
            }
            Selector::Time(time) => time.millis(),
        };
        let keep = |wanted: &dyn Fn(u64) -> bool| -> Vec<u64> {
            let seen = all.iter().filter(|entry| {
                wanted(entry.time.millis())
                    && entry.time >= view.since
                    && (view.events || !entry.event)
            });
            seen.map(|entry| entry.content).collect()
        };
        let first = |list: Vec<u64>, n: usize| list.into_iter().take(n).collect::<Vec<_>>();
        let last = |list: Vec<u64>, n: usize| list[list.len().saturating_sub(n)..].to_vec();
        match range {
            Range::Latest(None) => last(keep(&|_| true), limit),
            Range::Latest(Some(point)) if known(point) => last(keep(&|t| t > number(point)), limit),
            Range::Before(point) if known(point) => last(keep(&|t| t < number(point)), limit),
            Range::After(point) if known(point) => first(keep(&|t| t > number(point)), limit),
            Range::Around(point) if known(point) => {
                let before = last(keep(&|t| t < number(point)), limit / 2);
                let behind = first(keep(&|t| t >= number(point)), limit - limit / 2);
                [before, behind].concat()
            }
            Range::Between(one, other) if known(one) && known(other) => {
                let (a, b) = (number(one), number(other));
                let between = keep(&|t| t > a.min(b) && t < a.max(b));
                if a <= b {
                    first(between, limit)
                } else {
                    last(between, limit)
                }
            }
            _ => Vec::new(),
        }
    }
}

mod simulation {
    use super::*;
    use ropewalk_core::{random, testing::sim::simulate};

    /// A draw below `n`.
    fn below(n: u64) -> u64 {
        random() % n
    }

    fn some(n: u64) -> usize {
        usize::try_from(below(n)).unwrap()
    }

    /// Any point of what was or was not said. Times are those of messages, which
    /// have one each, and those between them.
    fn point(next: u64) -> Selector {
        let number = below(next + 3);
        match below(3) {
            0 => Selector::Msgid(format!("m{number:05}").into()),
            1 => time(number),
            _ => Selector::Time(Timestamp::from_millis(number * 10 + 5)),
        }
    }

    /// Whatever is said and asked for, the store and a list of all that was said
    /// answer alike, and the store is as great as what it holds.
    #[test]
    fn as_a_simple_model_has_it() {
        simulate(40, async |_| {
            let limits = HistoryLimits {
                messages: 1 + some(20),
                bytes: (1 + some(40)) * (100 + OVERHEAD + 6),
                age: Duration::from_millis(50 + below(1000)),
                most_at_once: 1 + some(12),
                ..HistoryLimits::default()
            };
            let mut model = Model {
                limits: limits.clone(),
                said: Vec::new(),
            };
            let mut history = History::new(limits);
            let targets = [channel("#a"), channel("#b"), with("ada", "bob")];
            for number in 0..120 {
                let target = targets[some(3)].clone();
                if below(30) == 0 {
                    history.forget(&target);
                    model.said.retain(|(it, _)| *it != target);
                }
                let said = Entry {
                    msgid: format!("m{number:05}").into(),
                    event: below(3) == 0,
                    ..entry(number)
                };
                history.keep(target.clone(), "name", said.clone());
                model.keep(target, said);
                assert_eq!(history.size().0, model.said.len());
                let bytes = model.said.iter().map(|(_, entry)| entry.cost());
                assert_eq!(history.size().1, bytes.sum::<usize>());
                assert!(history.order.len() <= 2 * history.kept + 64);
                let view = View {
                    events: below(2) == 0,
                    since: Timestamp::from_millis(below(number + 1) * 5),
                };
                let range = match below(6) {
                    0 => Range::Latest(None),
                    1 => Range::Latest(Some(point(number))),
                    2 => Range::Before(point(number)),
                    3 => Range::After(point(number)),
                    4 => Range::Around(point(number)),
                    _ => Range::Between(point(number), point(number)),
                };
                let limit = 1 + some(15);
                for target in &targets {
                    let told = history.select(target, &range, limit, view);
                    let told: Vec<_> = told.into_iter().map(|entry| entry.content).collect();
                    let wanted = model.select(target, &range, limit, view);
                    assert_eq!(told, wanted, "{range:?} {limit} {view:?}");
                }
            }
            history.expire(Timestamp::from_millis(10_000_000));
            assert_eq!(history.size(), (0, 0));
            Ok(())
        });
    }
}
