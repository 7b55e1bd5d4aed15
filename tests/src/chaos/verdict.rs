//! What a run has shown: counts, and everything that is not as promised. It changes nothing that runs.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::manifests::ONE;
use super::objects::{self, Found};
use super::senders::{Seen, Sent};
use super::stage::Stage;
use super::{Fault, Plan, Shape};
use crate::ends::{End, Ends};
use crate::wait::until;

/// Without any new object for so long, something hangs.
const HANGS: Duration = Duration::from_secs(150);

/// For the last acknowledgements and counters, once every object is there.
const QUIET: Duration = Duration::from_secs(240);

/// What a process may need more after the run than before it, in kibibytes.
const GROWTH: usize = 96 * 1024;

/// What an object may take, in kibibytes, in the process that is the API server itself.
const OBJECT: usize = 3;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

type Memory = BTreeMap<String, usize>;

/// The counters of one trigger in one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Account {
    accepted: i64,
    fired: i64,
    filtered: i64,
    dead: i64,
    elsewhere: i64,
    pending: i64,
}

impl Display for Account {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            fired,
            filtered,
            dead,
            elsewhere,
            pending,
        } = self;
        write!(
            f,
            "accepted {accepted} = fired {fired} + filtered {filtered} + dead {dead} + elsewhere {elsewhere} + pending {pending}"
        )
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Verdict {
    /// What is not as promised, for people. Empty is good.
    pub problems: Vec<String>,
    /// How many events were answered 2xx.
    pub accepted: usize,
    /// How long it took.
    pub took: Duration,
    /// The last words of the programs, where there are problems.
    pub said: String,
    head: String,
    shape: Shape,
    refused: usize,
    unanswered: usize,
    slowest: usize,
    seen: Seen,
    found: Found,
    faults: BTreeMap<Fault, usize>,
    accounts: BTreeMap<(String, String), Account>,
    /// What each process has recorded of the trigger [`ONE`].
    recorded: BTreeMap<String, Ends>,
    pub(super) memory_before: Memory,
    memory_after: Memory,
    pub(super) memory_peak: Memory,
}

