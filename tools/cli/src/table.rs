//! Text in columns.

use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str, style, truncate_str};

use crate::output::flat;

/// Rows under headings; numbers are aligned to the right and lines cut to fit.
pub struct Table {
    headings: Vec<(&'static str, Alignment)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. A heading that starts with `>` aligns its column to the right.
    pub fn new(headings: &[&'static str]) -> Self {
        let parse = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => (heading, Alignment::Right),
            None => (*heading, Alignment::Left),
        };
        Table {
            headings: headings.iter().map(parse).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with one cell per heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|c| flat(&c)).collect());
    }

    /// Writes the table, cut to `width` columns if given.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let widths = self.widths();
        let headings = self.headings.iter().map(|(heading, _)| *heading);
        let line = self.line(headings, &widths, width);
        // `style` omits colour without a terminal or with NO_COLOR set.
        writeln!(out, "{}", style(line).bold())?;
        for row in &self.rows {
            let line = self.line(row.iter().map(String::as_str), &widths, width);
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| measure_text_width(cell)).max();
            widest
                .unwrap_or(0)
                .max(measure_text_width(self.headings[column].0))
        };
        (0..self.headings.len()).map(width).collect()
    }

    fn line<'a>(
        &self,
        cells: impl Iterator<Item = &'a str>,
        widths: &[usize],
        limit: Option<usize>,
    ) -> String {
        let padded = cells
            .zip(widths)
            .zip(&self.headings)
            .map(|((cell, &width), &(_, align))| pad_str(cell, width, align, None))
            .collect::<Vec<_>>()
            .join("  ");
        let line = padded.trim_end();
        match limit {
            Some(limit) => truncate_str(line, limit, "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

/// A bar of `width` columns, filled in proportion to `share` (0 to 1) in eighths of a column.
pub fn bar(share: f32, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    // NaN counts as 0.
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f32).round() as usize;
    let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    pad_str(&bar, width, Alignment::Left, None).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(table: &Table, width: Option<usize>) -> String {
        let mut out = Vec::new();
        console::set_colors_enabled(false);
        table.write(&mut out, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_align_by_display_width() {
        let mut table = Table::new(&["name", ">n", "text"]);
        table.row(["日本".into(), "7".into(), "x\ty".into()]);
        table.row(["ab".into(), "1234".into(), "z".into()]);
        let expected = "name     n  text\n日本     7  x y\nab    1234  z\n";
        assert_eq!(render(&table, None), expected);
    }

    #[test]
    fn lines_are_cut_to_the_terminal() {
        let mut table = Table::new(&["a", "text"]);
        table.row(["1".into(), "日本語日本語".into()]);
        assert_eq!(render(&table, Some(9)), "a  text\n1  日本…\n");
        assert_eq!(render(&table, Some(0)).lines().count(), 2);
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0.0, 3), "   ");
        assert_eq!(bar(1.0, 3), "███");
        assert_eq!(bar(0.5, 3), "█▌ ");
        assert_eq!(bar(f32::NAN, 2), "  ");
        assert_eq!(bar(7.0, 2), "██");
    }
}
