//! Runs that several processes share: whoever starts them, they come to the same; a rank that is killed, missing or of
//! another mind ends them with a clear word and a checkpoint from which the run goes on, also with other processes.

use super::{SIZES, assert_equal_runs, decisions, epochs, failure, output};
use crate::cli::{run, run_json, sgas};
use assert_cmd::Command;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How many kills there are; a few where it is not set.
const KILLS: &str = "SGAS_TEST_SHARED_KILLS";
/// Decides where kills fall.
const SEED: u64 = 20_261_128;
/// No longer than this does a test wait for processes that are to end.
const LONGEST: Duration = Duration::from_secs(120);

/// The words of a small run; `more` are further ones.
fn words(command: &str, more: &str) -> Vec<String> {
    let mut words = vec![command.to_owned()];
    let fixed = format!("--data synthetic --config smoke/{command}-points --threads 1 --device cpu -q {more}");
    words.extend(fixed.split_whitespace().map(str::to_owned));
    words.extend(SIZES.iter().flat_map(|size| ["--set".to_owned(), (*size).to_owned()]));
    words.extend(["--set".to_owned(), format!("{command}.batch=4")]);
    words
}

/// `sgas launch` of a small run.
fn launch(folder: &Path, world: usize, options: &str, words: &[String]) -> Command {
    let mut sgas = sgas(folder);
    sgas.args(["launch", "--nproc", &world.to_string()]).args(options.split_whitespace());
    sgas.arg("--").args(words);
    sgas
}

