//! `ottavo function build` and `test`: the commands of the manifest, and a look at what they made.

use std::path::PathBuf;

use clap::Args;

use super::inspect;
use super::manifest::Project;
use super::{Failure, Outcome, print, print_line, shell};

pub const NOTES: &str = "\
Runs `spec.build.command` of the manifest with sh, in the manifest's folder, and puts what the command
leaves at `spec.build.output`, if that is given, in the place of `spec.module`. Then the module is
looked at as a gateway would: what it imports must be there, and what it calls should be granted.";

#[derive(Debug, Args)]
pub struct Options {
    /// Folder of the function
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct TestOptions {
    /// Folder of the function
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

pub fn run(options: &Options) -> Outcome {
    build(&Project::read(&options.folder)?)
}

pub fn test(options: &TestOptions) -> Outcome {
    let project = Project::read(&options.folder)?;
    let test = project.spec.build.as_ref().and_then(|build| build.test.as_deref());
    let test = test.ok_or_else(|| {
        project.failure("spec.build.test is missing: it is the command that runs the tests, such as `cargo test`")
    })?;
    shell::run(&format!("the test of {}", project.name), test, &project.folder)
}

/// Builds a function and says what came of it.
pub fn build(project: &Project) -> Outcome {
    let build = project.build()?;
    shell::run(&format!("the build of {}", project.name), &build.command, &project.folder)?;
    let module = project.module()?;
    if let Some(output) = &build.output {
        let output = project.folder.join(output);
        std::fs::copy(&output, &module).map_err(|error| {
            project.failure(&format!(
                "the build has left no {} (spec.build.output) for {} (spec.module): {error}",
                output.display(),
                module.display()
            ))
        })?;
    }
    let look = inspect::Look::at(&module)?;
    print(&look.summary());
    for advice in look.missing_grants(&project.spec.grants) {
        print_line(&format!("  note     {advice}"));
    }
    look.check().map_err(|reason| Failure::new(format!("{} was built, but cannot run: {reason}", module.display())))
}
