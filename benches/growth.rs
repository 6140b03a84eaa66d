//! How the time of a training step grows: with the vocabulary, the batch, the fields, the dim and the threads.
//!
//! `cargo bench --bench growth -- FOLDER [SECONDS]` writes `growth.csv` and a curve as SVG for each of them to the folder
//! (`target/growth`), every point measured for so many seconds (2) behind one pass over its batches.

#[expect(dead_code, reason = "the benches of Criteo alone take the rest")]
mod synthetic_batch;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use plotters::prelude::*;
use secn::{
    embedding::{Embedding, EmbeddingConfig},
    models::{ModelConfig, Parameters, Shape},
    ranges::Count,
    seed::Seed,
    training::{Trainer, TrainingConfig},
};

use synthetic_batch::{CRITEO, Ids};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: secn::allocator::Allocator = secn::allocator::Allocator;

/// Different batches that take turns, so that rows come from memory as in training.
const TURNS: u64 = 16;
const MODELS: [(&str, &str); 3] = [
    ("lr", "[lr]"),
    ("fm", "[fm]"),
    ("secn-paper", "[secn]\nhead = \"uniform\"\nlinear = false\npartner_dim = 0\nmlp = []"),
];

/// One measurement.
#[derive(Clone, Copy)]
struct Setting {
    ids: Ids,
    batch: usize,
    dim: usize,
    threads: usize,
}

const BASE: Setting = Setting { ids: CRITEO, batch: 4096, dim: 16, threads: 0 };

/// What one curve changes, and to what.
struct Axis {
    name: &'static str,
    values: &'static [u32],
    set: fn(u32) -> Setting,
}

const AXES: [Axis; 5] = [
    Axis {
        name: "vocabulary",
        values: &[100_000, 1_000_000, 10_000_000, 30_000_000],
        set: |rows| Setting { ids: Ids { field_rows: rows / 39, ..CRITEO }, ..BASE },
    },
    Axis {
        name: "batch",
        values: &[64, 128, 256, 1024, 4096, 16_384],
        set: |batch| Setting { batch: batch as usize, ..BASE },
    },
    Axis {
        name: "fields",
        values: &[10, 20, 39, 80, 160],
        set: |fields| Setting { ids: Ids { fields: fields as usize, ..CRITEO }, batch: 1024, ..BASE },
    },
    Axis { name: "dim", values: &[4, 8, 16, 32, 64], set: |dim| Setting { dim: dim as usize, ..BASE } },
    Axis { name: "threads", values: &[1, 2, 4, 8], set: |threads| Setting { threads: threads as usize, ..BASE } },
];

#[expect(clippy::print_stdout, reason = "what a bench prints is its result")]
fn main() {
    // cargo hands `--bench` over too
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let folder = arguments.first().map_or("target/growth", String::as_str);
    let seconds = arguments.get(1).map_or(2.0, |text| text.parse().expect("a number of seconds"));
    fs::create_dir_all(folder).expect("the folder can be made");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut csv = String::from("curve,model,value,microseconds_a_row,rows_a_second\n");
    for axis in AXES {
        let mut curves = Vec::new();
        let values: Vec<u32> =
            axis.values.iter().copied().filter(|value| axis.name != "threads" || *value as usize <= cores).collect();
        for (model, config) in MODELS {
            let mut points = Vec::new();
            for value in &values {
                let setting = (axis.set)(*value);
                let threads = if setting.threads == 0 { cores } else { setting.threads };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool can be made");
                let rate = pool.install(|| rows_a_second(config, setting, Duration::from_secs_f64(seconds)));
                println!("{:<10}  {model:<10}  {value:>10}  {rate:>12.0} rows/s", axis.name);
                writeln!(csv, "{},{model},{value},{:.4},{rate:.0}", axis.name, 1e6 / rate)
                    .expect("a string takes all text");
                points.push((f64::from(*value), 1e6 / rate));
            }
            curves.push((model, points));
        }
        let path = Path::new(folder).join(format!("{}.svg", axis.name));
        draw(&path, axis.name, &curves).expect("the curve can be drawn");
    }
    fs::write(Path::new(folder).join("growth.csv"), csv).expect("the table can be written");
}

fn rows_a_second(model: &str, setting: Setting, at_least: Duration) -> f64 {
    let config: ModelConfig = toml::from_str(model).expect("the config is whole");
    let device = burn::tensor::Device::flex().autodiff();
    let table = EmbeddingConfig { dim: Count::new(setting.dim).expect("above 0"), ..EmbeddingConfig::default() };
    let shape = Shape { fields: setting.ids.fields, dim: setting.dim };
    let embedding = Embedding::new(&table, config.needs(), &setting.ids.ranges(), Seed(1));
    let model = config.init(shape, &Parameters::new(Seed(1), &device));
    let training = TrainingConfig::default();
    let mut trainer = Trainer::new(model, embedding, &training, device);
    let batches: Vec<_> = (0..TURNS).map(|number| setting.ids.batch(number, setting.batch)).collect();
    let mut step = 0;
    let mut pass = |trainer: &mut Trainer| {
        for batch in &batches {
            step += 1;
            trainer.step(&training, batch, step, 1.0);
        }
    };
    pass(&mut trainer);
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < at_least {
        pass(&mut trainer);
        rows += batches.len() * setting.batch;
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Microseconds a row against the value, both axes logarithmic.
fn draw(path: &Path, name: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> Result<(), Box<dyn std::error::Error>> {
    const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];
    let points = || curves.iter().flat_map(|(_, points)| points.iter().copied());
    let (low_x, high_x) = points().fold((f64::MAX, 0_f64), |(low, high), (x, _)| (low.min(x), high.max(x)));
    let (low_y, high_y) = points().fold((f64::MAX, 0_f64), |(low, high), (_, y)| (low.min(y), high.max(y)));
    let root = SVGBackend::new(path, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((low_x * 0.9..high_x * 1.1).log_scale(), (low_y / 1.5..high_y * 1.5).log_scale())?;
    chart.configure_mesh().x_desc(name).y_desc("microseconds a row").light_line_style(TRANSPARENT).draw()?;
    for ((model, points), colour) in curves.iter().zip(COLOURS) {
        let line = LineSeries::new(points.clone(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(*model)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).draw()?;
    root.present()?;
    Ok(())
}