/// The same as a process of the system, to be killed.
pub fn start(command: Command) -> Child {
    let program = command.get_program().to_owned();
    let mut started = std::process::Command::new(program);
    started.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    started.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The processes that one started, in the order of their start.
fn children(parent: u32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn kill(process: i32, signal: rustix::process::Signal) -> bool {
    rustix::process::kill_process(rustix::process::Pid::from_raw(process).unwrap(), signal).is_ok()
}

/// When the newest state of the run was kept.
fn kept(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder.join("run/checkpoint/state.safetensors")).and_then(|file| file.modified()).ok()
}

/// Waits until a later one is.
fn wait_for_state(folder: &Path, before: Option<SystemTime>) {
    let began = Instant::now();
    while kept(folder).is_none_or(|now| Some(now) == before) {
        assert!(began.elapsed() < LONGEST);
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One of the processes of a run, as variables set by hand say.
fn rank(folder: &Path, rank: usize, world: usize, port: u16, words: &[String]) -> Command {
    let mut sgas = sgas(folder);
    sgas.env("RANK", rank.to_string()).env("WORLD_SIZE", world.to_string());
    sgas.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
    sgas.args(words);
    sgas
}

#[test]
fn every_way_to_start_processes_comes_to_the_same_and_the_first_one_speaks() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let launched = output(&mut launch(folder, 2, "", &words("search", "--out launched")));
    assert!(launched.contains("normal cell") && launched.matches("run folder: launched").count() == 1, "{launched}");
    let by_hand = words("search", "--out by-hand");
    let port = free_port();
    let second = start(rank(folder, 1, 2, port, &by_hand));
    let said = output(&mut rank(folder, 0, 2, port, &by_hand));
    assert!(said.contains("run folder: by-hand"), "{said}");
    let second = second.wait_with_output().unwrap();
    assert!(second.status.success() && second.stdout.is_empty(), "{second:?}");
    assert_equal_runs(&folder.join("launched"), &folder.join("by-hand"));
    let (found, epochs) = (decisions(&folder.join("launched")), epochs(&folder.join("launched")));
    assert_eq!(found.len(), 6);
    // 20 samples train in batches of 4 for two processes: five batches, of which the last finds no partner.
    assert!(epochs.iter().all(|epoch| epoch.train.score <= 1.0 && epoch.batch_size >= 4));
    // The same by other launchers, where they are there.
    let program = assert_cmd::cargo::cargo_bin("sgas");
    for (name, arguments) in [
        ("torchrun", vec!["--no-python", "--nproc-per-node", "2"]),
        ("mpirun", vec!["--allow-run-as-root", "--oversubscribe", "-n", "2"]),
    ] {
        let path = std::env::var(format!("SGAS_TEST_{}", name.to_uppercase())).unwrap_or_else(|_| name.to_owned());
        let mut command = Command::new(path);
        command.current_dir(folder).env("OMP_NUM_THREADS", "1").timeout(LONGEST);
        command.args(arguments).arg(&program).args(words("search", &format!("--out {name}")));
        match command.output() {
            Err(error) => eprintln!("skipped: no {name} here ({error}); SGAS_TEST_{} names it", name.to_uppercase()),
            Ok(ended) => {
                assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
                assert_equal_runs(&folder.join("launched"), &folder.join(name));
            }
        }
    }
}

/// A search by one process and by two with half its batch each, where nothing is drawn by process: no dropout, no random
/// points. `data` is what `sgas data synth` is asked for.
fn assert_decided_alike(config: &str, data: &str, batch: usize, more: &str) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    run(folder, &format!("data synth files --test 10 {data}"));
    let words_of = |out: &str, batch: usize| -> Vec<String> {
        let line = format!(
            "search --config smoke/{config} --data files --threads 1 --device cpu -q --sync-batch-norm --out {out} \
             --set search.batch={batch} --set search.batch_growth=0 {more}"
        );
        line.split_whitespace().map(str::to_owned).collect()
    };
    output(sgas(folder).args(words_of("one", 2 * batch)));
    output(&mut launch(folder, 2, "", &words_of("two", batch)));
    let decided = |name: &str| -> Vec<(usize, usize, String)> {
        decisions(&folder.join(name)).into_iter().map(|event| (event.epoch, event.edge, event.primitive)).collect()
    };
    assert!(decided("one").len() > 2 && decided("one") == decided("two"), "{config}: {:?}", decided("two"));
    let cell = |name: &str| std::fs::read(folder.join(name).join("genotype.json")).unwrap();
    assert!(cell("one") == cell("two"), "{config}: another cell");
}

#[test]
fn two_processes_decide_as_one_with_the_joined_batch() {
    let pictures = "--kind pictures --train 40";
    let plain = "--set data.images.augmentation=none --set search.epochs=7";
    assert_decided_alike("search-images", pictures, 10, &format!("{plain} --set space=nas-bench-201"));
    if std::env::var_os("SGAS_TEST_ALL").is_none() {
        println!(
            "skipped: SGAS_TEST_ALL is not set; `make test-all` also decides in the other spaces by two processes"
        );
        return;
    }
    assert_decided_alike("search-images", pictures, 10, plain);
    let points = "--set point.dropout=0 --set data.order=first --set search.epochs=7";
    // With larger steps the roundings of maxima over neighbours grow until searches part.
    let slowly = "--set weights.learning_rate=0.0002";
    assert_decided_alike("search-points", "--train 40 --points 64 --format npy", 5, &format!("{points} {slowly}"));
    let graphs = "--kind graphs --layout many --train 12";
    assert_decided_alike("search-graphs", graphs, 1, "--set search.epochs=4");
    let benchmark = "--set space=nas-bench-graph --set nas_bench_graph.dropout=0 --set search.epochs=4";
    assert_decided_alike("search-graphs", graphs, 1, benchmark);
}

#[test]
fn shared_trainings_score_every_sample_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    std::fs::write(folder.join("cell.json"), super::CELL).unwrap();
    // 10 samples in batches of 4 for two processes: one gets two batches, the last of two samples.
    let more = "--genotype cell.json --set data.validation=0.25 --set train.epochs=1 --sync-batch-norm --out run";
    output(&mut launch(folder, 2, "", &words("train", more)));
    let evaluated = run_json(folder, "eval --run run --split validation --threads 1 --json");
    let last = epochs(&folder.join("run")).pop().unwrap().validation.unwrap();
    assert_eq!(evaluated["samples"], 10, "{evaluated}");
    let scored = evaluated["overall_accuracy"].as_f64().unwrap();
    assert!((scored - last.score).abs() < 1e-12, "{scored}, {last:?}");
    let loss = evaluated["loss"].as_f64().unwrap();
    assert!((loss - last.loss).abs() < 1e-5 * loss, "{loss}, {last:?}");
}

