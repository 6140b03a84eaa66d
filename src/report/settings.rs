//! What the models of a comparison were trained with, and how that was chosen: the rows of its tables.

use super::numbers::{UNDEFINED, decimals};
use crate::metrics::{CompareRecord, ModelSettings, settings_line};

/// The columns of [`settings_rows`], for people.
pub(super) const SETTINGS_HEADER: [&str; 4] = ["model", "candidates tried", "validation logloss", "settings"];

/// The columns of [`candidate_rows`], for people.
pub(super) const CANDIDATES_HEADER: [&str; 4] = ["model", "validation logloss", "validation AUC", "settings"];

/// The cells of each model, in the record's order.
pub(super) fn settings_rows(record: &CompareRecord) -> Vec<Vec<String>> {
    record.settings.iter().map(chosen_cells).collect()
}

fn chosen_cells(settings: &ModelSettings) -> Vec<String> {
    let best = settings.best().and_then(|(best, _)| settings.candidates[best].validation.as_ref());
    let tried = settings.candidates.len();
    vec![
        settings.model.clone(),
        if tried == 0 { UNDEFINED.to_owned() } else { tried.to_string() },
        decimals(best.and_then(|metrics| metrics.logloss)),
        if settings.chosen.is_empty() { "as in the config".to_owned() } else { settings_line(&settings.chosen) },
    ]
}

/// The cells of every candidate, a model's after another's.
pub(super) fn candidate_rows(record: &CompareRecord) -> Vec<Vec<String>> {
    let of_model = |settings: &ModelSettings| {
        let cells = settings.candidates.iter().map(|candidate| {
            let metrics = candidate.validation.as_ref();
            vec![
                settings.model.clone(),
                decimals(metrics.and_then(|metrics| metrics.logloss)),
                decimals(metrics.and_then(|metrics| metrics.auc)),
                settings_line(&candidate.settings),
            ]
        });
        cells.collect::<Vec<_>>()
    };
    record.settings.iter().flat_map(of_model).collect()
}

/// What the columns mean.
pub(super) fn settings_notes(record: &CompareRecord) -> Vec<String> {
    let own =
        "Settings stand beside the common config; a model that nothing was tried for has those that it was given.";
    let searched = record.settings.iter().find(|settings| !settings.candidates.is_empty()).map(|settings| {
        format!(
            "Each candidate was trained with the first `compare.search_seeds` seeds; the best mean validation {} decided.",
            settings.metric
        )
    });
    std::iter::once(own.to_owned()).chain(searched).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metrics::{Candidate, KeyValues, MetricName, Metrics, RowCounts};

    /// `fm` as it is, and `secn` with the second of two candidates.
    pub(in crate::report) fn settings() -> Vec<ModelSettings> {
        let candidate = |batch_size: i64, logloss: f64| {
            let batch_size = ("training.batch_size".to_owned(), toml::Value::from(batch_size));
            let gate = ("model.secn.gate".to_owned(), toml::Value::from("a|b"));
            let metrics = Metrics { logloss: Some(logloss), auc: Some(0.75), ..Metrics::default() };
            Candidate { settings: KeyValues::from([batch_size, gate]), validation: Some(metrics) }
        };
        let candidates = vec![candidate(128, 0.5), candidate(64, 0.25)];
        let of = |model: &str, chosen: &KeyValues, candidates: &[Candidate]| ModelSettings {
            model: model.to_owned(),
            chosen: chosen.clone(),
            metric: MetricName::Logloss,
            candidates: candidates.to_owned(),
        };
        vec![of("fm", &KeyValues::new(), &[]), of("secn", &candidates[1].settings, &candidates)]
    }

    fn record() -> CompareRecord {
        CompareRecord { dataset: "a".into(), rows: RowCounts::default(), models: Vec::new(), settings: settings() }
    }

    #[test]
    fn a_model_has_its_settings_its_tries_and_their_best_value() {
        let rows = settings_rows(&record());
        assert_eq!(rows[0], ["fm", "–", "–", "as in the config"]);
        let chosen = "model.secn.gate = \"a|b\", training.batch_size = 64";
        assert_eq!(rows[1], ["secn", "2", "0.25000", chosen]);
    }

    #[test]
    fn every_candidate_has_its_metrics() {
        let rows = candidate_rows(&record());
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][..3], ["secn", "0.50000", "0.75000"]);
        assert!(rows[0][3].ends_with("training.batch_size = 128"), "{rows:?}");
    }

    #[test]
    fn a_note_names_the_metric_that_decided() {
        assert!(settings_notes(&record())[1].contains("validation logloss of"));
    }
}
