//! One suite for every port: the reference, and the comparison with it.

use std::time::Duration;

use gannet::Service;
use gannet::port::FrameQueue;
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};

use super::frames::{Case, OWN_MAC, Verdict, suite};
use super::oracle::judge;
use super::rig::{Outcome, Rig, Wire};

/// How long an unlisted frame may take to arrive, and how long is waited for one that is not
/// expected to.
const ARRIVAL: Duration = Duration::from_secs(2);
const ABSENCE: Duration = Duration::from_millis(50);
/// Frames that come one right after the other.
const TRAIN: usize = 16;

/// Frames that a port's wire can't carry or changes: a name, or the start of several with a
/// `*` behind it, and why.
pub(crate) type Exceptions = &'static [(&'static str, &'static str)];

/// What the memory port makes of the suite, verified by the oracle.
pub(crate) fn reference() -> Vec<(Case, Outcome)> {
    let (near, far) = memory::pair(&MemoryConfig::default());
    let mut rig = Rig::new(near, far);
    let cases = suite(OWN_MAC);
    let verified = cases.into_iter().map(|case| {
        let outcome = rig.outcome(&[&case.frame], ARRIVAL);
        verify(&case, &outcome);
        (case, outcome)
    });
    let reference = verified.collect();
    finish_memory(rig);
    reference
}

fn verify(case: &Case, outcome: &Outcome) {
    judge(case, &outcome.answers, OWN_MAC);
    let counted = |name: &str| outcome.counted.get(name).copied().unwrap_or(0);
    assert_eq!(counted("received"), 1, "{}", case.name);
    match case.verdict {
        Verdict::Silent(reason) => assert_eq!(counted(reason), 1, "{}: {:?}", case.name, outcome.counted),
        Verdict::Told(reason) => {
            let errors = (counted(reason), counted("icmp_error_sent"), counted("sent"));
            assert_eq!(errors, (1, 1, 1), "{}: {:?}", case.name, outcome.counted);
        }
        Verdict::Answered => assert_eq!(counted("sent"), 1, "{}: {:?}", case.name, outcome.counted),
    }
}

/// The books and the pool of a memory port at its end.
pub(crate) fn finish_memory<Q, W, S>(mut rig: Rig<Q, W, S>)
where
    Q: FrameQueue,
    W: Wire + Into<MemoryQueue>,
    S: Service,
{
    rig.expect_silence();
    rig.worker.drain();
    assert!(rig.counters().balance().is_exact(), "{:?}", rig.counters().balance());
    let Rig { worker, wire, .. } = rig;
    drop(worker);
    let balance = wire.into().pool_balance();
    assert!(balance.is_balanced(), "{balance:?}");
}

/// Runs the suite through a port: one frame at a time, then in trains. Panics with all that
/// is not as it should be.
pub(crate) fn conform<Q: FrameQueue, W: Wire>(port: &str, rig: &mut Rig<Q, W>, exceptions: Exceptions) {
    let reference = reference();
    let own = suite(rig.own);
    let outcomes = own.iter().map(|case| {
        let patience = if exception(exceptions, &case.name).is_some() { ABSENCE } else { ARRIVAL };
        rig.outcome(&[&case.frame], patience)
    });
    let outcomes: Vec<_> = outcomes.collect();
    compare(port, &reference, &outcomes, exceptions);
    rig.expect_silence();
    in_trains(port, rig, &own, &reference, exceptions);
    rig.expect_silence();
    assert!(rig.counters().balance().is_exact(), "{port}: {:?}", rig.counters().balance());
}

/// Holds the outcomes against the reference: the same for all but the exceptions, and for
/// those not the same.
pub(crate) fn compare(
    port: &str,
    reference: &[(Case, Outcome)],
    outcomes: &[Outcome],
    exceptions: Exceptions,
) {
    assert_eq!(reference.len(), outcomes.len(), "{port}");
    let mut faults = Vec::new();
    for ((case, expected), outcome) in reference.iter().zip(outcomes) {
        match (exception(exceptions, &case.name), expected == outcome) {
            (None, false) => faults.push(format!("{}: {}", case.name, difference(expected, outcome))),
            (Some(reason), true) => {
                faults.push(format!("{}: listed ({reason}), but the same after all", case.name))
            }
            (None, true) | (Some(_), false) => {}
        }
    }
    for (pattern, _) in exceptions {
        if !reference.iter().any(|(case, _)| matches(pattern, &case.name)) {
            faults.push(format!("{pattern}: listed, but no frame's name"));
        }
    }
    assert!(faults.is_empty(), "{port}: {} frames differ\n{}", faults.len(), faults.join("\n"));
}

/// What is not the same, in a line.
fn difference(expected: &Outcome, outcome: &Outcome) -> String {
    let counted = (expected.counted != outcome.counted)
        .then(|| format!("counted {:?}, expected {:?}", outcome.counted, expected.counted));
    let answered = (expected.answers != outcome.answers).then(|| {
        let short =
            |answers: &[Vec<u8>]| format!("{:02x?}", answers.first().map(|answer| answer.chunks(64).next()));
        format!(
            "{} answers {}, expected {}",
            outcome.answers.len(),
            short(&outcome.answers),
            short(&expected.answers)
        )
    });
    [counted, answered].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The same answers in the same order and the same counters where frames share a burst.
fn in_trains<Q: FrameQueue, W: Wire>(
    port: &str,
    rig: &mut Rig<Q, W>,
    own: &[Case],
    reference: &[(Case, Outcome)],
    exceptions: Exceptions,
) {
    let carried: Vec<_> =
        own.iter().zip(reference).filter(|(case, _)| exception(exceptions, &case.name).is_none()).collect();
    for train in carried.chunks(TRAIN) {
        let frames: Vec<&[u8]> = train.iter().map(|(case, _)| &case.frame[..]).collect();
        let mut expected = Outcome::default();
        for (_, (_, outcome)) in train {
            expected.answers.extend(outcome.answers.iter().cloned());
            outcome
                .counted
                .iter()
                .for_each(|(name, count)| *expected.counted.entry(name).or_default() += count);
        }
        let outcome = rig.outcome(&frames, ARRIVAL);
        assert_eq!(outcome, expected, "{port}: in a train with {}", train[0].0.name);
    }
}

fn exception(exceptions: Exceptions, name: &str) -> Option<&'static str> {
    exceptions.iter().find(|(pattern, _)| matches(pattern, name)).map(|&(_, reason)| reason)
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}