#[test]
fn ranks_that_are_killed_end_the_others_and_the_run_goes_on_to_the_same() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let whole = words("search", "--out whole");
    let began = Instant::now();
    output(&mut launch(folder, 2, "", &whole));
    let longest = began.elapsed();
    let kills: usize = std::env::var(KILLS).map_or(2, |text| text.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut hits = 0;
    // A run may end before its moment comes.
    for number in 0..3 * kills {
        if hits == kills {
            break;
        }
        let out = format!("killed-{number}");
        let more = format!("--out {out} --set checkpoint.steps=2");
        let started = start(launch(folder, 2, "--restarts 2", &words("search", &more)));
        std::thread::sleep(longest.mul_f64(random.random_range(0.2..0.9)));
        let victim = children(started.id()).get(random.random_range(0..2)).copied();
        hits += usize::from(victim.is_some_and(|process| kill(process, rustix::process::Signal::KILL)));
        let ended = started.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{text}");
        let cell = |run: &str| std::fs::read(folder.join(run).join("genotype.json")).unwrap();
        assert!(cell(&out) == cell("whole"), "kill {number}: another cell\n{text}");
        assert_eq!(decisions(&folder.join(&out)), decisions(&folder.join("whole")), "kill {number}");
    }
    assert!(hits == kills, "{hits} of {kills} kills hit a process");
}

#[test]
fn a_killed_rank_is_named_and_other_processes_go_on_from_its_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let words_of = |more: &str| words("search", &format!("--out run {more}"));
    let started =
        start(launch(folder, 3, "", &words_of("--sync-batch-norm --set checkpoint.steps=1 --set search.steps=600")));
    wait_for_state(folder, None);
    wait_for_state(folder, kept(folder));
    assert!(kill(children(started.id())[2], rustix::process::Signal::KILL));
    let ended = started.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("rank 0: rank 2 can't be reached any more ("), "{text}");
    assert!(text.contains("error: rank 2 (signal: 9 (SIGKILL)) of 3 processes failed"), "{text}");
    // Two go on, of which one is asked to stop.
    let (before, port) = (kept(folder), free_port());
    let longer = words_of("--resume --set search.steps=600 --set checkpoint.steps=1");
    let two = [0, 1].map(|number| start(rank(folder, number, 2, port, &longer)));
    wait_for_state(folder, before);
    assert!(kill(two[1].id() as i32, rustix::process::Signal::TERM));
    let [first, second] = two.map(|process| process.wait_with_output().unwrap());
    let text = String::from_utf8_lossy(&first.stderr);
    assert!(text.contains("stopped by SIGTERM in epoch"), "{text}");
    assert!([&first, &second].iter().all(|ended| ended.status.code() == Some(143)), "{first:?} {second:?}");
    // Two go on, are asked to stop, and one goes on alone.
    let before = kept(folder);
    let started = start(launch(folder, 2, "", &longer));
    wait_for_state(folder, before);
    assert!(kill(started.id() as i32, rustix::process::Signal::TERM));
    let ended = started.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(143), "{text}");
    assert!(text.contains("stopped by SIGTERM in epoch") && !text.contains("error: "), "{text}");
    let alone = "search --resume --out run -q --set search.steps=30 --resume-anyway search.steps";
    output(sgas(folder).args(alone.split_whitespace()));
}

