//! `ottavo function logs`: what functions have written, out of a gateway's log, or as they write it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use clap::Args;
use reqwest::Url;
use serde_json::Value;

use super::{Failure, Outcome, admin, runtime};

pub const NOTES: &str = "\
Functions write into the log of their gateway. This takes their lines out of it, of either form
(--log-as-json or not). With --admin it shows what a function writes from now on.

Examples:
  ottavo function logs greeter --admin unix:///run/ottavo/admin.sock
  ottavo function logs greeter --file ottavo.log
  journalctl -u ottavo@shop -o cat -f | ottavo function logs
  kubectl logs -f shop -c ottavo | ottavo function logs greeter";

/// Log scope of what guests write.
const GUEST: &str = "ottavo.function";

#[derive(Debug, Args)]
pub struct Options {
    /// Name of a function; without it, the lines of all
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Log of the gateway [default: the standard input]
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Follow the function at a running gateway: http://localhost:3502, or unix:///run/ottavo/admin.sock
    #[arg(long, value_name = "URL", requires = "name", conflicts_with = "file")]
    admin: Option<Url>,
}

pub fn run(options: &Options) -> Outcome {
    if let (Some(address), Some(name)) = (&options.admin, &options.name) {
        return runtime()?.block_on(admin::follow(address, name));
    }
    let input: Box<dyn Read> = match &options.file {
        None => Box::new(std::io::stdin()),
        Some(path) => {
            Box::new(std::fs::File::open(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?)
        }
    };
    for line in BufReader::new(input).lines() {
        let line = line.map_err(|error| Failure::new(format!("the log cannot be read: {error}")))?;
        let Some(text) = line_of(&line, options.name.as_deref()) else { continue };
        // A closed standard output is the reader's choice.
        if writeln!(std::io::stdout(), "{text}").is_err() {
            break;
        }
    }
    Ok(())
}

/// Time, level and text of a guest's line; `None` for other lines.
fn line_of(line: &str, name: Option<&str>) -> Option<String> {
    let field = |name: &str| match line.starts_with('{') {
        true => {
            let line: Value = serde_json::from_str(line).ok()?;
            line.get(name)?.as_str().map(str::to_owned)
        }
        false => pair(line, name),
    };
    if field("scope")? != GUEST {
        return None;
    }
    let text = field("msg")?;
    let is_meant = name.is_none_or(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")));
    is_meant.then(|| format!("{} {} {text}", field("time").unwrap_or_default(), field("level").unwrap_or_default()))
}

/// A field of a line of `name=value`; values with spaces are quoted as in JSON.
fn pair(line: &str, name: &str) -> Option<String> {
    let start = format!("{name}=");
    let at = line.match_indices(&start).find(|(at, _)| *at == 0 || line[..*at].ends_with(' '))?.0 + start.len();
    let value = &line[at..];
    if value.starts_with('"') {
        return serde_json::Deserializer::from_str(value).into_iter::<String>().next()?.ok();
    }
    value.split(' ').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_functions_are_taken_out_of_both_forms() {
        let text = r#"time="2026-01-02T03:04:05Z" level=info msg="greeter: hello \"you\"" app_id=shop scope=ottavo.function type=log"#;
        let json = r#"{"level":"info","msg":"greeter: hello \"you\"","scope":"ottavo.function","time":"2026-01-02T03:04:05Z"}"#;
        let expected = r#"2026-01-02T03:04:05Z info greeter: hello "you""#;
        for line in [text, json] {
            assert_eq!(line_of(line, None).as_deref(), Some(expected));
            assert_eq!(line_of(line, Some("greeter")).as_deref(), Some(expected));
            assert_eq!(line_of(line, Some("greet")), None);
        }
        assert_eq!(line_of(&text.replace("ottavo.function", "dapr.runtime"), None), None);
        assert_eq!(line_of("no line of a log", None), None);
    }
}
