//! A log that grows while it is read.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use heavytail::Trajectory;
use heavytail::record::{Line, SCHEMA};

/// The file's first bytes, by which another run's log in its place is noticed: the header has a time.
const HEAD: usize = 512;

/// Reads what is new in a log, and keeps all of it.
pub struct Follower {
    path: PathBuf,
    /// Everything so far.
    pub run: Trajectory,
    /// Whole lines that this version cannot read.
    pub unreadable: usize,
    /// When the newest observation was written, as far as the file tells.
    pub observed: Option<SystemTime>,
    /// When anything was written; nothing while there is no file.
    pub written: Option<SystemTime>,
    /// Where the last whole line ends.
    end: u64,
    head: Vec<u8>,
    length: u64,
}

impl Follower {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            run: Trajectory::default(),
            unreadable: 0,
            observed: None,
            written: None,
            end: 0,
            head: Vec::new(),
            length: 0,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Read the lines that have been completed since the last time, and say whether anything is new. A line that is
    /// only half there waits for its rest; a file that is not there is waited for.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is a log of another format.
    pub fn poll(&mut self) -> Result<bool> {
        let place = || self.path.display().to_string();
        let mut file = match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(self.written.take().is_some()),
            opened => opened.with_context(place)?,
        };
        let metadata = file.metadata().with_context(place)?;
        ensure!(metadata.is_file(), "{}: not a regular file", place());
        let state = (metadata.len(), metadata.modified().ok());
        if state == (self.length, self.written) && self.written.is_some() {
            return Ok(false);
        }
        let before = (self.end, self.written.is_some());
        let mut fresh = false;
        if !self.continues(&mut file).with_context(place)? {
            *self = Self::new(std::mem::take(&mut self.path));
            fresh = true;
        }
        (self.length, self.written) = state;
        self.read(&mut file)?;
        Ok(fresh || before != (self.end, true))
    }

    /// Whether the file still begins with what was read: not cut back, not another one.
    fn continues(&self, file: &mut File) -> std::io::Result<bool> {
        let mut head = Vec::new();
        file.take(self.head.len() as u64).read_to_end(&mut head)?;
        Ok(head == self.head && file.metadata()?.len() >= self.end)
    }

    fn read(&mut self, file: &mut File) -> Result<()> {
        let place = || self.path.display().to_string();
        file.seek(SeekFrom::Start(self.end)).with_context(place)?;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes);
            let read = read.with_context(|| self.path.display().to_string())?;
            if !bytes.ends_with(b"\n") {
                return Ok(());
            }
            self.end += read as u64;
            let room = HEAD - self.head.len();
            // Only whole lines: a torn one may be cut off again.
            self.head.extend(bytes.iter().take(room));
            let Ok(line) = serde_json::from_slice::<Line>(&bytes) else {
                self.unreadable += 1;
                continue;
            };
            if let Line::Header(header) = &line {
                let format = header.schema;
                ensure!(
                    format == SCHEMA,
                    "{}: format {format} of the log, this version reads {SCHEMA}",
                    self.path.display()
                );
            }
            if let Line::Summary(_) = &line {
                self.observed = self.written;
            }
            self.run.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heavytail::record::{Event, Notice};
    use std::io::Write;

    fn line(text: &str) -> String {
        let notice = Line::Notice(Notice {
            run: "r".into(),
            epoch: None,
            event: Event::Message { text: text.into() },
        });
        serde_json::to_string(&notice).unwrap() + "\n"
    }

    fn texts(follower: &Follower) -> Vec<String> {
        let notices = follower.run.notices.iter();
        notices.map(|n| n.event.to_string()).collect()
    }

    #[test]
    fn a_growing_log_is_read_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut follower = Follower::new(path.clone());
        assert!(!follower.poll().unwrap() && follower.written.is_none());

        let mut file = File::create(&path).unwrap();
        let (one, two) = (line("one"), line("two – λ"));
        file.write_all(one.as_bytes()).unwrap();
        assert!(follower.poll().unwrap());
        assert!(!follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one"]);

        // Half a line, cut inside of a character.
        let half = two.find('λ').unwrap() + 1;
        file.write_all(&two.as_bytes()[..half]).unwrap();
        assert!(!follower.poll().unwrap());
        assert_eq!(follower.end, one.len() as u64);
        file.write_all(&two.as_bytes()[half..]).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one", "two – λ"]);

        // A line of a later version, then one that is known.
        file.write_all(b"{\"kind\":\"not known yet\"}\n").unwrap();
        file.write_all(line("three").as_bytes()).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower).len(), 3);
        assert_eq!(follower.unreadable, 1);
    }

    #[test]
    fn a_torn_line_may_be_cut_off_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut follower = Follower::new(path.clone());
        let one = line("one");
        std::fs::write(&path, format!("{one}{{\"torn")).unwrap();
        follower.poll().unwrap();
        // The run is resumed: the sink removes what was torn and goes on.
        std::fs::write(&path, one.clone() + &line("two")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one", "two"]);
        assert_eq!(follower.unreadable, 0);
    }

    #[test]
    fn another_run_in_its_place_is_a_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut follower = Follower::new(path.clone());
        std::fs::write(&path, line("one") + &line("two")).unwrap();
        follower.poll().unwrap();
        // Shorter,
        std::fs::write(&path, line("new")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["new"]);
        // longer,
        std::fs::write(&path, line("newer") + &line("a") + &line("b")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["newer", "a", "b"]);
        // or gone for a while.
        std::fs::remove_file(&path).unwrap();
        assert!(follower.poll().unwrap() && !follower.poll().unwrap());
        assert_eq!(texts(&follower).len(), 3);
        std::fs::write(&path, line("newest")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["newest"]);
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut header = heavytail::record::Header::new("r", &heavytail::Config::live());
        header.schema = SCHEMA + 1;
        let header = serde_json::to_string(&Line::Header(header)).unwrap();
        std::fs::write(&path, header + "\n").unwrap();
        let error = Follower::new(path).poll().unwrap_err().to_string();
        assert!(error.contains("format"), "{error}");
    }
}
