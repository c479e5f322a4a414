//! Where a command writes: text for people or JSON for programs, colours only where they are seen.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// The output of one command.
pub(super) struct Terminal {
    out: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
    /// How text is coloured.
    pub(super) style: Style,
    /// True if a program reads.
    pub(super) json: bool,
}

impl Terminal {
    /// Standard output, and standard error for what is not the answer.
    pub(super) fn of_process(json: bool) -> Self {
        let style = Style { enabled: !json && colours_wanted(io::stdout().is_terminal()) };
        Self { out: Box::new(io::stdout()), notes: Box::new(io::stderr()), style, json }
    }

    /// Writes elsewhere, without colours.
    #[cfg(test)]
    pub(super) fn plain(
        out: Box<dyn Write + Send>,
        notes: Box<dyn Write + Send>,
        json: bool,
    ) -> Self {
        Self { out, notes, style: Style { enabled: false }, json }
    }

    /// Writes text with a newline.
    pub(super) fn print(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end())?;
        self.out.flush()
    }

    /// Writes indented JSON.
    pub(super) fn print_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Writes JSON in one line, for a stream of values.
    pub(super) fn print_json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Writes a remark that is not part of the answer.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.notes, "{}", text.trim_end())
    }
}

/// Says on standard error that something is wrong.
pub(super) fn complain(message: &str) {
    let style = Style { enabled: colours_wanted(io::stderr().is_terminal()) };
    let word = style.paint(Colour::Red, "error:");
    // When even this cannot be written, the exit code has to say it.
    let _ = writeln!(io::stderr(), "{word} {}", message.trim_end());
}

/// See <https://no-color.org>: set and not empty means no.
fn colours_wanted(is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) enabled: bool,
}

/// What a colour is used for: good, bad, attention, places, and what is less important.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Green,
    Red,
    Yellow,
    Blue,
    Dim,
    Bold,
}

impl Style {
    /// The text in that colour (ECMA-48, Select Graphic Rendition).
    pub(super) fn paint(self, colour: Colour, text: &str) -> String {
        if !self.enabled || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Bold => 1,
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Text from elsewhere, safe to show: control characters, which could move the cursor or set the
/// window's title, are replaced.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

/// The same in one line of at most so many characters.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let line: String = harmless(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::{Colour, Style, harmless, one_line};

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        assert_eq!(Style { enabled: false }.paint(Colour::Red, "x"), "x");
        assert_eq!(Style { enabled: true }.paint(Colour::Red, "x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(one_line("a\n  b   c", 10), "a b c");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }
}
