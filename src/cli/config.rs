//! Defaults of one's own: from a configuration file, and from environment variables.
//!
//! Both become defaults of clap's, which then looks, in this order, at what was typed, the
//! environment, the file, and what an option has by itself.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind::{InvalidValue, ValueValidation};
use clap::{Arg, ArgAction, Command};
use tarjim::{Error, Result};
use toml::{Table, Value};

/// Options that make no sense as defaults.
const NOT: [&str; 3] = ["config", "help", "version"];

/// Adds the defaults of the environment and of a configuration file to a command.
///
/// # Errors
/// If the file cannot be read, or says something that cannot be.
pub fn with_defaults(command: Command, arguments: &[OsString]) -> Result<Command> {
    let command = with_environment(command);
    let Some((path, text)) = read(&command, arguments)? else { return Ok(command) };
    let wrong = |detail: String| Error::Usage(format!("{}: {}", path.display(), detail.trim_end()));
    let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    apply(command, &table).map_err(wrong)
}

/// Every option can be given as `TARJIM_` and its name.
fn with_environment(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_long().filter(|long| !NOT.contains(long)) {
            Some(long) if arg.get_env().is_none() => {
                let name = format!("TARJIM_{}", long.to_uppercase().replace('-', "_"));
                let arg = arg.env(name).hide_env(true);
                match arg.get_action() {
                    ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
                    _ => arg,
                }
            }
            _ => arg,
        })
        .mut_subcommands(with_environment)
}

/// The file named on the command line or by the environment, which must be there, or the one in the
/// usual place, which need not.
fn read(command: &Command, arguments: &[OsString]) -> Result<Option<(PathBuf, String)>> {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(arguments).ok();
    let named = matches.as_ref().and_then(|matches| matches.get_one::<PathBuf>("config").cloned());
    let usual = |folder: PathBuf| folder.join("tarjim").join("config.toml");
    let path = match &named {
        Some(path) => path.clone(),
        None => match folder(std::env::var_os("XDG_CONFIG_HOME"), std::env::home_dir()) {
            Some(folder) => usual(folder),
            None => return Ok(None),
        },
    };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(Error::Usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// The folder of configuration files, as the XDG base directory specification has it.
fn folder(xdg: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let xdg = xdg.map(PathBuf::from).filter(|folder| folder.is_absolute());
    xdg.or_else(|| Some(home?.join(".config")))
}

/// Makes the entries of a file defaults: at the top, of all commands that have such an option; in a
/// table, of the command of that name.
fn apply(mut command: Command, table: &Table) -> Result<Command, String> {
    for (key, value) in table {
        let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().into()).collect();
        match value {
            Value::Table(own) if names.contains(key) => {
                for (option, value) in own {
                    let set = set(command, std::slice::from_ref(key), option, value)?;
                    command = set.ok_or_else(|| format!("`{key}` has no option `{option}`"))?;
                }
            }
            _ => {
                let set = set(command, &names, key, value)?;
                command = set.ok_or_else(|| format!("no command has an option `{key}`"))?;
            }
        }
    }
    Ok(command)
}

/// Gives an option of some commands, or of all, a default; none if no command has it.
fn set(
    mut command: Command,
    commands: &[String],
    option: &str,
    value: &Value,
) -> Result<Option<Command>, String> {
    let values = strings(option, value)?;
    let is = |arg: &Arg| arg.get_long() == Some(option) && !NOT.contains(&option);
    let mut found = false;
    if command.get_arguments().any(is) {
        found = true;
        command = command.mut_args(|arg| if is(&arg) { default(arg, &values) } else { arg });
    }
    for name in commands {
        let Some(own) = command.find_subcommand(name) else { continue };
        let Some(arg) = own.get_arguments().find(|arg| is(arg)) else { continue };
        check(&command, name, arg, &values)?;
        found = true;
        command = command.mut_subcommand(name, |own| {
            own.mut_args(|arg| if is(&arg) { default(arg, &values) } else { arg })
        });
    }
    Ok(found.then_some(command))
}

/// The values of an option as they would be typed.
fn strings(option: &str, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(vec![value.to_string()]),
        Value::Array(values) if values.iter().all(|value| !value.is_array()) => {
            let each: Result<Vec<_>, _> =
                values.iter().map(|value| strings(option, value)).collect();
            Ok(each?.concat())
        }
        _ => Err(format!(
            "the value of `{option}` is neither text, a number, true or false, nor a list"
        )),
    }
}