impl Verdict {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            problems: Vec::new(),
            accepted: 0,
            took: Duration::ZERO,
            said: String::new(),
            head: format!("{}, seed {}", plan.shape.name(), plan.seed),
            shape: plan.shape,
            refused: 0,
            unanswered: 0,
            slowest: 0,
            seen: Seen::default(),
            found: Found::default(),
            faults: BTreeMap::new(),
            accounts: BTreeMap::new(),
            recorded: BTreeMap::new(),
            memory_before: Memory::new(),
            memory_after: Memory::new(),
            memory_peak: Memory::new(),
        }
    }

    pub(super) fn problem(&mut self, text: &str) {
        self.problems.push(text.to_owned());
    }

    pub(super) fn happened(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn peak(&mut self, now: Memory) {
        for (name, size) in now {
            let peak = self.memory_peak.entry(name).or_default();
            *peak = size.max(*peak);
        }
    }

    pub(super) fn sent(&mut self, sent: &Sent) {
        self.accepted = sent.accepted();
        self.refused = sent.refused.load(Ordering::Relaxed);
        self.unanswered = sent.unanswered.load(Ordering::Relaxed);
        self.slowest = sent.slowest.load(Ordering::Relaxed);
        self.seen = sent.seen().clone();
    }

    /// Waits for the rest to arrive and compares.
    pub(super) async fn settle(&mut self, stage: &mut Stage, end: Instant) {
        stage.talk("nothing goes wrong any more");
        self.arrive(stage, end).await;
        stage.talk("the objects are there");
        self.quiet(stage).await;
        self.memory_after = stage.memory();
        self.judge();
    }

    /// Until each event has its object or nothing comes any more.
    async fn arrive(&mut self, stage: &mut Stage, end: Instant) {
        let mut last = (0, Instant::now());
        let settled = until(end.into(), LOOK, async || {
            for ended in stage.revive() {
                self.problem(&ended);
            }
            let enough = match objects::count(stage.client().await, stage.workflows()).await {
                Some(count) => {
                    if count > last.0 {
                        last = (count, Instant::now());
                    }
                    // Where nobody counts without reading, each look reads.
                    count >= self.seen.wanted.len() || !stage.workflows()
                }
                None => false,
            };
            let whole = enough && self.complete(stage).await;
            (whole || last.1.elapsed() > HANGS).then_some(whole)
        });
        if settled.await != Some(true) {
            self.problem("objects are missing, and no more come");
            self.complete(stage).await;
        }
    }

    async fn complete(&mut self, stage: &Stage) -> bool {
        match objects::read(stage.client().await, stage.workflows()).await {
            Ok(found) => self.found = found,
            Err(error) => {
                stage.talk(&format!("cannot read the objects: {error}"));
                return false;
            }
        }
        self.seen
            .wanted
            .iter()
            .all(|id| self.found.one.contains_key(id))
    }

    /// Until the bus waits for nothing and the counters agree; then reads everything once more.
    async fn quiet(&mut self, stage: &mut Stage) {
        let end = tokio::time::Instant::now() + QUIET;
        // With replicas, what one has begun another may have ended; the bus knows better than each of them.
        let alone = self.memory_before.len() == 1;
        let mut left = (None, 0);
        let quiet = until(end, LOOK, async || {
            let backlog = stage.backlog().await;
            self.accounts = accounts(&stage.metrics().await);
            let open: i64 = self
                .accounts
                .iter()
                .filter(|((_, trigger), _)| alone && trigger == ONE)
                .map(|(_, account)| account.pending)
                .sum();
            left = (backlog, open);
            (left == (Some(0), 0)).then_some(())
        });
        if quiet.await.is_none() {
            let (backlog, open) = left;
            self.problem(&format!(
                "not quiet: the bus has {backlog:?} messages open, the sensors count {open} pending"
            ));
        }
        self.complete(stage).await;
        // The record is written a moment after the counter; what is still unlike it at the end is judged.
        until(end, LOOK, async || {
            self.recorded = stage.ends("chaos", ONE);
            unlike(&self.recorded, &self.accounts)
                .is_empty()
                .then_some(())
        })
        .await;
    }

    fn judge(&mut self) {
        let Self {
            seen,
            found,
            accounts,
            recorded,
            problems,
            shape,
            ..
        } = self;
        let missing: Vec<&String> = seen
            .wanted
            .iter()
            .filter(|id| !found.one.contains_key(*id))
            .collect();
        let doubled = |of: &BTreeMap<String, usize>| -> Vec<String> {
            of.iter()
                .filter(|(_, count)| **count > 1)
                .map(|(id, count)| format!("{id} ×{count}"))
                .collect()
        };
        let unasked: Vec<&String> = found
            .one
            .keys()
            .filter(|id| !seen.wanted.contains(*id))
            .collect();
        let foreign: Vec<&String> = found
            .halves
            .keys()
            .filter(|id| !seen.halves.contains(*id))
            .collect();
        let mut tell = |what: &str, count: usize, first: String| {
            if count > 0 {
                problems.push(format!("{count} {what}: {first}"));
            }
        };
        let first = |list: &[&String]| format!("{:?}", list.iter().take(10).collect::<Vec<_>>());
        tell(
            "accepted events have no object",
            missing.len(),
            first(&missing),
        );
        for (what, list) in [
            ("events", doubled(&found.one)),
            ("halves", doubled(&found.halves)),
        ] {
            let first = format!("{:?}", list.iter().take(10).collect::<Vec<_>>());
            tell(
                &format!("{what} have more than one object"),
                list.len(),
                first,
            );
        }
        tell(
            "objects are of events that nobody wanted",
            unasked.len(),
            first(&unasked),
        );
        tell(
            "pairs are of events that nobody sent",
            foreign.len(),
            first(&foreign),
        );
        tell(
            "objects have the wrong number of events",
            found.strange.len(),
            format!("{:?}", found.strange.first()),
        );
        tell(
            "answers are neither 2xx nor 503",
            seen.strange.len(),
            format!("{:?}", seen.strange.first()),
        );
        for ((process, trigger), account) in accounts.iter() {
            let ended = account.fired + account.filtered + account.dead + account.elsewhere;
            if account.accepted != ended + account.pending || account.pending < 0 {
                problems.push(format!(
                    "{process}, trigger {trigger}: the counters do not add up: {account:?}"
                ));
            }
            if trigger == ONE && account.dead > 0 {
                problems.push(format!(
                    "{process}, trigger {trigger}: {} events are dead",
                    account.dead
                ));
            }
        }
        problems.extend(unlike(recorded, accounts));
        let kept = match shape {
            Shape::Embedded => OBJECT * found.one.len(),
            Shape::JetStream | Shape::Cluster => 0,
        };
        for (process, after) in &self.memory_after {
            let before = self.memory_before.get(process).copied().unwrap_or(0);
            if *after > before + GROWTH + kept {
                problems.push(format!("{process} has grown from {before} to {after} KiB"));
            }
        }
    }
}

