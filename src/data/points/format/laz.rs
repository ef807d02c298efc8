//! Compressed LAS points (LAZ), unpacked by the crate `laz` in a process of its own.
//!
//! On damaged files the crate (0.13) overflows the stack, asks for gigabytes or reads beyond what it holds (found by
//! fuzzing). So the program starts itself again for each file, with limits on memory and time, hands it the file on
//! standard input, and reads from its standard output no more than the points that the header promises. Whatever ends
//! that process is an error of the file alone.

use std::env;
use std::io::{self, Cursor, Read, Write};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use laz::{LasZipDecompressor, LazVlr};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::error::{Error, Result};
use crate::reading::most_unpacked;
use crate::visible::visible_word;

/// Bytes of the shortest header, and of that with a count of points in 64 bits.
pub(super) const HEADER: usize = 227;
pub(super) const HEADER_1_4: usize = 255;

/// What the program is called with to unpack a file; the most memory in bytes and the most seconds of a processor follow.
const UNPACK: &str = "unpack-laz";

/// Exit code of a process that writes what is wrong with the file instead of points.
const REFUSED: u8 = 2;

/// Bytes of such words that are read.
const LONGEST_WORDS: usize = 1 << 10;

/// Memory that the process may take beside file and points: libtorch, which it loads and does not use, takes most.
const MEMORY: u64 = 512 << 20;

/// Seconds of a processor that it may take, and bytes of points for which it gets one more.
const SECONDS: u64 = 30;
const BYTES_PER_SECOND: u64 = 1 << 20;

/// Bytes of a variable-length record before its content.
const RECORD: usize = 54;

/// What to do about a file that is not unpacked.
const HINT: &str = "unpack it: `pdal translate a.laz a.las`, or `laszip -i a.laz -o a.las`";

/// Whether this process can be started again to unpack a file: its `main` begins with [`unpack_where_asked`].
static IS_PROGRAM: AtomicBool = AtomicBool::new(false);

/// Unpacks a file from standard input to standard output where the program was started for that, and gives its exit code.
/// The first thing that a program does; where it does not, LAZ is refused.
pub(crate) fn unpack_where_asked() -> Option<ExitCode> {
    let arguments: Vec<_> = env::args().skip(1).take(4).collect();
    if let [word, memory, seconds] = &arguments[..]
        && word == UNPACK
        && let (Ok(memory), Ok(seconds)) = (memory.parse(), seconds.parse())
    {
        let code = answer(memory, seconds).unwrap_or(REFUSED + 1);
        return Some(ExitCode::from(code));
    }
    IS_PROGRAM.store(true, Ordering::Relaxed);
    None
}

