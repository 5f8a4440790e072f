//! What a sidecar costs without requests, or long after them: its start, its memory, its size, its CPU when nothing
//! happens.

mod connections;
mod idle;
mod memory;
mod paths;
mod size;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use super::Settings;
use super::machine::resident;
use super::report::{Document, Standing};
use super::subject::Subject;

/// How long nothing happens before memory is read.
const QUIET: Duration = Duration::from_secs(5);

/// How long and how much; the defaults are what the goals are about.
#[derive(Debug, Clone, clap::Args)]
pub struct Lengths {
    /// Starts of each kind (P17).
    #[arg(long, default_value_t = 20)]
    pub starts: usize,
    /// How long requests are made before memory is read (P18), in seconds.
    #[arg(long = "load", value_name = "SECONDS", default_value_t = 60)]
    pub load: u64,
    /// How many distinct paths are asked for (P18).
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub paths: u64,
    /// How long nothing happens while CPU is watched (P22), in seconds.
    #[arg(long = "idle", value_name = "SECONDS", default_value_t = 60)]
    pub idle: u64,
    /// Ottavo's binary without components, to be weighed (P19).
    #[arg(long, value_name = "PATH")]
    pub core: Option<PathBuf>,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { starts: 20, load: 60, paths: 1_000_000, idle: 60, core: None }
    }
}

/// One row. `measure` has no value where the subject has no such thing.
struct Row<'a> {
    name: &'static str,
    unit: &'static str,
    goal: f64,
    measure: Box<dyn Fn(&Subject) -> Option<f64> + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: &'static str, unit: &'static str, goal: f64, measure: impl Fn(&Subject) -> Option<f64> + 'a) -> Self {
        Self { name, unit, goal, measure: Box::new(measure) }
    }
}

/// Adds the rows that are wanted. A row that Ottavo has no value for is left out: its binary was not given.
pub fn measure(settings: &Settings, wanted: &dyn Fn(&str) -> bool, document: &mut Document) {
    let lengths = &settings.standing;
    let rows =
        [connections::rows(), start::rows(lengths), memory::rows(lengths), size::rows(lengths), idle::rows(lengths)];
    for row in rows.into_iter().flatten().filter(|row| wanted(row.name)) {
        eprintln!("… {}", row.name);
        let Some(ours) = (row.measure)(&Subject::Ottavo(settings.ottavo.clone())) else { continue };
        let theirs = settings.daprd.clone().and_then(|path| (row.measure)(&Subject::Daprd(path)));
        eprintln!(
            "… {}: {ours:.1} {}{}",
            row.name,
            row.unit,
            theirs.map_or(String::new(), |t| format!(" beside {t:.1}"))
        );
        document.standing.push(Standing {
            name: row.name.to_owned(),
            unit: row.unit.to_owned(),
            goal: row.goal,
            ours,
            theirs,
        });
    }
}

/// Resident memory of a process after a quiet while, in MB.
fn settled(id: u32) -> f64 {
    std::thread::sleep(QUIET);
    resident(id)
}
