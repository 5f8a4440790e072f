//! A container's standard output and error: pipes that containerd has made, or files.

use std::io::Write;
use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// Where one of the two goes.
pub enum Output {
    Nowhere,
    Pipe(pipe::Sender),
    File(std::fs::File),
}

impl Output {
    /// # Errors
    /// It cannot be opened, or is of a kind that is not supported.
    pub fn open(address: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the container's output {address}: {error}");
        let path = match address.split_once("://") {
            None if address.is_empty() => return Ok(Self::Nowhere),
            None => address,
            Some(("fifo" | "file", path)) => path,
            Some((scheme, _)) => {
                return Err(format!(
                    "the container's output {address}: pipes and files are supported, {scheme}:// is not"
                ));
            }
        };
        let path = Path::new(path);
        let is_pipe =
            std::fs::metadata(path).is_ok_and(|about| std::os::unix::fs::FileTypeExt::is_fifo(&about.file_type()));
        if is_pipe {
            // Open for reading, too: that does not wait for a reader, who may come later or be exchanged.
            let pipe = pipe::OpenOptions::new().read_write(true).open_sender(path).map_err(failed)?;
            return Ok(Self::Pipe(pipe));
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        Ok(Self::File(file))
    }

    /// Writes bytes; waits for a reader that is slow.
    pub async fn write(&mut self, bytes: &[u8]) {
        let written = match self {
            Self::Nowhere => Ok(()),
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::File(file) => file.write_all(bytes),
        };
        if let Err(error) = written {
            crate::log(&format!("a container's output is closed: {error}"));
            *self = Self::Nowhere;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_pipe_is_written_before_it_is_read_and_ends_with_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut output = Output::open(&path.to_string_lossy()).unwrap();
        output.write(b"one\n").await;
        let mut reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        output.write(b"two\n").await;
        drop(output);
        let mut read = String::new();
        reader.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one\ntwo\n");
    }

    #[tokio::test]
    async fn a_file_is_appended_to_and_other_kinds_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        Output::open(&format!("file://{}", path.display())).unwrap().write(b"after\n").await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nafter\n");
        assert!(matches!(Output::open(""), Ok(Output::Nowhere)));
        let refused = Output::open("binary:///usr/bin/logger").err().unwrap();
        assert_eq!(
            refused,
            "the container's output binary:///usr/bin/logger: pipes and files are supported, binary:// is not"
        );
    }
}
