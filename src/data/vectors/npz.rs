//! NumPy's archives, plain or compressed: keys as whole numbers, numbers, text (`U`) or bytes (`S`).

use std::{
    fs::File,
    io::{self, BufReader, Read},
    ops::ControlFlow,
};

use half::f16;
use npyz::{NpyFile, Order, npz};
use zip::{ZipArchive, read::ZipFile};

use super::{Each, VectorSource, text};
use crate::data::DataError;

type Archive = ZipArchive<BufReader<File>>;
type Array<'a> = NpyFile<ZipFile<'a, BufReader<File>>>;

pub(super) fn read(source: &VectorSource, each: &mut Each<'_>) -> Result<(), DataError> {
    let damaged = |error: &dyn std::fmt::Display| source.wrong("an npz archive that can be read", error);
    let mut archive = ZipArchive::new(BufReader::new(source.open()?)).map_err(|error| damaged(&error))?;
    let keys = keys(source, array(source, &mut archive, &source.key)?)?;
    let vectors = array(source, &mut archive, &source.vectors)?;
    let width = source.width(keys.len(), vectors.shape())?;
    let order = vectors.order();
    let mut numbers = numbers(source, vectors)?;
    if order == Order::Fortran {
        let numbers: Vec<f32> = numbers.collect::<io::Result<_>>().map_err(|error| damaged(&error))?;
        let mut vector = vec![0.0; width];
        for (row, key) in keys.iter().enumerate() {
            vector.iter_mut().zip(numbers[row..].iter().step_by(keys.len())).for_each(|(to, from)| *to = *from);
            if each(key, &vector) == ControlFlow::Break(()) {
                break;
            }
        }
        return Ok(());
    }
    let mut vector = Vec::new();
    for key in &keys {
        vector.clear();
        for number in numbers.by_ref().take(width) {
            vector.push(number.map_err(|error| damaged(&error))?);
        }
        if each(key, &vector) == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(())
}

fn array<'a>(source: &VectorSource, archive: &'a mut Archive, name: &str) -> Result<Array<'a>, DataError> {
    let file = npz::file_name_from_array_name(name);
    if archive.index_for_name(&file).is_none() {
        let files: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
        return Err(source.absent(name, files.iter().filter_map(|file| npz::array_name_from_file_name(file))));
    }
    let wrong = |error: &dyn std::fmt::Display| source.wrong(format_args!("an array `{name}` that can be read"), error);
    let entry = archive.by_name(&file).map_err(|error| wrong(&error))?;
    NpyFile::new(entry).map_err(|error| wrong(&error))
}

fn keys<R: Read>(source: &VectorSource, array: NpyFile<R>) -> Result<Vec<Vec<u8>>, DataError> {
    let damaged = |error: io::Error| source.wrong("keys that can be read", error);
    let shape = array.shape().to_vec();
    if shape.len() != 1 {
        return Err(source.wrong(format_args!("`{}` of one dimension", source.key), format_args!("shape {shape:?}")));
    }
    let mut array = array;
    /// Reads the array where it is of one of these types.
    macro_rules! try_types {
        ($($type:ty => $text:expr),*) => {
            $(
                array = match array.try_data::<$type>() {
                    Ok(keys) => return keys.map(|key| key.map(|key: $type| $text(&key))).collect::<io::Result<_>>().map_err(damaged),
                    Err(array) => array,
                };
            )*
        };
    }
    try_types!(
        i64 => text, i32 => text, i16 => text, i8 => text, u64 => text, u32 => text, u16 => text, u8 => text,
        f64 => text, f32 => text, String => text, Vec<u8> => Clone::clone
    );
    let found = format!("keys of the type {}{}", array.dtype().descr(), pickled(&array));
    Err(source.wrong("keys that are numbers, text or bytes", found))
}

/// What an array of Python objects needs.
fn pickled<R: Read>(array: &NpyFile<R>) -> &'static str {
    if array.uses_pickled_array() { ", Python objects: save `key.astype(str)`" } else { "" }
}

type Numbers<'a> = Box<dyn Iterator<Item = io::Result<f32>> + 'a>;

fn numbers<'a, R: Read + 'a>(source: &VectorSource, array: NpyFile<R>) -> Result<Numbers<'a>, DataError> {
    let array = match array.try_data::<f32>() {
        Ok(numbers) => return Ok(Box::new(numbers)),
        Err(array) => array,
    };
    let array = match array.try_data::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        Ok(numbers) => return Ok(Box::new(numbers.map(|number| number.map(|number| number as f32)))),
        Err(array) => array,
    };
    match array.try_data::<f16>() {
        Ok(numbers) => Ok(Box::new(numbers.map(|number| number.map(f16::to_f32)))),
        Err(array) => {
            let found = format!("numbers of the type {}", array.dtype().descr());
            Err(source.wrong("vectors of floating-point numbers", found))
        }
    }
}