#[test]
fn processes_that_are_missing_or_of_another_mind_are_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    let own = words("search", "--out run");
    let text = failure(rank(folder, 0, 3, free_port(), &own).env("SGAS_PROCESS_TIMEOUT", "1"), 1);
    assert!(text.contains("rank 0: ranks 1 and 2 of 3 did not come within 1 s"), "{text}");
    let text = failure(rank(folder, 1, 3, free_port(), &own).env("SGAS_PROCESS_TIMEOUT", "1"), 1);
    assert!(
        text.contains("rank 1: the store of the processes at 127.0.0.1:") && text.contains("MASTER_ADDR"),
        "{text}"
    );
    let text = failure(rank(folder, 3, 3, 1, &own).env_remove("MASTER_PORT"), 2);
    assert!(text.contains("RANK: expected a number below WORLD_SIZE, which is 3, found 3"), "{text}");
    // One has other data.
    let machines = ["one", "other"].map(|name| folder.join(name));
    for (number, machine) in machines.iter().enumerate() {
        std::fs::create_dir(machine).unwrap();
        run(machine, &format!("data synth ModelNet10 --train 40 --test 10 --points 64 --seed {number}"));
    }
    let port = free_port();
    let own = "search --config smoke/search-modelnet10 -q --threads 1 --out run";
    let own: Vec<String> = own.split_whitespace().map(str::to_owned).collect();
    let process = |number: usize| {
        let mut command = rank(&machines[number], number, 2, port, &own);
        command.env("SGAS_DATA", &machines[number]);
        command
    };
    let second = start(process(1));
    let text = failure(&mut process(0), 1);
    assert!(text.contains("another process of this run failed"), "{text}");
    let text = String::from_utf8(second.wait_with_output().unwrap().stderr).unwrap();
    assert!(text.contains("rank 1: data: expected ") && text.contains("as rank 0 has it"), "{text}");
    assert!(machines.iter().all(|machine| !machine.join("run").exists()));
    // What can't be shared.
    for (options, found) in [
        ("launch --nproc 2 -- eval --run run", "expected search or train, found eval"),
        ("launch --nproc 2 -- search --no-such-flag", "unexpected argument '--no-such-flag'"),
        ("launch --nproc 2 --least 3 -- search", "--least: expected at most --nproc, which is 2, found 3"),
        (
            "launch --nproc 3 -- search --config smoke/search-graphs --data synthetic -q --batch 1000",
            "for each of 3 processes",
        ),
        ("launch --nproc 2 -- train --task s3dis --area all --data synthetic", "one area"),
    ] {
        let text = failure(sgas(folder).args(options.split_whitespace()), 2);
        assert!(text.contains(found), "{options}: {text}");
    }
}

/// How a packet travels between two machines.
enum Link {
    /// At once.
    Veth,
    /// Later, and one of so many never: by a process that carries packets from one to the other.
    Slow { milliseconds: u32, lost: u32 },
}

/// Two network namespaces with a link between them, as two machines; gone when dropped.
struct Machines {
    names: [String; 2],
    carrier: Option<Child>,
}

