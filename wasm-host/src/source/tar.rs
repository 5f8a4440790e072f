//! The one question that is asked of an archive: where its module is.

use bytes::Bytes;

const BLOCK: usize = 512;

/// The content of the first regular file whose name ends in `.wasm`.
pub(super) fn first_module(archive: &Bytes) -> Option<Bytes> {
    let mut at = 0usize;
    while let Some(header) = archive.get(at..at.checked_add(BLOCK)?) {
        // Two blocks of zeros end an archive.
        if header[0] == 0 {
            return None;
        }
        let size = octal(&header[124..136])?;
        let begin = at + BLOCK;
        let end = begin.checked_add(size)?;
        let name = header[..100].split(|byte| *byte == 0).next()?;
        if matches!(header[156], b'0' | 0) && name.ends_with(b".wasm") {
            return (end <= archive.len()).then(|| archive.slice(begin..end));
        }
        at = begin.checked_add(size.checked_next_multiple_of(BLOCK)?)?;
    }
    None
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    usize::from_str_radix(text, 8).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive of these files.
    pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, content) in files {
            let mut header = [0; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[156] = b'0';
            archive.extend_from_slice(&header);
            archive.extend_from_slice(content);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }

    #[test]
    fn the_first_module_is_found() {
        let files: &[(&str, &[u8])] = &[("a.txt", &[1; 600]), ("dir/b.wasm", b"module"), ("c.wasm", b"other")];
        assert_eq!(first_module(&archive(files).into()).unwrap(), "module");
        assert_eq!(first_module(&archive(&[("a.txt", b"text")]).into()), None);
    }

    #[test]
    fn broken_archives_hold_nothing() {
        let mut broken = archive(&[("a.wasm", b"module")]);
        broken[124..135].copy_from_slice(b"77777777777");
        assert_eq!(first_module(&broken.clone().into()), None);
        broken[124] = b'x';
        assert_eq!(first_module(&broken.into()), None);
        assert_eq!(first_module(&vec![1; 100].into()), None);
    }
}
