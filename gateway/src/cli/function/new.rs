//! `ottavo function new`: a folder with a function that builds.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::templates::{Language, Trigger};
use super::{Failure, Outcome, print_line};

pub const NOTES: &str = "\
Examples:
  ottavo function new greeter --lang rust
  ottavo function new orders --lang go --trigger topic
  ottavo function new sweep --lang as --trigger cron --folder ./functions/sweep";

#[derive(Debug, Args)]
pub struct Options {
    /// Name of the function: lower-case letters, digits and dashes
    #[arg(value_name = "NAME")]
    name: String,
    /// Language to write it in
    #[arg(long, short, value_enum)]
    lang: Language,
    /// What calls it; the manifest can name others later
    #[arg(long, short, value_enum, default_value = "http")]
    trigger: Trigger,
    /// Folder to make [default: ./NAME]
    #[arg(long, short, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub fn run(options: &Options) -> Outcome {
    check_name(&options.name)?;
    let folder = options.folder.clone().unwrap_or_else(|| PathBuf::from(&options.name));
    check_empty(&folder)?;
    for (path, text) in options.lang.files(&options.name, options.trigger) {
        let path = folder.join(path);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    }
    print_line(&format!("The function {} is in {}. Next:", options.name, folder.display()));
    print_line(&format!("  cd {}", folder.display()));
    print_line("  ottavo function build");
    print_line("  ottavo function invoke");
    Ok(())
}

/// The name is a path of the function's requests, a package of its language, and a resource of Kubernetes.
fn check_name(name: &str) -> Outcome {
    let is_letter = |c: char| c.is_ascii_lowercase();
    let is_fine = name.starts_with(is_letter)
        && !name.ends_with('-')
        && name.len() <= 63
        && name.chars().all(|c| is_letter(c) || c.is_ascii_digit() || c == '-');
    if is_fine {
        return Ok(());
    }
    Err(Failure::new(format!(
        "'{name}' is no name for a function: use lower-case letters, digits and dashes, with a letter first, such as greeter"
    )))
}

fn check_empty(folder: &Path) -> Outcome {
    let refuse = |reason: String| Err(Failure::new(format!("{}: {reason}", folder.display())));
    match std::fs::read_dir(folder).map(Iterator::count) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => refuse(error.to_string()),
        Ok(0) => Ok(()),
        Ok(_) => refuse("there are files already: choose another folder with --folder".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_everywhere() {
        for name in ["a", "greeter", "order-events-2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "Greeter", "2nd", "-a", "a-", "a_b", "a/b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_with_files_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let options = |folder: &Path| Options {
            name: "greeter".into(),
            lang: Language::Rust,
            trigger: Trigger::Http,
            folder: Some(folder.to_owned()),
        };
        run(&options(folder.path())).unwrap();
        let cargo = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        assert!(cargo.contains("name = \"greeter\""), "{cargo}");
        assert!(folder.path().join("src/ottavo/guest.rs").exists());
        let Failure(text) = run(&options(folder.path())).unwrap_err();
        assert!(text.ends_with("there are files already: choose another folder with --folder"), "{text}");
    }
}
