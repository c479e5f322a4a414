//! How a secret gets into a command: through standard input or a variable of the environment, never
//! as an argument, which every user of the machine can read.

use std::io::{IsTerminal, Read};

use tombolo_core::secret::Secret;
use zeroize::Zeroizing;

use super::Usage;

/// Largest secret; bytes. A private key in PEM fits many times.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Where one secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// Standard input, to its end.
    Stdin,
    /// The variable of this name.
    Variable(String),
}

/// What secrets are read from.
pub(super) struct Inputs<'a> {
    /// Standard input; taken by the first secret that needs it.
    stdin: Option<&'a mut dyn Read>,
    variables: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Inputs<'a> {
    /// Inputs that are given.
    pub(super) fn new(
        stdin: &'a mut dyn Read,
        variables: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { stdin: Some(stdin), variables }
    }

    /// Reads a secret. One newline at its end is not part of it.
    pub(super) fn read(&mut self, source: &SecretSource) -> anyhow::Result<Secret> {
        let (text, place) = match source {
            SecretSource::Stdin => (self.stdin()?, "standard input".to_owned()),
            SecretSource::Variable(name) => {
                let value = (self.variables)(name)
                    .ok_or_else(|| Usage(format!("the variable {name} is not set")))?;
                (Zeroizing::new(value), format!("the variable {name}"))
            }
        };
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        match secret.len() {
            0 => Err(Usage(format!("{place} is empty, a secret was expected")).into()),
            1..=MAX_SECRET_BYTES => Ok(Secret::new(secret.as_bytes().to_vec())),
            _ => Err(Usage(format!(
                "{place} is longer than {MAX_SECRET_BYTES} bytes, the bound of a secret"
            ))
            .into()),
        }
    }

    fn stdin(&mut self) -> anyhow::Result<Zeroizing<String>> {
        let stdin = self.stdin.take().ok_or_else(|| {
            Usage(
                "only one secret can come from standard input; give the other by a variable".into(),
            )
        })?;
        let mut text = Zeroizing::new(String::new());
        stdin
            .take(MAX_SECRET_BYTES as u64 + 2)
            .read_to_string(&mut text)
            .map_err(|error| Usage(format!("standard input cannot be read as text: {error}")))?;
        Ok(text)
    }
}

/// Refuses to wait for a secret that would be typed where everybody can see it.
pub(super) fn refuse_terminal(sources: &[&SecretSource]) -> anyhow::Result<()> {
    if sources.contains(&&SecretSource::Stdin) && std::io::stdin().is_terminal() {
        let help = "pipe the secret in, so that it is not shown: `tombolo .. < secret.txt`";
        return Err(Usage(help.into()).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Inputs, MAX_SECRET_BYTES, SecretSource};

    fn from_stdin(text: &str) -> anyhow::Result<Vec<u8>> {
        let mut stdin = text.as_bytes();
        let mut inputs = Inputs::new(&mut stdin, &|_| None);
        inputs.read(&SecretSource::Stdin).map(|secret| secret.reveal().to_vec())
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_secret() {
        assert_eq!(from_stdin("s3cret\n").unwrap(), b"s3cret");
        assert_eq!(from_stdin("s3cret\r\n").unwrap(), b"s3cret");
        assert_eq!(from_stdin(" two\nlines\n\n").unwrap(), b" two\nlines\n");
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(from_stdin("\n").unwrap_err().to_string().contains("is empty"));
        let long = "x".repeat(MAX_SECRET_BYTES + 1);
        let error = from_stdin(&long).unwrap_err().to_string();
        assert!(error.contains("is longer") && !error.contains("xxx"), "{error}");
    }

    #[test]
    fn variables_are_named_and_standard_input_is_read_once() {
        let mut stdin = "a".as_bytes();
        let variables = |name: &str| (name == "TOKEN").then(|| "b".to_owned());
        let mut inputs = Inputs::new(&mut stdin, &variables);
        let variable = |name: &str| SecretSource::Variable(name.to_owned());
        assert_eq!(inputs.read(&variable("TOKEN")).unwrap().reveal(), b"b");
        let missing = inputs.read(&variable("OTHER")).unwrap_err().to_string();
        assert_eq!(missing, "the variable OTHER is not set");
        assert_eq!(inputs.read(&SecretSource::Stdin).unwrap().reveal(), b"a");
        assert!(inputs.read(&SecretSource::Stdin).is_err());
    }
}
