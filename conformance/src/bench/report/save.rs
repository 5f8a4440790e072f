//! As files.

use std::io;
use std::path::Path;

use super::Document;

impl Document {
    /// Writes `bench.md`, `bench.json` and `bench.svg` to a folder, which is made when it is missing.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let picture = "![Cost as a part of daprd's](bench.svg)\n\n";
        std::fs::write(folder.join("bench.md"), format!("{picture}{}", self.markdown()))?;
        std::fs::write(folder.join("bench.json"), format!("{:#}\n", self.json()))?;
        std::fs::write(folder.join("bench.svg"), self.plot())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::document;

    #[test]
    fn a_folder_has_all_three() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("report");
        document().save(&inner).unwrap();
        let length = |name: &str| std::fs::metadata(inner.join(name)).unwrap().len();
        assert!(["bench.md", "bench.json", "bench.svg"].into_iter().all(|name| length(name) > 100));
    }
}
