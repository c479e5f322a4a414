//! Tables for people: columns as wide as their widest cell.

use super::terminal::{Colour, Style};

/// A cell: its text, and the colour that it is painted in.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), colour: None }
    }
}

impl Cell {
    /// A painted cell.
    pub(super) fn painted(text: impl Into<String>, colour: Colour) -> Self {
        Self { text: text.into(), colour: Some(colour) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Space between columns.
const GAP: usize = 2;

/// Rows below a head. Colours don't count as width; the last column is not padded.
pub(super) fn table(head: &[&str], rows: &[Vec<Cell>], style: Style) -> String {
    let head: Vec<Cell> = head.iter().map(|name| Cell::painted(*name, Colour::Dim)).collect();
    let rows: Vec<&Vec<Cell>> = std::iter::once(&head).chain(rows).collect();
    lines(&rows, style).join("\n")
}

/// Rows without a head, one line each.
pub(super) fn align(rows: &[Vec<Cell>], style: Style) -> Vec<String> {
    lines(&rows.iter().collect::<Vec<_>>(), style)
}

fn lines(rows: &[&Vec<Cell>], style: Style) -> Vec<String> {
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths, style)).collect()
}

fn line(row: &[Cell], widths: &[usize], style: Style) -> String {
    let last = row.iter().rposition(|cell| !cell.text.is_empty());
    let mut line = String::new();
    for (column, cell) in row.iter().enumerate().take_while(|(column, _)| Some(*column) <= last) {
        match cell.colour {
            Some(colour) => line.push_str(&style.paint(colour, &cell.text)),
            None => line.push_str(&cell.text),
        }
        if Some(column) != last {
            line.push_str(&" ".repeat(widths[column] - cell.width() + GAP));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Cell, table};
    use crate::cli::terminal::{Colour, Style};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![Cell::from("a"), Cell::painted("ünï", Colour::Red), Cell::from("")],
            vec![Cell::from("longer"), Cell::from("x"), Cell::from("end")],
        ];
        let text = table(&["NAME", "B", "C"], &rows, Style { enabled: false });
        assert_eq!(text, "NAME    B    C\na       ünï\nlonger  x    end");
        let painted = table(&["NAME", "B", "C"], &rows, Style { enabled: true });
        assert!(painted.contains("\u{1b}[31münï\u{1b}[0m\n"), "{painted:?}");
    }
}
