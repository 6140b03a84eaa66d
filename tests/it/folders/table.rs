//! What is expected of each file of rows of the shared data; the figures are those of the folders' READMEs.

/// Files of one folder that a short config reads.
pub(super) struct Set {
    pub(super) folder: &'static str,
    pub(super) train: &'static str,
    /// Of the training file: rows and those with the label 1.
    pub(super) rows: [u64; 2],
    /// Another file of the folder, its rows and those with the label 1.
    pub(super) test: Option<(&'static str, [u64; 2])>,
    pub(super) fields: u64,
    /// Keys of `[data]`, and tables after them.
    pub(super) config: &'static str,
}

/// Files of one folder that are refused.
pub(super) struct Refused {
    pub(super) folder: &'static str,
    pub(super) train: &'static str,
    /// Keys of `[data]`.
    pub(super) config: &'static str,
    /// What the message has to say: the place, what was found, and what to do.
    pub(super) message: &'static [&'static str],
}

const fn set(
    folder: &'static str,
    train: &'static str,
    rows: [u64; 2],
    test: Option<(&'static str, [u64; 2])>,
    fields: u64,
    config: &'static str,
) -> Set {
    Set { folder, train, rows, test, fields, config }
}

const fn refused(
    folder: &'static str,
    train: &'static str,
    config: &'static str,
    message: &'static [&'static str],
) -> Refused {
    Refused { folder, train, config, message }
}

const CLICK: &str = "format = \"csv\"\nlabel = \"click\"";
const LABEL: &str = "format = \"csv\"";
const CRITEO: &str = "format = \"criteo\"";
const CRITEO_ID: &str = "format = \"csv\"\nlabel = \"Label\"\ndrop = [\"Id\"]";
const AUTOML: &str = "format = \"automl\"";
const AVAZU: &str = "format = \"avazu\"";
const LIBSVM: &str = "format = \"libsvm\"";
const CREDIT: &str = "format = \"arff\"\nlabel = \"class\"\npositive = \"good\"";
const BANDIT: &str = "format = \"csv\"\nlabel = \"click\"\ndrop = [\"\", \"propensity_score\"]\n[features.fields.timestamp]\n\
    time = { format = \"iso\" }";
const FUXICTR: &str = "format = \"csv\"\nlabel = \"clk\"\n[features.fields]\ntime_stamp = { time = { format = \"iso\" } }\n\
    click_sequence = { separator = \"^\" }";

