//! Every input that fuzzing kept, and every one that once found something, through the same bodies
//! as under the fuzzer.

use std::any::Any;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use gannet_fuzz::{TARGETS, Target};

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

fn replay(target: &Target) {
    let corpus = files(&folder("corpus", target.name));
    assert!(!corpus.is_empty(), "fuzz/corpus/{} is empty: run scripts/fuzz --keep", target.name);
    let inputs: Vec<_> = corpus.into_iter().chain(files(&folder("regressions", target.name))).collect();
    let run = |path: &PathBuf| {
        let input = fs::read(path).expect("readable");
        let reason = catch_unwind(|| (target.body)(&input)).err()?;
        Some(format!("{}: {}", path.display(), text(&*reason)))
    };
    let found: Vec<_> = inputs.iter().filter_map(run).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!("{} inputs", inputs.len());
}

fn text(reason: &(dyn Any + Send)) -> &str {
    let text = reason.downcast_ref::<String>().map(String::as_str);
    text.or(reason.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            replay(TARGETS.iter().find(|target| target.name == stringify!($name)).expect("a target"));
        })*
    };
}

replays! { parse reply arp_ndp options icmp vlan reassembly host outbox guards arguments pcap game_protocol game_world game_lcores }

#[test]
fn every_target_is_replayed_and_has_a_program() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, REPLAYED);
    let mut programs: Vec<_> = files(&folder("fuzz_targets", "")).iter().map(|path| stem(path)).collect();
    programs.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(programs, sorted);
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn the_seeds_find_nothing() {
    for target in TARGETS {
        (target.seeds)().iter().for_each(|seed| (target.body)(seed));
    }
}
