//! A sweep that is killed at any moment and run again ends with the table of one that never was.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn sweep(arguments: &[&str]) -> Command {
    // target/<profile>/deps/<this test> → target/<profile>/examples/sweep
    let test = std::env::current_exe().unwrap();
    let profile: PathBuf = test.parent().and_then(Path::parent).unwrap().into();
    let mut command = Command::new(
        profile
            .join("examples")
            .join(format!("sweep{}", std::env::consts::EXE_SUFFIX)),
    );
    command
        .args(arguments)
        .env_remove("SLURM_ARRAY_TASK_ID")
        .env_remove("JOB_COMPLETION_INDEX")
        .env("RAYON_NUM_THREADS", "1");
    command
}

fn output(command: &mut Command) -> Output {
    command
        .output()
        .expect("run the whole of `cargo test`, which builds the examples")
}

fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn plan(&self, lines: &[&[&str]]) -> String {
        let path = self.path("plan.jsonl");
        let texts: String = lines
            .iter()
            .map(|arguments| succeed(sweep(&["plan"]).args(*arguments)))
            .collect();
        std::fs::write(&path, texts).unwrap();
        path
    }

    fn table(&self, plan: &str, out: &str) -> Vec<u8> {
        let results = format!("{out}.jsonl");
        succeed(&mut sweep(&[
            "merge",
            "--plan",
            plan,
            "--out",
            out,
            "--results",
            &results,
        ]));
        std::fs::read(results).unwrap()
    }
}

#[test]
fn a_killed_sweep_goes_on_to_the_same_bytes() {
    let place = Place::new();
    let plan = place.plan(&[&[
        "--batch-sizes",
        "8,16",
        "--epochs",
        "5",
        "--train-items",
        "48",
        "--test-items",
        "16",
    ]]);
    let (whole, killed) = (place.path("whole"), place.path("killed"));
    let start = Instant::now();
    succeed(&mut sweep(&[
        "run", "--all", "--plan", &plan, "--out", &whole,
    ]));
    let time = start.elapsed();
    // Killed after ever longer times, so that every stage is hit, then left to finish.
    let mut resumed = false;
    for share in [0.15, 0.3, 0.2, 0.4, 0.25] {
        let log = place.path("log");
        let mut child = sweep(&["run", "--all", "--plan", &plan, "--out", &killed])
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(time.mul_f64(share).max(Duration::from_millis(50)));
        child.kill().unwrap();
        child.wait().unwrap();
        resumed |= std::fs::read_to_string(&log)
            .unwrap()
            .contains("continuing after epoch");
    }
    let text = succeed(&mut sweep(&[
        "run", "--all", "--plan", &plan, "--out", &killed,
    ]));
    resumed |= text.contains("continuing after epoch");
    assert!(
        resumed,
        "no run was continued: the test does not test what it should"
    );
    assert_eq!(place.table(&plan, &whole), place.table(&plan, &killed));
    // Figures come from the table alone.
    let figures = place.path("figures");
    std::fs::create_dir(&figures).unwrap();
    std::fs::copy(format!("{whole}.jsonl"), format!("{figures}/results.jsonl")).unwrap();
    let text = succeed(&mut sweep(&["plot", &figures]));
    for name in [
        "phases.svg",
        "esd.svg",
        "ranks.svg",
        "accuracy.svg",
        "epochs.svg",
        "table.md",
    ] {
        assert!(
            text.contains(name) && Path::new(&figures).join(name).exists(),
            "{text}"
        );
    }
}

#[test]
fn workers_share_a_plan_and_the_scheduler_tells_the_index() {
    let place = Place::new();
    let plan = place.plan(&[&[
        "--batch-sizes",
        "8,16,32",
        "--epochs",
        "1",
        "--train-items",
        "32",
        "--test-items",
        "8",
    ]]);
    let out = place.path("out");
    let run = ["run", "--plan", &plan, "--out", &out];
    // Two workers on everything, and one that the scheduler gives the last index.
    let mut workers: Vec<_> = (0..2)
        .map(|_| sweep(&[&run[..], &["--all"]].concat()))
        .collect();
    workers.push(sweep(&run));
    workers[2].env("JOB_COMPLETION_INDEX", "2");
    let children: Vec<_> = workers.iter_mut().map(|w| w.spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let serial = place.path("serial");
    succeed(&mut sweep(&[
        "run", "--all", "--plan", &plan, "--out", &serial,
    ]));
    assert_eq!(place.table(&plan, &out), place.table(&plan, &serial));

    let error = |command: &mut Command| {
        let output = output(command);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = error(&mut sweep(&run));
    assert!(text.contains("SLURM_ARRAY_TASK_ID"), "{text}");
    let text = error(&mut sweep(&[&run[..], &["--index", "3"]].concat()));
    assert!(text.contains("the plan has 3 runs"), "{text}");
}

#[test]
fn merge_names_what_is_missing_and_what_failed() {
    let place = Place::new();
    let plan = place.path("plan.jsonl");
    let lines = "{\"batch_size\":0}\n{\"data\":\"cifar10\"}\n{\"epochs\":1}\n";
    std::fs::write(&plan, lines).unwrap();
    let out = place.path("out");
    for index in ["0", "1"] {
        let mut run = sweep(&["run", "--plan", &plan, "--out", &out, "--index", index]);
        assert!(!output(&mut run).status.success());
    }
    let results = place.path("results.jsonl");
    let merge = [
        "merge",
        "--plan",
        &plan,
        "--out",
        &out,
        "--results",
        &results,
    ];
    let output = output(&mut sweep(&merge));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for words in [
        "the batch size must be at least 1",
        "give the folder of CIFAR-10",
        "is missing",
        "3 runs are not done",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    succeed(&mut sweep(&[&merge[..], &["--partial"]].concat()));
    std::fs::write(&plan, "{\"batchsize\":3}\n").unwrap();
    let text = String::from_utf8(self::output(&mut sweep(&merge)).stderr).unwrap();
    assert!(
        text.contains("line 1") && text.contains("batchsize"),
        "{text}"
    );
}