/// Every file of rows whose task is binary, or is made so by a key.
pub(super) const SETS: &[Set] = &[
    set(
        "adult-arff",
        "adult.arff.gz",
        [32_561, 7_841],
        None,
        14,
        "format = \"arff\"\nlabel = \"class\"\npositive = \">50K\"",
    ),
    // the test file has a title before its rows, and dots behind its labels
    set(
        "adult-uci",
        "adult.data.gz",
        [32_561, 7_841],
        Some(("adult.test.gz", [16_281, 3_846])),
        14,
        "format = \"csv\"\ncolumns = 15\nlabel = 14\npositive = [\">50K\", \">50K.\"]\nnegative = [\"<=50K\", \"<=50K.\"]\n\
         comment = \"|\"\nmissing = [\"?\"]",
    ),
    set(
        "alimama-aliccp-samples",
        "ali_ccp_train_sample.csv",
        [100, 7],
        Some(("ali_ccp_test_sample.csv", [50, 2])),
        31,
        "format = \"csv\"\nlabel = \"click\"\ndrop = [\"purchase\"]",
    ),
    set(
        "alimama-aliccp-samples",
        "paddlerec_alimama_sampled_train.txt.gz",
        [500, 210],
        None,
        266,
        "format = \"csv\"\ncolumns = 267\nlabel = 266",
    ),
    set("amazon-employee-access", "train.csv.gz", [32_769, 30_872], None, 9, "format = \"csv\"\nlabel = \"ACTION\""),
    set("automl-31_bac", "31_bac_train.data", [670, 201], Some(("31_bac_test.data", [330, 99])), 20, AUTOML),
    set("automl-31_bac", "31_bac_valid.data", [10, 5], None, 20, AUTOML),
    set("automl-401_bac", "401_bac_train.data", [702, 84], None, 1, "format = \"automl\"\nlabel = 0"),
    set("automl-abalone", "abalone_test.data", [1_253, 1], None, 8, "format = \"automl\"\nlabel = 0"),
    set("automl-adult-200", "adult_train.data", [200, 176], None, 24, "format = \"automl\"\nlabel = 0"),
    set(
        "automl-iris",
        "iris_train.data",
        [105, 30],
        Some(("iris_test.data", [30, 14])),
        4,
        "format = \"automl\"\nlabel = 0",
    ),
    set(
        "automl-madeline",
        "madeline_train.data.gz",
        [3_140, 1_579],
        Some(("madeline_test.data.gz", [3_240, 1_632])),
        259,
        AUTOML,
    ),
    // 21 categories, and three parts of the hour
    set("avazu-10k", "train.csv.gz", [8_999, 1_563], Some(("test_noheader.csv.gz", [1_000, 143])), 24, AVAZU),
    set("avazu-small", "deepctr_avazu_sample.txt", [100, 20], None, 24, AVAZU),
    set("avazu-small", "tr.rx.csv.gz", [2_994, 522], Some(("va.rx.csv.gz", [2_994, 522])), 24, AVAZU),
    set("avazu-small", "rechub_train_sample.csv", [70, 15], Some(("rechub_test_sample.csv", [20, 4])), 22, LABEL),
    set(
        "bank-marketing",
        "bank-full.csv.gz",
        [45_211, 5_289],
        None,
        15,
        "format = \"csv\"\nlabel = \"y\"\ndrop = [\"duration\"]\nmissing = [\"unknown\"]",
    ),
    set(
        "census-income-sample",
        "census-income.sample",
        [200, 12],
        None,
        41,
        "format = \"csv\"\ncolumns = 43\nlabel = 42\npositive = \"50000+.\"\ndrop = [\"c0\"]\nmissing = [\"?\"]",
    ),
    set("criteo-deepctr-200", "criteo_sample.txt", [200, 49], None, 39, LABEL),
    set(
        "criteo-deeplight-20k",
        "tiny_train_input.csv.gz",
        [10_000, 2_563],
        Some(("tiny_test_input.csv.gz", [10_000, 2_526])),
        39,
        "format = \"csv\"\ncolumns = 40\nlabel = 0",
    ),
    set("criteo-kaggle-10k", "train.txt.gz", [8_000, 1_728], Some(("test.txt.gz", [2_000, 454])), 39, CRITEO),
    set(
        "criteo-kaggle-indexed-20k",
        "part-10-c009.csv.gz",
        [10_000, 2_445],
        Some(("part-11-c010.csv.gz", [10_000, 2_410])),
        39,
        CRITEO_ID,
    ),
    // the test rows' labels are dummies
    set(
        "criteo-kaggle-tiny-csv",
        "train.tiny.csv.gz",
        [1_999, 418],
        Some(("test.tiny.csv.gz", [1_999, 0])),
        39,
        CRITEO_ID,
    ),
    // fields 16 and 17 several times a row, all with values
    set(
        "criteo-libffm-tiny",
        "small_train.txt",
        [200, 48],
        Some(("small_test.txt", [200, 46])),
        18,
        "format = \"libffm\"",
    ),
    set("criteo-terabyte-1k", "criteoTab.csv.gz", [1_000, 21], None, 39, CRITEO),
    set("criteo-variants", "airs_train.csv.gz", [1_599, 334], None, 39, CRITEO_ID),
    set("criteo-variants", "shawroad_criteo_sampled_data.csv.gz", [324, 70], None, 39, LABEL),
    set("criteo-variants", "rechub_criteo_sample.csv", [115, 26], None, 39, LABEL),
    set("criteo-variants", "snail110_filled_floats.txt.gz", [1_999, 418], None, 39, CRITEO),
    set("criteo-variants", "openembedding_train100.csv", [100, 23], None, 39, "format = \"csv\"\ndrop = [\"\"]"),
    set(
        "frappe-valid-test",
        "frappe.validation.libfm.gz",
        [57_722, 19_063],
        Some(("frappe.test.libfm.gz", [28_860, 9_536])),
        10,
        LIBSVM,
    ),
    // 16 categories, three parts of the time, and a list
    set("fuxictr-tiny-csv", "train_sample.csv", [100, 4], Some(("test_sample.csv", [100, 4])), 20, FUXICTR),
    set("ipinyou-deep-ctr", "train.fm.txt.gz", [26_773, 255], Some(("test.fm.txt.gz", [21_150, 50])), 16, LIBSVM),
    set(
        "ml-100k-atomic",
        "ml-100k.inter.gz",
        [100_000, 55_375],
        None,
        2,
        "format = \"tsv\"\nlabel = { column = \"rating:float\", at_least = 4 }\ndrop = [\"timestamp:float\"]",
    ),
    // the affinities and four features of the user, item and position, and three parts of the time
    set("obd-10k", "random_women.csv.gz", [10_000, 46], Some(("bts_women.csv.gz", [10_000, 46])), 55, BANDIT),
    set("obd-10k", "random_men.csv.gz", [10_000, 46], Some(("bts_men.csv.gz", [10_000, 69])), 43, BANDIT),
    set("openml-arff", "germancredit_train.arff", [700, 498], Some(("germancredit_test.arff", [300, 202])), 20, CREDIT),
    set(
        "openml-arff",
        "kc2_train.csv",
        [469, 96],
        Some(("kc2_test.csv", [53, 11])),
        21,
        "format = \"csv\"\nlabel = \"problems\"",
    ),
    set(
        "parquet",
        "adult.brotli.parquet",
        [48_842, 11_687],
        None,
        14,
        "format = \"parquet\"\nlabel = \"income\"\npositive = \">50K\"\nmissing = [\"?\"]",
    ),
    set(
        "parquet",
        "fuxictr_avazu_custom_train.parquet",
        [1_000, 174],
        Some(("fuxictr_avazu_custom_test.parquet", [1_000, 187])),
        24,
        "format = \"parquet\"\nlabel = \"click\"",
    ),
    set(
        "parquet",
        "fuxictr_tiny_train.parquet",
        [100, 4],
        Some(("fuxictr_tiny_test.parquet", [100, 4])),
        14,
        "format = \"parquet\"\nlabel = \"clk\"",
    ),
    set("parquet", "fuxictr_tiny_emb_train.parquet", [100, 3], None, 2, "format = \"parquet\"\ndrop = [\"feat3\"]"),
    set("phishing", "phishing.csv.gz", [1_250, 548], None, 9, "format = \"csv\"\nlabel = \"is_phishing\""),
    set(
        "porto-seguro-10k",
        "train.csv.gz",
        [10_000, 379],
        None,
        57,
        "format = \"csv\"\nlabel = \"target\"\ndrop = [\"id\"]\nmissing = [\"-1\", \"-1.0\"]",
    ),
    set(
        "sylvine-openml-train",
        "sylvine.csv.gz",
        [5_124, 2_562],
        None,
        20,
        "format = \"csv\"\ncolumns = 21\nlabel = 0",
    ),
    // five categories and three parts of the time
    set(
        "talkingdata-10k",
        "train_sample.csv.gz",
        [10_000, 31],
        None,
        8,
        "format = \"csv\"\nlabel = \"is_attributed\"\n[features.fields.click_time]\ntime = { format = \"iso\" }",
    ),
];