impl Machines {
    /// What the system says against them, where it has none.
    fn new(link: &Link) -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let names = ["a", "b"].map(|which| format!("sgas{}{which}{number}", std::process::id()));
        let mut machines = Self { names, carrier: None };
        let [a, b] = &machines.names;
        ip(&format!("netns add {a}"))?;
        ip(&format!("netns add {b}"))?;
        match link {
            Link::Veth => ip(&format!("-n {a} link add link0 type veth peer name link0 netns {b}"))?,
            Link::Slow { milliseconds, lost } => {
                let mut carrier = std::process::Command::new("python3");
                carrier.args(["-c", include_str!("slow_link.py"), a, b, &milliseconds.to_string(), &lost.to_string()]);
                let carrier = carrier.stdout(Stdio::piped()).spawn().map_err(|error| format!("python3: {error}"))?;
                let carrier = machines.carrier.insert(carrier);
                let mut said = String::new();
                let _ = BufReader::new(carrier.stdout.take().unwrap()).read_line(&mut said);
                if said.trim() != "ready" {
                    return Err("no TUN devices".to_owned());
                }
                ip(&format!("link set {a} netns {a} name link0"))?;
                ip(&format!("link set {b} netns {b} name link0"))?;
            }
        }
        for (number, name) in [(1, a), (2, b)] {
            ip(&format!("-n {name} addr add 10.77.0.{number}/24 dev link0"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set link0 up"))?;
        }
        Ok(machines)
    }

    /// One of two processes, on its machine.
    fn rank(&self, folder: &Path, rank: usize, patience: u64, words: &[String]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[rank]]).arg(assert_cmd::cargo::cargo_bin("sgas"));
        command.current_dir(folder).args(words).timeout(LONGEST);
        for (name, value) in [
            ("RANK", rank.to_string()),
            ("WORLD_SIZE", "2".to_owned()),
            ("MASTER_ADDR", "10.77.0.1".to_owned()),
            ("MASTER_PORT", "29500".to_owned()),
            ("GLOO_SOCKET_IFNAME", "link0".to_owned()),
            ("SGAS_PROCESS_TIMEOUT", patience.to_string()),
            ("OMP_NUM_THREADS", "1".to_owned()),
        ] {
            command.env(name, value);
        }
        command
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        if let Some(carrier) = &mut self.carrier {
            // It may have ended.
            let _ = carrier.kill();
            let _ = carrier.wait();
        }
        for name in &self.names {
            // One that was not made can't be removed.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(words: &str) -> Result<(), String> {
    let ended = std::process::Command::new("ip").args(words.split_whitespace()).output();
    let ended = ended.map_err(|error| format!("ip: {error}"))?;
    if ended.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ended.stderr).into_owned()) }
}

/// Two machines; else says why a test is skipped.
fn machines(link: &Link) -> Option<Machines> {
    Machines::new(link)
        .map_err(|why| println!("skipped: no network namespaces here, which root has on Linux with iproute2: {why}"))
        .ok()
}

/// A search on two machines, which comes to what it comes to on this one.
fn assert_same_on(machines: &Machines, folder: &Path) {
    let own = words("search", "--out apart --set search.epochs=3");
    let second = start(machines.rank(folder, 1, 30, &own));
    output(&mut machines.rank(folder, 0, 30, &own));
    assert!(second.wait_with_output().unwrap().status.success());
    output(&mut launch(folder, 2, "", &words("search", "--out here --set search.epochs=3")));
    assert_equal_runs(&folder.join("here"), &folder.join("apart"));
}

#[test]
fn machines_with_a_slow_link_that_loses_packets_share_a_run() {
    let Some(machines) = machines(&Link::Slow { milliseconds: 2, lost: 100 }) else { return };
    let root = tempfile::tempdir().unwrap();
    assert_same_on(&machines, root.path());
}

#[test]
fn machines_share_a_run_and_a_cut_link_ends_it_in_time() {
    let Some(machines) = machines(&Link::Veth) else { return };
    let [a, _] = &machines.names;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    assert_same_on(&machines, folder);
    // The cable is pulled: nobody hears that the other is gone.
    let own = words("search", "--out cut --set search.steps=2000");
    let processes = [0, 1].map(|rank| start(machines.rank(folder, rank, 2, &own)));
    let began = Instant::now();
    while !folder.join("cut/run.json").exists() {
        assert!(began.elapsed() < LONGEST);
        std::thread::sleep(Duration::from_millis(50));
    }
    ip(&format!("-n {a} link set link0 down")).unwrap();
    let pulled = Instant::now();
    let said = processes.map(|process| process.wait_with_output().unwrap());
    assert!(pulled.elapsed() < Duration::from_secs(30), "{:?}", pulled.elapsed());
    for (ended, who) in said.iter().zip(["rank 0: rank 1 can't", "rank 1: the process that keeps the store"]) {
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && text.contains(who), "{text}");
    }
}
