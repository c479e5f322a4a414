//! Which of jq's definitions a program needs. Parsing and compiling all of them costs far more than
//! most programs; parsing those it names costs next to nothing.

use std::collections::HashSet;

const TEXT: &str = include_str!("definitions.jq");

/// What would reach out of the sandbox or end the instance.
const LEFT_OUT: [&str; 5] = ["env", "halt", "halt_error", "input", "inputs"];

thread_local! {
    static DEFINITIONS: Vec<Definition> = split(TEXT);
}

/// One definition of jq's library.
#[derive(Debug, Clone, Copy)]
struct Definition {
    name: &'static str,
    text: &'static str,
}

/// What a program needs of jq's library.
#[derive(Debug, Default)]
pub struct Needed<'a> {
    /// The definitions, as jq text, in jq's order.
    pub definitions: String,
    /// Every name that the program or one of these definitions may call.
    pub names: HashSet<&'a str>,
}

/// Finds the definitions that `program` names, those that they name, and so on. It may find more
/// than are called, never fewer.
pub fn needed(program: &str) -> Needed<'_> {
    DEFINITIONS.with(|all| {
        let mut needed = Needed::default();
        let mut used = vec![false; all.len()];
        let mut unread = vec![program];
        while let Some(text) = unread.pop() {
            for name in names(text) {
                if LEFT_OUT.contains(&name) || !needed.names.insert(name) {
                    continue;
                }
                for (index, definition) in all.iter().enumerate() {
                    if definition.name == name {
                        used[index] = true;
                        unread.push(definition.text);
                    }
                }
            }
        }
        for (definition, _) in all.iter().zip(used).filter(|(_, used)| *used) {
            needed.definitions.push_str(definition.text);
        }
        needed
    })
}

/// Everything in `text` that could be a call: words, and words after `@`, but not field names and
/// variables.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            if !is_word(bytes[at]) {
                at += 1;
                continue;
            }
            while at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
            match start.checked_sub(1).map(|before| bytes[before]) {
                Some(b'.' | b'$') => {}
                Some(b'@') => return Some(&text[start - 1..at]),
                _ => return Some(&text[start..at]),
            }
        }
        None
    })
}

fn split(text: &'static str) -> Vec<Definition> {
    let starts: Vec<usize> = text.match_indices("\ndef ").map(|(start, _)| start + 1).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| definition(&text[*start..end]))
        .filter(|definition| !LEFT_OUT.contains(&definition.name))
        .collect()
}

fn definition(text: &'static str) -> Definition {
    let head = text["def ".len()..].trim_start();
    let end = head.find(['(', ':']).unwrap_or(head.len());
    Definition { name: head[..end].trim_end(), text }
}

#[cfg(test)]
mod tests {
    use jaq_core::load::parse;

    use super::*;

    fn of_jaq() -> Vec<parse::Def<&'static str>> {
        jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).collect()
    }

    #[test]
    fn the_copy_is_that_of_the_jaq_that_is_linked() {
        let copied = parse(TEXT, |parser| parser.defs()).expect("parses");
        let copied: Vec<String> = copied.iter().map(|one| format!("{one:?}")).collect();
        let linked: Vec<String> = of_jaq().iter().map(|one| format!("{one:?}")).collect();
        assert_eq!(copied, linked);
    }

    #[test]
    fn every_definition_compiles_with_only_what_it_needs() {
        let mut compiled = 0;
        for definition in of_jaq() {
            if LEFT_OUT.contains(&definition.name) {
                continue;
            }
            let arguments = vec!["."; definition.args.len()].join("; ");
            let call = match definition.args.len() {
                0 => definition.name.to_owned(),
                _ => format!("{}({arguments})", definition.name),
            };
            let result = crate::Program::compile(&call);
            assert!(result.is_ok(), "{call}: {result:?}");
            compiled += 1;
        }
        assert!(compiled > 100, "only {compiled} definitions were tried");
    }

    #[test]
    fn a_plain_program_needs_nothing() {
        assert_eq!(needed(".steps.map.length > 3").definitions, "");
    }

    #[test]
    fn names_are_followed_to_the_end() {
        let needed = needed("[.[] | @base64]");
        assert!(needed.definitions.contains("def @base64 "));
        assert!(needed.definitions.contains("def tostring:"));
        assert!(needed.names.contains("encode_base64"));
        assert!(!needed.definitions.contains("def map("));
    }
}
