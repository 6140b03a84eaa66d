//! Whether the first line of a table names its columns, and whether a table is Criteo's without its label.

use std::collections::BTreeSet;

/// Criteo's columns behind the label.
const INTEGERS: usize = 13;
const CATEGORIES: usize = 26;

/// What a table's first line is taken for.
#[derive(Debug, PartialEq)]
pub(super) struct FirstLine {
    pub(super) is_header: bool,
    /// Where it could be the other as well: what it was taken for, and how to say otherwise.
    pub(super) note: Option<String>,
}

/// Decides by the cells of the first line and of those after it.
pub(super) fn first_line(first: &[String], others: &[Vec<String>]) -> FirstLine {
    let decided = |is_header, note| FirstLine { is_header, note };
    // the first name may be empty, as where an index was written beside a table
    let names = &first[usize::from(first.first().is_some_and(String::is_empty))..];
    let distinct: BTreeSet<&String> = names.iter().collect();
    if distinct.len() < names.len() || names.iter().any(String::is_empty) {
        return decided(false, None);
    }
    let numbers = names.iter().filter(|name| is_number(name)).count();
    let as_row = format!("if it is a row, `data.columns = {}` says so", first.len());
    if numbers == 0 {
        // names don't stand below themselves; a line that repeats the header as a whole is none of the columns' values
        let repeated = |(column, name): &(usize, &String)| {
            others.iter().any(|row| row.get(*column) == Some(*name) && row.as_slice() != first)
        };
        let is_row = 2 * first.iter().enumerate().filter(repeated).count() > first.len();
        let note = "the first line was taken for a row, since its cells stand in later rows too; if it names the columns, leave \
                    `data.columns` out";
        return decided(!is_row, is_row.then(|| note.to_owned()));
    }
    if numbers < names.len() {
        let is_header = first.iter().enumerate().any(|(column, name)| is_name_of_numbers(name, column, others));
        let note = format!(
            "the first line was taken for the header, though {numbers} of its {} names are numbers; {as_row}",
            names.len()
        );
        return decided(is_header, is_header.then_some(note));
    }
    if counts_up(names) {
        let note = format!("the first line counts up and was taken for the header; {as_row}");
        return decided(true, Some(note));
    }
    let note =
        "the first line holds numbers alone and was taken for a row; if it names the columns, leave `data.columns` out";
    decided(false, Some(note.to_owned()))
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// Whether all cells below are numbers, and this is neither one nor a word for a missing one.
fn is_name_of_numbers(name: &str, column: usize, others: &[Vec<String>]) -> bool {
    const MISSING: [&str; 7] = ["", "?", "-", "na", "n/a", "null", "none"];
    let cells = others.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
    let is_word = !is_number(name) && !MISSING.contains(&name.to_lowercase().as_str());
    let mut cells = cells.peekable();
    is_word && cells.peek().is_some() && cells.all(|cell| is_number(cell))
}

/// Whether these are 0, 1, 2 … or 1, 2, 3 …
fn counts_up(names: &[String]) -> bool {
    [0, 1].iter().any(|start| names.iter().zip(*start..).all(|(name, number)| *name == number.to_string()))
}

/// Whether these names are Criteo's I1 to I13 and C1 to C26, beside a number of the row at most.
pub(super) fn is_criteo_header(names: &[String]) -> bool {
    let numbered = |letter: char, most: usize| (1..=most).map(move |number| format!("{letter}{number}"));
    let known: Vec<String> = numbered('I', INTEGERS).chain(numbered('C', CATEGORIES)).collect();
    let is_number = |name: &String| name.is_empty() || name.eq_ignore_ascii_case("id");
    known.iter().all(|name| names.contains(name)) && names.iter().all(|name| known.contains(name) || is_number(name))
}

/// Whether these cells are a row of Criteo's logs without the label, which has as many columns as there are fields.
pub(super) fn is_criteo_row(cells: &[String]) -> bool {
    let is_hash = |cell: &&String| cell.len() == 8 && cell.bytes().all(|byte| byte.is_ascii_hexdigit());
    cells.len() == INTEGERS + CATEGORIES
        && cells[..INTEGERS].iter().all(|cell| cell.is_empty() || is_number(cell))
        && cells[INTEGERS..].iter().all(|cell| cell.is_empty() || is_hash(&cell))
        && 2 * cells[INTEGERS..].iter().filter(is_hash).count() > CATEGORIES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str) -> Vec<String> {
        line.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_first_line_is_a_header_where_it_differs_from_the_rows() {
        for (lines, is_header, note) in [
            (&["a,b", "1,x", "2,y"][..], true, None),
            (&[",a,b", "0,1,x", "1,2,y"], true, None),
            (
                &["click,101,102", "0,1,2", "1,3,4"],
                true,
                Some("2 of its 3 names are numbers; if it is a row, `data.columns = 3`"),
            ),
            (&["0,1,2", "5,3,1", "4,4,1"], true, Some("counts up and was taken for the header")),
            (&[",1,2,3", "0,3,1,3", "1,4,1,2"], true, Some("`data.columns = 4`")),
            (&["7,3,9", "5,3,1", "4,4,1"], false, Some("numbers alone and was taken for a row")),
            (&["1,1,9", "5,3,1", "4,4,1"], false, None),
            (&["1,u7,9.5,Bonn", "0,u3,1.5,Rom"], false, None),
            (&["7,?,Bonn", "5,3,Rom", "4,4,Bonn"], false, None),
            (&["yes,red", "no,red", "yes,blue"], false, Some("its cells stand in later rows too")),
            (&["y,colour", "no,red", "y,colour"], true, None),
        ] {
            let rows: Vec<Vec<String>> = lines.iter().map(|line| cells(line)).collect();
            let found = first_line(&rows[0], &rows[1..]);
            assert_eq!(found.is_header, is_header, "{lines:?}");
            let text = found.note.unwrap_or_default();
            assert!(note.map_or(text.is_empty(), |note| text.contains(note)), "{lines:?}: {text}");
        }
    }

    #[test]
    fn criteo_without_its_label_is_known_by_names_and_by_cells() {
        let names: Vec<String> =
            (1..=13).map(|number| format!("I{number}")).chain((1..=26).map(|number| format!("C{number}"))).collect();
        assert!(is_criteo_header(&names));
        assert!(is_criteo_header(&[vec!["Id".to_owned()], names.clone()].concat()));
        assert!(!is_criteo_header(&[vec!["Label".to_owned()], names].concat()));
        let mut row = vec![String::new(); 13];
        row.extend(vec!["05db9164".to_owned(); 26]);
        assert!(is_criteo_row(&row));
        row[0] = "x".into();
        assert!(!is_criteo_row(&row));
        assert!(!is_criteo_row(&row[1..]));
    }
}