/// Fails if an option cannot have these values.
fn check(command: &Command, name: &str, arg: &Arg, values: &[String]) -> Result<(), String> {
    let Some(option) = arg.get_long() else { return Ok(()) };
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match values {
            [value] if value == "true" || value == "false" => Ok(()),
            _ => Err(format!("`{option}` is true or false")),
        };
    }
    let typed = values.iter().map(|value| format!("--{option}={value}"));
    let typed = ["tarjim".to_owned(), name.to_owned()].into_iter().chain(typed);
    match command.clone().try_get_matches_from(typed) {
        // What else is missing or too much is not the file's fault.
        Err(error) if matches!(error.kind(), InvalidValue | ValueValidation) => {
            let text = error.render().to_string();
            let text = text.split("\n\nFor more").next().unwrap_or_default();
            Err(text.trim_start_matches("error: ").to_owned())
        }
        _ => Ok(()),
    }
}

fn default(arg: Arg, values: &[String]) -> Arg {
    arg.default_values(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A command with options of every kind, in two subcommands.
    fn command() -> Command {
        let beam = Arg::new("beam").long("beam").value_parser(clap::value_parser!(u8).range(1..));
        let align = Arg::new("align").long("align").action(ArgAction::SetTrue);
        let list = Arg::new("list").long("list").value_delimiter(',').default_value("x");
        Command::new("tarjim")
            .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue).global(true))
            .subcommand(Command::new("one").args([&beam, &align, &list]))
            .subcommand(Command::new("two").arg(beam))
    }

    /// What `--beam`, `--align` and `--list` come to.
    fn told(file: &str, typed: &[&str]) -> Result<String, String> {
        let table: Table = file.parse().unwrap();
        let matches = apply(command(), &table)?.try_get_matches_from(typed).unwrap();
        let quiet = matches.get_flag("quiet");
        let (name, own) = matches.subcommand().unwrap();
        let beam = own.get_one::<u8>("beam");
        Ok(match name {
            "one" => {
                let list: Vec<&String> = own.get_many("list").unwrap().collect();
                format!("{beam:?} {} {list:?} {quiet}", own.get_flag("align"))
            }
            _ => format!("{beam:?} {quiet}"),
        })
    }

    #[test]
    fn what_is_typed_comes_before_the_file() {
        let file = "beam = 4\nquiet = true\n[one]\nalign = true\nlist = ['a', 'b']\n";
        assert_eq!(told(file, &["tarjim", "one"]).unwrap(), r#"Some(4) true ["a", "b"] true"#);
        let typed = ["tarjim", "one", "--beam", "2", "--list=c"];
        assert_eq!(told(file, &typed).unwrap(), r#"Some(2) true ["c"] true"#);
        assert_eq!(told(file, &["tarjim", "two"]).unwrap(), "Some(4) true");
        assert_eq!(told("", &["tarjim", "one"]).unwrap(), r#"None false ["x"] false"#);
        let narrow = "beam = 4\n[two]\nbeam = 1\n";
        assert_eq!(told(narrow, &["tarjim", "two"]).unwrap(), "Some(1) false");
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (file, part) in [
            ("beem = 4", "no command has an option `beem`"),
            ("[two]\nalign = true", "`two` has no option `align`"),
            ("beam = 0", "invalid value '0'"),
            ("beam = 'many'", "invalid value 'many'"),
            ("align = 'perhaps'", "`align` is true or false"),
            ("config = 'x'", "no command has"),
            ("[three]\nbeam = 1", "neither text"),
            ("beam = [[1]]", "neither text"),
        ] {
            let error = told(file, &["tarjim", "one"]).unwrap_err();
            assert!(error.contains(part), "{file}: {error}");
        }
    }

    #[test]
    fn the_usual_place_is_xdg() {
        let home = || Some(PathBuf::from("/home/x"));
        assert_eq!(folder(Some("/etc/x".into()), home()), Some("/etc/x".into()));
        assert_eq!(folder(Some("relative".into()), home()), Some("/home/x/.config".into()));
        assert_eq!(folder(None, home()), Some("/home/x/.config".into()));
        assert_eq!(folder(None, None), None);
    }
}
