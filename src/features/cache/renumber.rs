//! Numbers of values in a cache that is being written → ids, once these are known; in place, since new pages of a file cost more than
//! all else here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_ipc::root_as_message;

use super::CacheWriter;
use crate::features::error::{FeaturesError, damaged, io_error};
use crate::features::pipeline::Pipeline;

/// Which of a record batch's buffers has the ids: the first column's, behind the masks of its lists and of their items.
const IDS_BUFFER: usize = 2;

impl CacheWriter {
    /// Puts `ids[column][number]` where a column has a number. All ids are below `table_rows`. Tells `observe` of the rows and the
    /// bytes done, and of all bytes.
    ///
    /// # Errors
    /// When the file can't be read or written, or has numbers without an id.
    pub(in crate::features) fn renumber(
        &mut self,
        ids: &Arc<Vec<Vec<u32>>>,
        table_rows: usize,
        mut observe: impl FnMut(u64, u64, u64),
    ) -> Result<(), FeaturesError> {
        let end = self.write_pending()?;
        self.layout.table_rows = table_rows;
        let all = self.rows;
        let mut batches = self.batches.clone().into_iter();
        let worker = || {
            let (ids, path, mut numbers) = (Arc::clone(ids), self.path.clone(), Vec::new());
            move |batch| renumber_batch(&path, batch, &ids, &mut numbers)
        };
        let mut done = 0;
        let mut renumbered = Pipeline::start(move || Ok(batches.next()), rayon::current_num_threads(), worker);
        let outcome = renumbered.by_ref().try_for_each(|rows| {
            done += rows?;
            #[expect(clippy::cast_possible_truncation, reason = "no more than `end`")]
            let bytes = (u128::from(end) * u128::from(done) / u128::from(all)) as u64;
            observe(done, bytes, end);
            Ok(())
        });
        renumbered.end();
        outcome
    }
}

/// Renumbers the record batch that starts at `start`, and gives its rows; `numbers` is a buffer.
fn renumber_batch(path: &Path, start: u64, ids: &[Vec<u32>], numbers: &mut Vec<u32>) -> Result<u64, FeaturesError> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error(path))?;
    let (position, length) = ids_buffer(&mut file, start).map_err(io_error(path))?.ok_or_else(|| {
        damaged(path, format!("damaged: expected the record batch that was written at byte {start}, found none"))
    })?;
    numbers.resize(length / size_of::<u32>(), 0);
    file.seek(SeekFrom::Start(position)).map_err(io_error(path))?;
    file.read_exact(bytemuck::cast_slice_mut(numbers)).map_err(io_error(path))?;
    for row in numbers.chunks_exact_mut(ids.len()) {
        for (number, ids) in row.iter_mut().zip(ids) {
            let Some(id) = ids.get(*number as usize) else {
                return Err(damaged(path, "damaged: expected the numbers that were written, found others"));
            };
            *number = *id;
        }
    }
    file.seek(SeekFrom::Start(position)).map_err(io_error(path))?;
    file.write_all(bytemuck::cast_slice(numbers)).map_err(io_error(path))?;
    Ok((numbers.len() / ids.len()) as u64)
}

/// Where the ids of the record batch at `start` stand, and their length in bytes.
fn ids_buffer(file: &mut File, start: u64) -> io::Result<Option<(u64, usize)>> {
    // a mark that the message goes on, and the length of what says where everything is
    const PREFIX_BYTES: usize = 8;
    let mut prefix = [0; PREFIX_BYTES];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut prefix)?;
    let [.., first, second, third, fourth] = prefix;
    let length = u32::from_le_bytes([first, second, third, fourth]);
    let mut message = vec![0; length as usize];
    file.read_exact(&mut message)?;
    let Ok(message) = root_as_message(&message) else { return Ok(None) };
    let buffers = message.header_as_record_batch().and_then(|batch| batch.buffers());
    let ids = buffers.filter(|buffers| buffers.len() > IDS_BUFFER).map(|buffers| *buffers.get(IDS_BUFFER));
    let position = |ids: arrow_ipc::Buffer| {
        let offset = u64::try_from(ids.offset()).ok()?;
        Some((start + PREFIX_BYTES as u64 + u64::from(length) + offset, usize::try_from(ids.length()).ok()?))
    };
    Ok(ids.and_then(position))
}

#[cfg(test)]
mod tests {
    use super::super::{BATCH_ROWS, Cache, CacheLayout, tests::layout};
    use super::*;
    use crate::features::encode::Encoded;

    #[test]
    fn numbers_become_ids_in_every_batch_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        let rows = 2 * BATCH_ROWS + 7;
        let layout = CacheLayout { has_weights: true, has_groups: true, ..layout(2, 0) };
        let numbers: Vec<u32> = (0..u32::try_from(rows).unwrap()).flat_map(|row| [row % 5, row % 3]).collect();
        let encoded = Encoded {
            columns: 2,
            ids: numbers.clone(),
            labels: (0..rows).map(|row| u8::from(row % 7 == 0)).collect(),
            weights: (0..rows).map(|row| (row % 11) as f32).collect(),
            groups: (0..rows as u64).collect(),
            ..Encoded::default()
        };
        let mut writer = CacheWriter::create(&path, layout).unwrap();
        writer.push(&encoded, 0..rows).unwrap();
        let ids = Arc::new(vec![vec![4, 3, 2, 1, 0], vec![7, 5, 6]]);
        let mut observed = Vec::new();
        writer.renumber(&ids, 8, |rows, bytes, total| observed.push((rows, bytes, total))).unwrap();
        assert_eq!(writer.finish().unwrap(), rows as u64);
        let cache = Cache::open(&path).unwrap();
        assert_eq!((cache.rows(), cache.table_rows()), (rows, 8));
        for row in 0..rows {
            let [first, second] = [numbers[2 * row], numbers[2 * row + 1]];
            assert_eq!(cache.ids(row), [ids[0][first as usize], ids[1][second as usize]], "row {row}");
            let rest = (cache.label(row), cache.weight(row), cache.group(row));
            assert_eq!(rest, (encoded.labels[row], Some(encoded.weights[row]), Some(row as u64)), "row {row}");
        }
        let (done, bytes, total) = *observed.last().unwrap();
        assert_eq!((observed.len(), done), (3, rows as u64));
        assert!(bytes == total && total < cache.bytes(), "{bytes} of {total} bytes, {} in all", cache.bytes());
    }

    #[test]
    fn a_number_without_an_id_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.arrow");
        let mut writer = CacheWriter::create(&path, layout(1, 0)).unwrap();
        let encoded = Encoded { columns: 1, ids: vec![0, 3], labels: vec![0, 1], ..Encoded::default() };
        writer.push(&encoded, 0..2).unwrap();
        let error = writer.renumber(&Arc::new(vec![vec![5, 6, 7]]), 8, |_, _, _| {}).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}
