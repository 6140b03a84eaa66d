//! Avazu's logs (Kaggle 2014): CSV with the header `id,click,hour,C1,…`; the label is `click`, `hour` a time as YYMMDDHH.
//!
//! `id` numbers the rows and is no field. A file without the header has the challenge's 24 columns, or 23 without `click`.

use super::{
    DataConfig, DataError, Format, Place,
    delimited::{cells, split_csv},
    error::excerpt,
    layout::{FixedLabel, Head},
    records::Records,
};
use crate::schema::{FieldKind, TimeFormat};

const ID: &str = "id";
const CLICK: &str = "click";
const HOUR: &str = "hour";
const NAMES: [&str; 24] = [
    ID,
    CLICK,
    HOUR,
    "C1",
    "banner_pos",
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
    "device_type",
    "device_conn_type",
    "C14",
    "C15",
    "C16",
    "C17",
    "C18",
    "C19",
    "C20",
    "C21",
];

pub(super) const AVAZU: Format = Format {
    about: "Avazu's logs: CSV with a header, the label `click`, `hour` as YYMMDDHH, and `id`, which is no field",
    open: None,
    records: Records::Quoted { separator: b',' },
    fixed_names: None,
    head,
    sample: None,
    label: Some(FixedLabel { name: CLICK, without: "a column `click` with the label, found none" }),
    kind,
    split: split_csv,
};

fn kind(name: &str) -> FieldKind {
    if name == HOUR { FieldKind::Time(TimeFormat::YearToHour) } else { FieldKind::Categorical }
}

fn head(record: &[u8], place: &Place, config: &DataConfig) -> Result<Head, DataError> {
    let found = cells(record, config.separator);
    let is_header = found.iter().any(|name| name == HOUR);
    let names = match found.len() {
        _ if is_header => found,
        24 if starts_with_number(&found) => NAMES.map(String::from).to_vec(),
        23 if starts_with_number(&found) => {
            NAMES.iter().filter(|name| **name != CLICK).map(|name| (*name).into()).collect()
        }
        _ => {
            let expected = "Avazu's header `id,click,hour,C1,…`";
            let seems = ['\t', ';', '|', ','].into_iter().find(|separator| record.contains(&(*separator as u8)));
            return Err(DataError::Separator { place: place.clone(), expected, beginning: excerpt(record), seems });
        }
    };
    let numbering = names.iter().position(|name| name == ID);
    Ok(Head { names, kinds: None, is_header, hidden: 0, numbering })
}