/// Where the record of a process says otherwise than its counters.
fn unlike(
    recorded: &BTreeMap<String, Ends>,
    accounts: &BTreeMap<(String, String), Account>,
) -> Vec<String> {
    let mut unlike = Vec::new();
    for (process, ends) in recorded {
        let account = accounts.get(&(process.clone(), ONE.to_owned()));
        let Some(account) = account.filter(|_| ends.dropped == 0) else {
            continue;
        };
        // What is not confirmed yet has its record already.
        let open = account.pending + account.elsewhere;
        for (end, counted) in [
            (End::Fired, account.fired),
            (End::Filtered, account.filtered),
            (End::Dead, account.dead),
        ] {
            let said = i64::try_from(ends.count(end)).unwrap_or(i64::MAX);
            if said < counted || said > counted + open {
                unlike.push(format!(
                    "{process}: {said} events are recorded as {end:?}, {counted} are counted: {account:?}"
                ));
            }
        }
    }
    unlike
}

fn accounts(metrics: &[(String, String)]) -> BTreeMap<(String, String), Account> {
    let mut all: BTreeMap<(String, String), Account> = BTreeMap::new();
    for (process, text) in metrics {
        for line in text
            .lines()
            .filter(|line| line.starts_with("tiphys_trigger_events_"))
        {
            let label = |name: &str| {
                let rest = line.split_once(&format!("{name}=\""))?.1;
                Some(rest.split_once('"')?.0)
            };
            let number = line
                .rsplit(' ')
                .next()
                .and_then(|number| number.parse::<i64>().ok());
            let (Some(trigger), Some(number)) = (label("trigger_name"), number) else {
                continue;
            };
            let account = all
                .entry((process.clone(), trigger.to_owned()))
                .or_default();
            match label("outcome") {
                Some("accepted") => account.accepted = number,
                Some("fired") => account.fired = number,
                Some("filtered") => account.filtered = number,
                Some("dead") => account.dead = number,
                Some("elsewhere") => account.elsewhere = number,
                _ => account.pending = number,
            }
        }
    }
    all
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Seen {
            wanted,
            unwanted,
            halves,
            ..
        } = &self.seen;
        let doubled = self.found.one.values().filter(|count| **count > 1).count();
        let missing = wanted
            .iter()
            .filter(|id| !self.found.one.contains_key(*id))
            .count();
        let events = self.accepted;
        writeln!(
            f,
            "{}: {events} events in {:.0} s",
            self.head,
            self.took.as_secs_f64()
        )?;
        let rows = [
            ("accepted (2xx), to become an object each", wanted.len()),
            ("objects for them", self.found.one.len()),
            ("missing", missing),
            ("doubled", doubled),
            ("accepted, to be filtered", unwanted.len()),
            ("accepted, halves of pairs", halves.len()),
            ("halves that met", self.found.halves.len()),
            ("answers 503", self.refused),
            ("slowest 503, ms", self.slowest),
            ("requests without an answer", self.unanswered),
        ];
        for (what, count) in rows {
            writeln!(f, "| {what:<42} | {count:>9} |")?;
        }
        for (fault, count) in &self.faults {
            writeln!(f, "| {:<42} | {count:>9} |", fault.name())?;
        }
        for ((process, trigger), account) in &self.accounts {
            let process = format!("{process}, trigger {trigger}");
            writeln!(f, "| {process:<42} | {account} |")?;
        }
        let megabytes = |memory: &BTreeMap<String, usize>, name: &str| {
            memory.get(name).copied().unwrap_or(0) / 1024
        };
        for name in self.memory_after.keys() {
            let what = format!("{name}, MB before / peak / after");
            let [before, peak, after] =
                [&self.memory_before, &self.memory_peak, &self.memory_after]
                    .map(|m| megabytes(m, name));
            writeln!(f, "| {what:<42} | {before} / {peak} / {after} |")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        if !self.said.is_empty() {
            writeln!(f, "\n{}", self.said)?;
        }
        write!(
            f,
            "{}",
            if self.problems.is_empty() {
                "as promised"
            } else {
                "NOT AS PROMISED"
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_process_and_trigger() {
        let text = "\
tiphys_trigger_events_total{namespace=\"n\",outcome=\"accepted\",sensor_name=\"s\",trigger_name=\"one\"} 5
tiphys_trigger_events_total{namespace=\"n\",outcome=\"fired\",sensor_name=\"s\",trigger_name=\"one\"} 4
tiphys_trigger_events_pending{namespace=\"n\",sensor_name=\"s\",trigger_name=\"one\"} 1
other{trigger_name=\"one\"} 9
";
        let all = accounts(&[("p".to_owned(), text.to_owned())]);
        let expected = Account {
            accepted: 5,
            fired: 4,
            pending: 1,
            ..Account::default()
        };
        assert_eq!(
            all,
            BTreeMap::from([(("p".to_owned(), ONE.to_owned()), expected)])
        );
    }
}
