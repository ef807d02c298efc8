//! What a launcher says of this process, in the variables by which each of them does: torchrun (and whoever sets its
//! variables by hand), Open MPI, Slurm.

use super::Share;
use crate::error::{Error, Result};
use std::time::Duration;

/// Where this process stands among those of a run, and how they find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Rank and world.
    pub share: Share,
    /// The number of this process among those of its machine.
    pub local_rank: usize,
    /// Processes on this machine.
    pub local_world: usize,
    /// The machine whose store all processes reach.
    pub host: String,
    /// The store's port.
    pub port: u16,
    /// Whether the launcher keeps the store; else the process of rank 0 does.
    pub launcher_has_store: bool,
    /// Which attempt of the launcher this is.
    pub attempt: String,
}

/// What a launcher calls what it says.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    world: &'static str,
    local_rank: &'static str,
    local_world: &'static str,
}

const LAUNCHERS: [Launcher; 3] = [
    Launcher {
        name: "torchrun",
        rank: "RANK",
        world: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_world: "LOCAL_WORLD_SIZE",
    },
    Launcher {
        name: "Open MPI",
        rank: "OMPI_COMM_WORLD_RANK",
        world: "OMPI_COMM_WORLD_SIZE",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_world: "OMPI_COMM_WORLD_LOCAL_SIZE",
    },
    // A shell in a job of several tasks is none of them: only srun, which starts a step, sets the number of its tasks.
    Launcher {
        name: "Slurm",
        rank: "SLURM_PROCID",
        world: "SLURM_STEP_NUM_TASKS",
        local_rank: "SLURM_LOCALID",
        local_world: "SLURM_STEP_TASKS_PER_NODE",
    },
];

/// The machine of the store.
pub const HOST: &str = "MASTER_ADDR";
/// Its port.
pub const PORT: &str = "MASTER_PORT";
/// `True` where the launcher keeps the store.
pub const LAUNCHER_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";
/// How often the launcher started the processes anew.
pub const ATTEMPT: &str = "TORCHELASTIC_RESTART_COUNT";
/// By what tensors of GPUs are summed.
pub const COLLECTIVES: &str = "SGAS_COLLECTIVES";
/// For how many seconds a process waits for the others.
pub const PATIENCE: &str = "SGAS_PROCESS_TIMEOUT";

/// By what tensors of GPUs are summed over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Collectives {
    /// By NCCL where every process has a GPU of its own and the library is there, else by way of host memory.
    #[default]
    Auto,
    /// By way of host memory.
    Gloo,
    /// By NCCL; where it can't be used the run does not begin.
    Nccl,
}

/// For how long a process waits for the others where nobody says it: one may still read its data.
const USUAL_PATIENCE: Duration = Duration::from_secs(600);

/// The first of the ports that jobs get by their number, and how many.
const JOB_PORTS: (u64, u64) = (20_000, 10_000);

/// The variables by which a process is one of several: whoever starts one that is not takes them away.
pub fn variables() -> impl Iterator<Item = &'static str> {
    LAUNCHERS.iter().flat_map(|launcher| [launcher.rank, launcher.world])
}

/// How long a process waits for the others.
///
/// # Errors
/// A variable that is no time.
pub fn patience(variable: impl Fn(&str) -> Option<String>) -> Result<Duration> {
    let Some(text) = variable(PATIENCE) else { return Ok(USUAL_PATIENCE) };
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds >= 1.0 && *seconds <= 1e6);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| Error::invalid(PATIENCE, "seconds, from 1 to 1e6", text))
}

/// By what tensors of GPUs are summed.
///
/// # Errors
/// A variable that says something else.
pub fn collectives(variable: impl Fn(&str) -> Option<String>) -> Result<Collectives> {
    match variable(COLLECTIVES).as_deref().map(str::trim) {
        None | Some("" | "auto") => Ok(Collectives::Auto),
        Some("gloo") => Ok(Collectives::Gloo),
        Some("nccl") => Ok(Collectives::Nccl),
        Some(other) => Err(Error::invalid(COLLECTIVES, "auto, gloo or nccl", other)),
    }
}

