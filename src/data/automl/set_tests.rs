//! The sets of `shared/data`, which others made.

use std::sync::Arc;

use super::super::{DataConfig, DataError, Input, Wanted, input::Text, made::Source, schema, tests::shared_data};
use super::tests::{config, read_wanted};
use super::{Column, Companions, Description};
use crate::schema::{Field, Schema};

/// Rows, positive labels and fields.
type Found = (usize, Option<usize>, usize);

/// Reads a part as far as it has labels; nothing where the sets aren't there.
fn real(file: &str, lines: &str) -> Option<Result<Found, DataError>> {
    let Some(folder) = shared_data() else {
        println!("skipped: there is no folder shared/data");
        return None;
    };
    Some(read_part(&[Input::File(folder.join(file))], &config(lines)))
}

fn read_part(inputs: &[Input], config: &DataConfig) -> Result<Found, DataError> {
    let schema = match schema(config, inputs, &|_, kind| kind) {
        Err(DataError::NoLabel { .. }) => schema_without_label(config, &inputs[0])?,
        found => found?,
    };
    let (fields, label) = (schema.len(), Some(config.label.column.clone()));
    let rows = read_wanted(inputs, config, Wanted { schema, label, ..Wanted::default() })?;
    let labels: Option<Vec<usize>> = rows.iter().map(|row| row.0.map(usize::from)).collect();
    Ok((rows.len(), labels.map(|labels| labels.iter().sum()), fields))
}

/// The fields of a part without labels, as those of its set's training part would be.
fn schema_without_label(config: &DataConfig, input: &Input) -> Result<Schema, DataError> {
    let bytes_read = Arc::default();
    let source = Source { input, text: &|| Text::rows(input, &bytes_read), bytes_read: &bytes_read };
    let opened = super::open(&source, config)?;
    let field = |column: &Column| Field { name: column.name.clone(), kind: column.kind, column: None };
    Ok(Schema { fields: opened.columns().iter().map(field).collect() })
}

#[test]
fn the_sets_of_others_have_their_rows_and_labels() {
    let cases: [(&str, &str, usize, Option<usize>, usize); 22] = [
        ("automl-madeline/madeline_train.data.gz", "", 3140, Some(1579), 259),
        ("automl-madeline/madeline_valid.data.gz", "", 1080, None, 259),
        ("automl-madeline/madeline_test.data.gz", "", 3240, Some(1632), 259),
        ("automl-31_bac/31_bac_train.data", "", 670, Some(201), 20),
        ("automl-31_bac/31_bac_valid.data", "", 10, Some(5), 20),
        ("automl-31_bac/31_bac_test.data", "", 330, Some(99), 20),
        ("automl-adult-200/adult_train.data", "label = 0", 200, Some(176), 24),
        ("automl-adult-200/adult_valid.data", "", 50, None, 24),
        ("automl-adult-200/adult_test.data", "", 50, None, 24),
        ("automl-401_bac/401_bac_train.data", "label = 0", 702, Some(84), 1),
        ("automl-401_bac/401_bac_valid.data", "label = 0", 10, Some(0), 1),
        ("automl-401_bac/401_bac_test.data", "label = 0", 348, Some(42), 1),
        ("automl-abalone/abalone_train.data", "label = 8", 2924, Some(489), 8),
        ("automl-abalone/abalone_test.data", "label = 0", 1253, Some(1), 8),
        ("automl-iris/iris_train.data", "label = 0", 105, Some(30), 4),
        ("automl-iris/iris_valid.data", "label = 0", 15, Some(6), 4),
        ("automl-iris/iris_test.data", "label = 0", 30, Some(14), 4),
        ("automl-cadata-200/cadata_train.data", "label = { column = 0, at_least = 200_000 }", 200, Some(84), 16),
        ("automl-cadata-200/cadata_valid.data", "", 100, None, 16),
        ("automl-cadata-200/cadata_test.data", "", 50, None, 16),
        ("automl-abalone/abalone_valid.data", "label = 0", 10, Some(0), 8),
        ("automl-newsgroups-valid-only/newsgroups_valid.data.gz", "", 1877, None, 1),
    ];
    for (file, lines, rows, positive, fields) in cases {
        let Some(found) = real(file, lines) else { return };
        assert_eq!(found.unwrap_or_else(|error| panic!("{file}: {error}")), (rows, positive, fields), "{file}");
    }
}

#[test]
fn the_tasks_of_others_that_are_not_binary_are_refused_by_name() {
    let cases = [
        ("automl-401_bac/401_bac_train.data", "multiclass.classification", "`data.label = 0`"),
        ("automl-abalone/abalone_train.data", "multiclass.classification", "of the solution's 28 columns"),
        ("automl-iris/iris_train.data", "multiclass.classification", "of the solution's 3 columns"),
        ("automl-adult-200/adult_train.data", "multilabel.classification", "of the solution's 3 columns"),
        ("automl-cadata-200/cadata_train.data", "regression", "at_least"),
    ];
    for (file, task, todo) in cases {
        let Some(found) = real(file, "") else { return };
        let error = found.unwrap_err();
        let message = error.to_string();
        assert!(message.ends_with(&format!("expected the task `binary.classification`, found `{task}`")), "{message}");
        assert!(message.contains("_public.info:"), "{message}");
        assert!(error.hint().unwrap().contains(todo), "{file}");
    }
}

#[test]
fn the_infos_of_others_are_read() {
    let Some(folder) = shared_data() else {
        println!("skipped: there is no folder shared/data");
        return;
    };
    let cases = [("christine", 1636), ("jasmine", 144), ("madeline", 259), ("philippine", 308), ("sylvine", 20)];
    for (set, features) in cases {
        let info = folder.join(format!("automl-round2-infos/{set}_public.info"));
        let files = Companions { info: Some(info), ..Companions::default() };
        let description = Description::read(&files).unwrap();
        assert_eq!(description.count.unwrap().value, features, "{set}");
        assert_eq!(description.info.task.unwrap().value, "binary.classification", "{set}");
    }
}