const CHOOSE: &str = "hint: `data.label = 0` takes the first";

/// Files whose task isn't binary, that have no labels, or that are of no format.
pub(super) const REFUSED: &[Refused] = &[
    refused(
        "automl-401_bac",
        "401_bac_train.data",
        AUTOML,
        &["401_bac_public.info:", "`binary.classification`, found `multiclass.classification`", CHOOSE],
    ),
    refused(
        "automl-abalone",
        "abalone_train.data",
        AUTOML,
        &["abalone_public.info:", "`binary.classification`, found `multiclass.classification`", CHOOSE],
    ),
    refused(
        "automl-adult-200",
        "adult_train.data",
        AUTOML,
        &["adult_public.info:", "`binary.classification`, found `multilabel.classification`", CHOOSE],
    ),
    refused(
        "automl-cadata-200",
        "cadata_train.data",
        AUTOML,
        &[
            "cadata_public.info:",
            "`binary.classification`, found `regression`",
            "hint: `data.label = { column = 0, at_least",
        ],
    ),
    refused(
        "automl-iris",
        "iris_train.data",
        AUTOML,
        &["iris_public.info:", "`binary.classification`, found `multiclass.classification`", CHOOSE],
    ),
    refused(
        "automl-madeline",
        "madeline_valid.data.gz",
        AUTOML,
        &["madeline_valid.data.gz: expected its labels in a solution beside it"],
    ),
    refused(
        "automl-newsgroups-valid-only",
        "newsgroups_valid.data.gz",
        AUTOML,
        &["newsgroups_valid.data.gz: expected its labels in a solution beside it"],
    ),
    refused(
        "automl-round2-infos",
        "christine_train.data",
        AUTOML,
        &["christine_train.data: expected a file, found nothing at this path"],
    ),
    refused(
        "criteo-variants",
        "airs_test.csv.gz",
        CRITEO_ID,
        &["airs_test.csv.gz: expected a column `Label`", "hint: "],
    ),
    refused(
        "criteo-variants",
        "paddlerec_slot_sample_train.txt",
        LIBSVM,
        &["paddlerec_slot_sample_train.txt: expected a label before each row's tokens, found none"],
    ),
    refused(
        "ipinyou-deep-ctr",
        "featindex.fm.txt.gz",
        LIBSVM,
        &["featindex.fm.txt.gz:1: expected `label index:1 …`", "found `weekday:other"],
    ),
    refused(
        "ml-100k-atomic",
        "ml-100k.user",
        "format = \"tsv\"",
        &["ml-100k.user: expected a column `label`", "hint: "],
    ),
    refused(
        "obd-10k",
        "random_women_item_context.csv",
        CLICK,
        &["random_women_item_context.csv: expected a column `click` (`data.label`)", "hint: "],
    ),
    refused(
        "openml-arff",
        "sklearn_id_61.arff.gz",
        "format = \"arff\"\nlabel = \"class\"",
        &["sklearn_id_61.arff.gz:", "expected 0 or 1, found `Iris-setosa`", "hint: `data.positive`"],
    ),
    refused(
        "parquet",
        "MovieLens100k_data.brotli.parquet",
        "format = \"parquet\"\nlabel = \"rating\"",
        &["MovieLens100k_data.brotli.parquet:1, field `rating`: expected 0 or 1", "at_least"],
    ),
    refused(
        "parquet",
        "fuxictr_tiny_emb_train.parquet",
        "format = \"parquet\"",
        &[
            "column `feat3`: expected values, or lists of categories, found a list of",
            "hint: `data.drop = [\"feat3\"]`",
        ],
    ),
    refused(
        "parquet",
        "taxi_simple.snappy.parquet",
        "format = \"parquet\"\nlabel = \"trip_duration\"",
        &["taxi_simple.snappy.parquet:1, field `trip_duration`: expected 0 or 1", "at_least"],
    ),
    refused(
        "parquet",
        "jd_flattenRequest_clean.parquet",
        "format = \"parquet\"",
        &["jd_flattenRequest_clean.parquet: expected a column `label` (`data.label`)", "hint: "],
    ),
];