/// What the variables of this process say; `None` where it is alone.
///
/// # Errors
/// Variables that say half of it, or what can't be.
pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Place>> {
    let find = |launcher: &&Launcher| variable(launcher.world).is_some();
    let Some(launcher) = LAUNCHERS.iter().find(find) else { return Ok(None) };
    let number = |name: &str| -> Result<Option<usize>> {
        let Some(text) = variable(name) else { return Ok(None) };
        let number = text.trim().parse().ok();
        number.map(Some).ok_or_else(|| Error::invalid(name, "a whole number", text))
    };
    let world = number(launcher.world)?.unwrap_or(1);
    if world <= 1 {
        return Ok(None);
    }
    let hint = format!("{} sets it; unset {} to run one process alone", launcher.name, launcher.world);
    let missing = |name: &str| Error::invalid(name, format!("a value, as {} says {world}", launcher.world), "none");
    let rank = number(launcher.rank)?.ok_or_else(|| missing(launcher.rank).with_hint(&hint))?;
    if rank >= world {
        let expected = format!("a number below {}, which is {world}", launcher.world);
        return Err(Error::invalid(launcher.rank, expected, rank.to_string()).with_hint(hint));
    }
    // Slurm's is a list, of which any number does: it is asked for threads alone.
    let local_world = variable(launcher.local_world).and_then(|text| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    });
    let local_rank = number(launcher.local_rank)?;
    let all_here = local_world == Some(world);
    let host = match (variable(HOST).filter(|host| !host.trim().is_empty()), launcher.name) {
        (Some(host), _) => host,
        (None, "Slurm") => variable("SLURM_STEP_NODELIST")
            .as_deref()
            .and_then(first_host)
            .ok_or_else(|| missing("SLURM_STEP_NODELIST").with_hint(format!("set {HOST} to the first machine")))?,
        (None, _) if all_here => "127.0.0.1".to_owned(),
        (None, _) => {
            return Err(missing(HOST).with_hint("the name or address of the machine of rank 0, the same everywhere"));
        }
    };
    let port = match (variable(PORT), launcher.name) {
        (Some(text), _) => {
            let port = text.trim().parse::<u16>().ok().filter(|port| *port > 0);
            port.ok_or_else(|| Error::invalid(PORT, "a port, 1 to 65535", text))?
        }
        (None, "Slurm") => job_port(&format!(
            "{}.{}",
            variable("SLURM_JOB_ID").unwrap_or_default(),
            variable("SLURM_STEP_ID").unwrap_or_default()
        )),
        (None, "Open MPI") => {
            let job = variable("PMIX_NAMESPACE").ok_or_else(|| missing(PORT).with_hint("any free port"))?;
            job_port(&job)
        }
        (None, _) => return Err(missing(PORT).with_hint("any free port of the machine of rank 0, the same everywhere")),
    };
    Ok(Some(Place {
        share: Share { rank, world },
        local_rank: local_rank.unwrap_or(rank),
        local_world: local_world.unwrap_or(world),
        host,
        port,
        launcher_has_store: variable(LAUNCHER_STORE).is_some_and(|text| text.eq_ignore_ascii_case("true")),
        attempt: variable(ATTEMPT).unwrap_or_default(),
    }))
}

/// The first machine of Slurm's list of them, `node[03-07,12],login`.
fn first_host(list: &str) -> Option<String> {
    let end = list.find([',', '[']).unwrap_or(list.len());
    let (name, rest) = list.split_at(end);
    let Some(rest) = rest.strip_prefix('[') else { return Some(name.to_owned()).filter(|name| !name.is_empty()) };
    let (inside, after) = rest.split_once(']')?;
    let first = inside.split([',', '-']).next()?;
    let suffix = after.split(',').next().unwrap_or_default();
    Some(format!("{name}{first}{suffix}"))
}