fn starts_with_number(cells: &[String]) -> bool {
    let first = cells.first().map_or("", String::as_str);
    !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Input, Reader, RowBlock, Wanted, schema, split, tests::shared_data};
    use super::*;

    const HEADER: &str = "id,click,hour,C1,site_id";

    fn config(lines: &str) -> DataConfig {
        toml::from_str(&format!("format = \"avazu\"\ntrain = [\"-\"]\n{lines}\n")).unwrap()
    }

    struct Read {
        fields: Vec<String>,
        labels: Vec<u8>,
        /// Of the first row.
        cells: Vec<String>,
        hours: Vec<f64>,
        rows: usize,
    }

    fn read(input: Input, config: &DataConfig, label_required: bool) -> Result<Read, DataError> {
        let inputs = vec![input];
        let schema = if label_required {
            schema(config, &inputs, &|_, kind| kind)?
        } else {
            let field = |name: &&str| crate::schema::Field { name: (*name).into(), kind: kind(name), column: None };
            crate::schema::Schema { fields: NAMES[2..].iter().map(field).collect() }
        };
        let fields: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
        let hour = schema.position(HOUR);
        let label = Some(config.label.column.clone());
        let wanted = Wanted { schema, label, label_required, ..Wanted::default() };
        let mut reader = Reader::with_block_bytes(config, inputs, wanted, 1 << 12)?;
        let mut found = Read { fields, labels: vec![], cells: vec![], hours: vec![], rows: 0 };
        let mut block = RowBlock::default();
        while let Some(raw) = reader.next()? {
            split(raw, &mut block)?;
            if found.cells.is_empty() && block.rows() > 0 {
                let cell = |field| String::from_utf8_lossy(block.cell(0, field)).into_owned();
                found.cells = (0..found.fields.len()).map(cell).collect();
            }
            for row in 0..block.rows() {
                found.labels.extend(block.has_labels().then(|| block.label(row)));
                found.hours.extend(hour.map(|hour| block.number(row, hour)));
            }
            found.rows += block.rows();
        }
        Ok(found)
    }

    fn read_text(text: &str, lines: &str, label_required: bool) -> Result<Read, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, text).unwrap();
        read(Input::File(path), &config(lines), label_required)
    }

    #[test]
    fn the_id_is_no_field_and_the_hour_a_time() {
        let text = format!("{HEADER}\r\n10000169349117863715,0,14102113,1005,\"1f,be\"\r\n7,1,,1,x\r\n");
        let found = read_text(&text, "", true).unwrap();
        assert_eq!(found.fields, ["hour", "C1", "site_id"]);
        assert_eq!(found.cells, ["14102113", "1005", "1f,be"]);
        assert_eq!((found.labels, found.hours[0]), (vec![0, 1], 1_413_896_400.0));
        assert!(found.hours[1].is_nan());
        let grouped = read_text(&text, "group = 3\ndrop = [\"id\"]", true).unwrap();
        assert_eq!(grouped.fields, ["hour", "site_id"]);
        let text = text.replace("id,click,hour", "click,id,hour").replace("10000169349117863715,0", "0,100");
        assert_eq!(read_text(&text.replace("7,1,,", "1,7,,"), "", true).unwrap().fields, found.fields);
    }

    #[test]
    fn what_is_wrong_with_a_time_or_a_file_is_said() {
        let error = |text: &str| {
            let error = read_text(text, "", true).err().unwrap();
            let message = error.to_string();
            (message[message.find("rows.csv").unwrap()..].to_owned(), error.hint().unwrap())
        };
        let (message, _) = error(&format!("{HEADER}\n1,0,14102124,1,x\n"));
        assert_eq!(message, "rows.csv:2, field `hour`: expected a time as YYMMDDHH, found `14102124`");
        let (message, _) = error("id,hour,C1\n1,14102123,1\n");
        assert_eq!(message, "rows.csv: expected a column `click` with the label, found none");
        let (message, hint) = error("label,feat_1\n1,2\n");
        assert_eq!(message, "rows.csv:1: expected Avazu's header `id,click,hour,C1,…`, found `label,feat_1`");
        assert!(hint.contains("data.format = \"csv\""), "{hint}");
    }

    #[test]
    fn rows_to_be_scored_need_no_click() {
        let without =
            |cells: &[&str]| cells.iter().filter(|cell| **cell != CLICK).copied().collect::<Vec<_>>().join(",");
        let values: Vec<&str> = std::iter::once("17").chain(["14102113"; 22]).collect();
        let header = without(&NAMES);
        for text in [format!("{header}\n{}\n", values.join(",")), format!("{}\n", values.join(","))] {
            let found = read_text(&text, "", false).unwrap();
            assert_eq!((found.rows, found.labels.len(), found.cells.len()), (1, 0, 22));
        }
    }

    #[test]
    fn the_samples_of_others_have_their_rows_and_clicks() {
        let Some(folder) = shared_data() else {
            println!("skipped: there is no folder shared/data");
            return;
        };
        for (file, rows, clicks) in [
            ("avazu-10k/train.csv.gz", 8999, 1563),
            ("avazu-10k/test_noheader.csv.gz", 1000, 143),
            ("avazu-small/deepctr_avazu_sample.txt", 100, 20),
            ("avazu-small/tr.rx.csv.gz", 2994, 522),
            ("avazu-small/va.rx.csv.gz", 2994, 522),
        ] {
            let found = read(Input::File(folder.join(file)), &config(""), true).unwrap();
            let sum: usize = found.labels.iter().map(|label| usize::from(*label)).sum();
            assert_eq!((found.rows, sum), (rows, clicks), "{file}");
            assert_eq!(found.fields, NAMES[2..], "{file}");
            assert!(found.hours.iter().all(|hour| (1_413_849_600.0..1_414_800_000.0).contains(hour)), "{file}");
        }
        for part in ["train", "valid", "test"] {
            let path = folder.join(format!("avazu-small/rechub_{part}_sample.csv"));
            assert!(matches!(read(Input::File(path), &config(""), true), Err(DataError::Separator { .. })), "{part}");
        }
    }
}