/// What the started process does.
fn answer(memory: u64, seconds: u64) -> io::Result<u8> {
    for (resource, most) in [(Resource::Data, memory), (Resource::Cpu, seconds), (Resource::Core, 0)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    let mut file = Vec::new();
    io::stdin().read_to_end(&mut file)?;
    let (content, code) = match unpack(&file) {
        Ok(points) => (points, 0),
        Err(words) => (words.into_bytes(), REFUSED),
    };
    io::stdout().write_all(&content)?;
    Ok(code)
}

/// The points of a file, `count` of `size` bytes each; fewer where the file is cut.
///
/// # Errors
/// A file that is damaged, of another kind of compression, or that unpacks to more than its size allows; a process that
/// can't be started.
pub(super) fn unpacked(bytes: &[u8], size: usize, count: u64, place: &str) -> Result<Vec<u8>> {
    let most = most_unpacked(bytes.len() as u64);
    let all = count.saturating_mul(size as u64);
    if all > most {
        let expected = format!("points of at most {} MiB, as the file's size allows", most >> 20);
        return Err(Error::invalid(place, expected, format!("{count} points of {size} bytes")).with_hint(HINT));
    }
    if !IS_PROGRAM.load(Ordering::Relaxed) {
        let found = "a compressed one (LAZ), which the program `sgas` alone unpacks, in a process of its own";
        return Err(Error::invalid(place, "an uncompressed LAS file", found).with_hint(HINT));
    }
    let memory = MEMORY + 2 * bytes.len() as u64 + all;
    let ended = start(memory, SECONDS + all / BYTES_PER_SECOND).and_then(|child| exchange(child, bytes, all));
    let (mut points, status) = ended.map_err(|error| {
        Error::run(format!("{place}: the process that unpacks it can't be started: {error}")).with_hint(HINT)
    })?;
    let found = match status.code() {
        Some(0) if points.len() as u64 <= all => return Ok(points),
        Some(code) if code == i32::from(REFUSED) => {
            points.truncate(LONGEST_WORDS);
            visible_word(&String::from_utf8_lossy(&points))
        }
        _ => format!("one that is damaged or truncated (unpacking it ended by {status})"),
    };
    Err(Error::invalid(place, "a whole LAZ file", found).with_hint(HINT))
}

fn start(memory: u64, seconds: u64) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(UNPACK).args([memory, seconds].map(|limit| limit.to_string()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Hands the process a file; what it wrote, of which at most one byte more than `most` is read, and how it ended.
fn exchange(mut child: Child, file: &[u8], most: u64) -> io::Result<(Vec<u8>, ExitStatus)> {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut written = Vec::new();
    thread::scope(|scope| {
        // It reads no further where it refuses a file, and is not asked why.
        scope.spawn(move || input.map(|mut input| input.write_all(file)));
        let most = (most + 1).max(LONGEST_WORDS as u64);
        let read = output.map_or(Ok(0), |output| output.take(most).read_to_end(&mut written));
        if read.is_err() || written.len() as u64 == most {
            child.kill()?;
        }
        let status = child.wait()?;
        read.map(|_| status)
    })
    .map(|status| (written, status))
}

/// The points of a LAZ file as an uncompressed one has them, or what is wrong with it, in words.
fn unpack(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
    if bytes.len() < HEADER {
        return Err("no header".to_owned());
    }
    let (size, count) = header_size(bytes);
    let content = record(bytes).ok_or("no record of how it is compressed")?;
    let record = LazVlr::from_buffer(content).map_err(|error| error.to_string())?;
    let parts: usize = record.items().iter().map(|part| usize::from(part.size())).sum();
    if parts != size {
        return Err(format!("points of {size} bytes whose parts are others"));
    }
    let mut source = Cursor::new(bytes);
    source.set_position(points_start(bytes) as u64);
    let mut reader = LasZipDecompressor::new(source, record)
        .map_err(|error| format!("one that is damaged or truncated ({error})"))?;
    // The process that started this one has compared the size with that of the file.
    let mut points = vec![0; usize::try_from(count).map_or(usize::MAX, |count| count.saturating_mul(size))];
    // An error behind the start of the points is one of the end of the file.
    let done = points.chunks_exact_mut(size).map_while(|point| reader.decompress_one(point).ok()).count();
    points.truncate(done * size);
    Ok(points)
}

/// The content of the record that says how the points are compressed.
fn record(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(usize::from(u16_at(bytes, 94))..)?;
    for _ in 0..u32_at(bytes, 100) {
        let head = rest.get(..RECORD)?;
        let content = rest.get(RECORD..RECORD + usize::from(u16_at(head, 20)))?;
        if head[2..18].starts_with(LazVlr::USER_ID.as_bytes()) && u16_at(head, 18) == LazVlr::RECORD_ID {
            return Some(content);
        }
        rest = &rest[RECORD + content.len()..];
    }
    None
}

/// The bytes of a point and the number of points, as the header says.
pub(super) fn header_size(bytes: &[u8]) -> (usize, u64) {
    let is_wide = bytes[25] >= 4 && bytes.len() >= HEADER_1_4;
    let count = if is_wide { u64_at(bytes, 247) } else { u32_at(bytes, 107).into() };
    (u16_at(bytes, 105).into(), count)
}

/// Where the points begin, as the header says.
pub(super) fn points_start(bytes: &[u8]) -> usize {
    u32_at(bytes, 96) as usize
}

/// The bytes at a place that is known to be there.
pub(super) fn at<const SIZE: usize>(bytes: &[u8], start: usize) -> [u8; SIZE] {
    std::array::from_fn(|byte| bytes[start + byte])
}

pub(super) fn u16_at(bytes: &[u8], start: usize) -> u16 {
    u16::from_le_bytes(at(bytes, start))
}

pub(super) fn u32_at(bytes: &[u8], start: usize) -> u32 {
    u32::from_le_bytes(at(bytes, start))
}

fn u64_at(bytes: &[u8], start: usize) -> u64 {
    u64::from_le_bytes(at(bytes, start))
}

#[cfg(test)]
mod tests {
    use laz::{LasZipCompressor, LazItemRecordBuilder, LazVlrBuilder};

    use super::super::las;
    use super::*;

    /// A file of [`las::tests::las`] compressed in chunks of so many points; the header says `count`.
    fn compressed(kind: u8, chunk: Option<u32>, count: u64) -> Vec<u8> {
        let file = las::tests::las(kind, 4, 2);
        let (size, start) = (usize::from(u16_at(&file, 105)), points_start(&file));
        let extra = size - las::FORMATS[usize::from(kind)].0;
        let items = LazItemRecordBuilder::default_for_point_format_id(kind, extra as u16).unwrap();
        let builder = LazVlrBuilder::new(items);
        let vlr = match chunk {
            Some(points) => builder.with_fixed_chunk_size(points).build(),
            None => builder.with_variable_chunk_size().build(),
        };
        let mut content = Cursor::new(Vec::new());
        vlr.write_to(&mut content).unwrap();
        let content = content.into_inner();
        let mut head = vec![0; RECORD];
        head[2..2 + LazVlr::USER_ID.len()].copy_from_slice(LazVlr::USER_ID.as_bytes());
        head[18..20].copy_from_slice(&LazVlr::RECORD_ID.to_le_bytes());
        head[20..22].copy_from_slice(&(content.len() as u16).to_le_bytes());
        let mut whole = file[..usize::from(u16_at(&file, 94))].to_vec();
        whole.extend([head, content].concat());
        let body = (whole.len() as u32).to_le_bytes();
        whole[96..100].copy_from_slice(&body);
        whole[100..104].copy_from_slice(&1_u32.to_le_bytes());
        whole[104] |= 0x80;
        whole[247..255].copy_from_slice(&count.to_le_bytes());
        let mut writer = Cursor::new(whole);
        writer.set_position(u64::from(u32::from_le_bytes(body)));
        let mut compressor = LasZipCompressor::new(&mut writer, vlr).unwrap();
        for point in file[start..].chunks_exact(size) {
            compressor.compress_one(point).unwrap();
            if chunk.is_none() {
                compressor.finish_current_chunk().unwrap();
            }
        }
        compressor.done().unwrap();
        drop(compressor);
        writer.into_inner()
    }

    #[test]
    fn points_are_unpacked_from_one_chunk_and_from_several() {
        for kind in 0..11 {
            let file = las::tests::las(kind, 4, 2);
            for chunk in [Some(1), Some(2), Some(50_000), None] {
                let points = unpack(&compressed(kind, chunk, 2)).unwrap();
                assert_eq!(points, file[points_start(&file)..], "format {kind}, chunks of {chunk:?}");
            }
        }
    }

    #[test]
    fn what_lies_or_is_none_is_named_before_a_process_is_started() {
        let message = |bytes: &[u8]| las::parse(bytes, "a.laz").unwrap_err().to_string();
        let expected =
            "points of at most 16 MiB, as the file's size allows, found 18446744073709551615 points of 70 bytes";
        assert!(message(&compressed(7, Some(2), u64::MAX)).contains(expected));
        assert!(message(&compressed(7, Some(2), 2)).contains("which the program `sgas` alone unpacks"));
        let whole = compressed(7, Some(2), 2);
        let (mut none, mut other) = (whole.clone(), whole.clone());
        (none[100], other[105]) = (0, 71);
        assert_eq!(unpack(&none).unwrap_err(), "no record of how it is compressed");
        assert_eq!(unpack(&other).unwrap_err(), "points of 71 bytes whose parts are others");
        assert_eq!(unpack(&whole[..100]).unwrap_err(), "no header");
    }
}