/// A port that is the same in all processes of a job, and mostly another in other jobs.
fn job_port(job: &str) -> u16 {
    let hash = blake3::hash(job.as_bytes());
    let number = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"));
    let (first, count) = JOB_PORTS;
    u16::try_from(first + number % count).expect("ports are below 65536")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(|name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    #[test]
    fn without_a_launcher_and_in_a_world_of_one_a_process_is_alone() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("WORLD_SIZE", "1"), ("RANK", "0")]).unwrap(), None);
        // The shell of a job, which srun has not started.
        assert_eq!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8")]).unwrap(), None);
    }

    #[test]
    fn every_launcher_is_understood() {
        let by_torchrun = of(&[
            ("RANK", "3"),
            ("WORLD_SIZE", "4"),
            ("LOCAL_RANK", "1"),
            ("LOCAL_WORLD_SIZE", "2"),
            ("MASTER_ADDR", "head"),
            ("MASTER_PORT", "29500"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_RESTART_COUNT", "2"),
        ]);
        let expected = Place {
            share: Share { rank: 3, world: 4 },
            local_rank: 1,
            local_world: 2,
            host: "head".to_owned(),
            port: 29500,
            launcher_has_store: true,
            attempt: "2".to_owned(),
        };
        assert_eq!(by_torchrun.unwrap(), Some(expected));
        let by_mpi = |more: &[(&str, &str)]| {
            let own = [
                ("OMPI_COMM_WORLD_RANK", "1"),
                ("OMPI_COMM_WORLD_SIZE", "2"),
                ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
                ("PMIX_NAMESPACE", "prterun-1"),
            ];
            of(&[&own[..], more].concat())
        };
        let here = by_mpi(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]).unwrap().unwrap();
        assert_eq!((here.host.as_str(), here.share.rank, here.launcher_has_store), ("127.0.0.1", 1, false));
        let error = by_mpi(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "1")]).unwrap_err().to_string();
        assert!(error.starts_with("MASTER_ADDR: expected a value"), "{error}");
        let by_slurm = |nodes: &str| {
            of(&[
                ("SLURM_PROCID", "5"),
                ("SLURM_STEP_NUM_TASKS", "8"),
                ("SLURM_LOCALID", "1"),
                ("SLURM_STEP_TASKS_PER_NODE", "4(x2)"),
                ("SLURM_STEP_NODELIST", nodes),
                ("SLURM_JOB_ID", "77"),
                ("SLURM_STEP_ID", "0"),
            ])
            .unwrap()
            .unwrap()
        };
        for (nodes, first) in
            [("node[03-07,12],login", "node03"), ("a,b", "a"), ("gpu7", "gpu7"), ("rack[1,4]-x,b", "rack1-x")]
        {
            assert_eq!(by_slurm(nodes).host, first);
        }
        let place = by_slurm("a,b");
        assert_eq!((place.local_rank, place.local_world, place.port), (1, 4, by_slurm("z").port));
        assert!((20_000..30_000).contains(&place.port));
    }

    #[test]
    fn variables_that_say_half_are_named() {
        let whole = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")];
        let with = |name: &str, value: Option<&str>| {
            let changed = whole.iter().filter_map(|(key, text)| match (*key == name, value) {
                (true, None) => None,
                (true, Some(value)) => Some((*key, value)),
                (false, _) => Some((*key, *text)),
            });
            of(&changed.collect::<Vec<_>>()).unwrap_err().to_string()
        };
        for (name, value) in [
            ("RANK", None),
            ("RANK", Some("2")),
            ("RANK", Some("-1")),
            ("WORLD_SIZE", Some("two")),
            ("MASTER_ADDR", None),
            ("MASTER_PORT", None),
            ("MASTER_PORT", Some("70000")),
        ] {
            let error = with(name, value);
            assert!(error.starts_with(&format!("{name}: expected ")), "{error}");
        }
        assert!(patience(|_| Some("0".to_owned())).is_err());
        assert_eq!(collectives(|_| Some(" nccl".to_owned())).unwrap(), Collectives::Nccl);
        assert!(collectives(|_| Some("mpi".to_owned())).is_err());
        assert_eq!(patience(|_| Some("2.5".to_owned())).unwrap(), Duration::from_millis(2500));
    }
}
