use super::terminal::clean;

/// Columns two spaces apart, as wide as what is in them.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&title| title.to_owned()).collect();
    let rows = rows
        .iter()
        .map(|row| row.iter().map(|cell| clean(cell, false).replace('\n', " ")).collect());
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row
        .iter()
        .zip(widths)
        .map(|(cell, wanted)| format!("{cell}{}", " ".repeat(wanted - width(cell) + 2)));
    format!("{}\n", cells.collect::<String>().trim_end())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "b".to_owned()],
            vec!["long\x1b[2J".to_owned(), String::new()],
        ];
        assert_eq!(super::table(&["X", "Y"], &rows), "X     Y\na     b\nlong\n");
    }
}
