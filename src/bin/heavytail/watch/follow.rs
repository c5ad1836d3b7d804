//! Reads the log of a run while it grows.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use heavytail::Trajectory;
use heavytail::run::{LogReader, RunDir, RunState};

/// Reads the new lines of a log and keeps all records.
pub struct Follower {
    dir: RunDir,
    reader: LogReader,
    /// Everything that was read so far.
    pub run: Trajectory,
    /// The state of the run at the last [`poll`](Follower::poll).
    pub state: RunState,
}

impl Follower {
    pub fn new(folder: PathBuf) -> Self {
        let dir = RunDir::new(folder);
        Self {
            reader: LogReader::new(dir.log()),
            dir,
            run: Trajectory::default(),
            state: RunState::Empty,
        }
    }

    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Whether there is no log.
    pub fn is_missing(&self) -> bool {
        self.state == RunState::Empty
    }

    /// The time at which the newest observation was written. A log of format 2 does not store it,
    /// so the time of the file's last change is used. `None` without any observation.
    pub fn observed(&self) -> Option<SystemTime> {
        let time = self.run.summaries().last()?.unix_time;
        match time {
            Some(seconds) => Some(UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0))),
            None => self.reader.changed(),
        }
    }

    /// The time of the log's last change.
    pub fn written(&self) -> Option<SystemTime> {
        self.reader.changed()
    }

    /// Reads the lines that were completed since the last call. Returns whether anything is new. An
    /// incomplete last line is read once it is complete. A missing file is no error.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or is a log of another format.
    pub fn poll(&mut self) -> Result<bool> {
        let mut entries = Vec::new();
        let progress = self.reader.read_new_lines(|entry| entries.push(entry))?;
        if progress.restarted {
            self.run = Trajectory::default();
        }
        for entry in entries {
            self.run.push_entry(entry);
        }
        let state = match progress.missing {
            true => RunState::Empty,
            false => self.dir.state_of(&self.run),
        };
        let changed = std::mem::replace(&mut self.state, state) != state;
        Ok(progress.grown || progress.restarted || changed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use heavytail::record::{Event, Line, Notice, SCHEMA};

    fn line(text: &str) -> String {
        let notice = Line::Notice(Notice::new("r", None, Event::Message { text: text.into() }));
        serde_json::to_string(&notice).unwrap() + "\n"
    }

    fn texts(follower: &Follower) -> Vec<String> {
        let notices = follower.run.notices().iter();
        notices.map(|n| n.event.to_string()).collect()
    }

    fn follow(dir: &tempfile::TempDir) -> (PathBuf, Follower) {
        let follower = Follower::new(dir.path().to_owned());
        (dir.path().join("log.jsonl"), follower)
    }

    #[test]
    fn a_growing_log_is_read_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut follower) = follow(&dir);
        assert!(!follower.poll().unwrap() && follower.is_missing());

        let mut file = File::create(&path).unwrap();
        let (one, two) = (line("one"), line("two – λ"));
        file.write_all(one.as_bytes()).unwrap();
        assert!(follower.poll().unwrap());
        assert!(!follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one"]);
        // No process holds the lock, and the log has no end line.
        assert_eq!(follower.state, RunState::Died);

        // The first part of a line, cut inside a character.
        let half = two.find('λ').unwrap() + 1;
        file.write_all(&two.as_bytes()[..half]).unwrap();
        assert!(!follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one"]);
        file.write_all(&two.as_bytes()[half..]).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one", "two – λ"]);

        // A line of a later version, followed by a known line.
        file.write_all(b"{\"kind\":\"not known yet\"}\n").unwrap();
        file.write_all(line("three").as_bytes()).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower).len(), 4);
        let damaged = &follower.run.notices()[2].event;
        assert_eq!(*damaged, Event::DamagedLine { number: 3 });
    }

    #[test]
    fn a_torn_line_may_be_cut_off_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut follower) = follow(&dir);
        let one = line("one");
        std::fs::write(&path, format!("{one}{{\"torn")).unwrap();
        follower.poll().unwrap();
        // The run is resumed. The sink removes the incomplete line and continues.
        std::fs::write(&path, one.clone() + &line("two")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["one", "two"]);
    }

    #[test]
    fn another_run_in_its_place_is_a_new_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut follower) = follow(&dir);
        std::fs::write(&path, line("one") + &line("two")).unwrap();
        follower.poll().unwrap();
        // A shorter log.
        std::fs::write(&path, line("new")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["new"]);
        // A longer log.
        std::fs::write(&path, line("newer") + &line("a") + &line("b")).unwrap();
        assert!(follower.poll().unwrap());
        assert_eq!(texts(&follower), ["newer", "a", "b"]);
        // A log that is missing for a while.
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
        let (path, mut follower) = follow(&dir);
        let mut header = heavytail::record::Header::new("r", &heavytail::Config::live());
        header.schema = SCHEMA + 1;
        let header = serde_json::to_string(&Line::Header(header)).unwrap();
        std::fs::write(&path, header + "\n").unwrap();
        let error = follower.poll().unwrap_err().to_string();
        assert!(error.contains("format"), "{error}");
    }
}
