//! NumPy's archives, plain or compressed: keys as whole numbers, numbers, text (`U`) or bytes (`S`).

use std::{
    fmt::Display,
    fs::File,
    io::{self, BufReader},
    ops::ControlFlow,
};

use zip::{ZipArchive, read::ZipFile};

use super::{
    Each, VectorSource,
    npy::{Array, Kind, float, key},
};
use crate::data::DataError;

type Archive = ZipArchive<BufReader<File>>;
type Entry<'a> = BufReader<ZipFile<'a, BufReader<File>>>;

pub(super) fn read(source: &VectorSource, each: &mut Each<'_>) -> Result<(), DataError> {
    let damaged = |error: &dyn Display| source.wrong("an npz archive that can be read", error);
    let mut archive = ZipArchive::new(BufReader::new(source.open()?)).map_err(|error| damaged(&error))?;
    let keys = keys(source, array(source, &mut archive, &source.key)?)?;
    let vectors = array(source, &mut archive, &source.vectors)?;
    let width = source.width(keys.len(), &vectors.shape)?;
    let fortran_order = vectors.fortran_order;
    let mut number = numbers(source, vectors)?;
    if fortran_order {
        let numbers: io::Result<Vec<f32>> = (0..keys.len() * width).map(|_| number()).collect();
        let numbers = numbers.map_err(|error| damaged(&error))?;
        let row = |row: usize| numbers[row..].iter().step_by(keys.len()).copied().collect::<Vec<f32>>();
        let mut rows = keys.iter().enumerate().map(|(position, key)| each(key, &row(position)));
        let _ = rows.find(ControlFlow::is_break);
        return Ok(());
    }
    let mut vector = vec![0.0; width];
    for key in &keys {
        for to in &mut vector {
            *to = number().map_err(|error| damaged(&error))?;
        }
        if each(key, &vector).is_break() {
            break;
        }
    }
    Ok(())
}

fn array<'a>(source: &VectorSource, archive: &'a mut Archive, name: &str) -> Result<Array<Entry<'a>>, DataError> {
    const ENDING: &str = ".npy";
    let file = format!("{name}{ENDING}");
    if archive.index_for_name(&file).is_none() {
        let files: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
        return Err(source.absent(name, files.iter().filter_map(|file| file.strip_suffix(ENDING))));
    }
    let wrong = |error: &dyn Display| source.wrong(format_args!("an array `{name}` that can be read"), error);
    let entry = archive.by_name(&file).map_err(|error| wrong(&error))?;
    Array::open(BufReader::new(entry)).map_err(|error| wrong(&error))
}

fn keys(source: &VectorSource, array: Array<Entry<'_>>) -> Result<Vec<Vec<u8>>, DataError> {
    let (descr, shape) = (array.descr.clone(), array.shape.clone());
    let [count] = shape[..] else {
        return Err(source.wrong(format_args!("`{}` of one dimension", source.key), format_args!("shape {shape:?}")));
    };
    let Some(mut element) = array.elements() else {
        let objects = if descr == "|O" { ", Python objects: save `key.astype(str)`" } else { "" };
        return Err(
            source.wrong("keys that are numbers, text or bytes", format_args!("keys of the type {descr}{objects}"))
        );
    };
    let mut bytes = Vec::new();
    let keys: io::Result<_> = (0..count).map(|_| element(&mut bytes).map(|kind| key(kind, &bytes))).collect();
    keys.map_err(|error| source.wrong("keys that can be read", error))
}

fn numbers<'a>(
    source: &VectorSource,
    array: Array<Entry<'a>>,
) -> Result<impl FnMut() -> io::Result<f32> + use<'a>, DataError> {
    let found = format!("numbers of the type {}", array.descr);
    let is_float = array.kind().is_some_and(|(kind, ..)| kind == Kind::Float);
    match array.elements().filter(|_| is_float) {
        Some(mut element) => {
            let mut bytes = Vec::new();
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            Ok(move || element(&mut bytes).map(|_| float(&bytes) as f32))
        }
        None => Err(source.wrong("vectors of floating-point numbers", found)),
    }
}
