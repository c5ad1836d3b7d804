//! A headless Chromium that opens files and hands back what they have become.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::required::skip;

pub struct Browser(PathBuf);

impl Browser {
    /// The browser of this machine; says so if there is none.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("CHROME").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let known = ["chromium", "chromium-browser", "google-chrome"];
        let installed =
            std::env::split_paths(&path).flat_map(|folder| known.map(|name| folder.join(name)));
        let found = named.into_iter().chain(installed).find(|p| p.is_file());
        if found.is_none() {
            skip(
                "browser",
                "there is no browser; install chromium or set CHROME",
            );
        }
        found.map(Self).filter(Self::works)
    }

    /// Whether it opens a file and runs its script: one in a sandbox of its own may do neither.
    fn works(&self) -> bool {
        static WORKS: OnceLock<bool> = OnceLock::new();
        *WORKS.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let page = folder.path().join("probe.html");
            let text = "<p id=p></p><script>p.textContent = 6 * 7</script>";
            std::fs::write(&page, text).unwrap();
            let works = self.dom(&page, "", &[]).contains(">42</p>");
            if !works {
                skip(
                    "browser",
                    &format!("{} does not open files here", self.0.display()),
                );
            }
            works
        })
    }

    /// The document after its scripts have run.
    pub fn dom(&self, page: &Path, hash: &str, flags: &[&str]) -> String {
        // One at a time: some of what is measured is time.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        let out = profile.path().join("dom.html");
        let mut child = Command::new(&self.0)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-extensions",
                "--no-first-run",
            ])
            .args(["--window-size=1200,900", "--dump-dom"])
            .arg(format!(
                "--user-data-dir={}",
                profile.path().join("profile").display()
            ))
            .args(flags)
            .arg(format!("file://{}{hash}", page.display()))
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > Duration::from_secs(120) {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the browser did not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::read_to_string(&out).unwrap()
    }

    /// What the driver of [`page_with`] returned, with errors and requests beside it.
    pub fn result(&self, page: &Path, hash: &str, flags: &[&str]) -> Value {
        let dom = self.dom(page, hash, flags);
        let text = dom
            .split("id=\"result\">")
            .nth(1)
            .and_then(|rest| rest.split("</pre>").next());
        let text = text.unwrap_or_else(|| panic!("no result in {} bytes", dom.len()));
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// The page with ears for errors at its beginning and the body of a function, the driver, at its
/// end.
pub fn page_with(folder: &Path, name: &str, page: &str, driver: &str) -> PathBuf {
    let ears = "<script>window.heard = [];\
        addEventListener('error', (e) => heard.push(String(e.message)));\
        addEventListener('unhandledrejection', (e) => heard.push(String(e.reason)));\
        addEventListener('securitypolicyviolation', (e) => heard.push('policy ' + e.blockedURI));\
        for (const k of ['error', 'warn']) console[k] = (...a) => heard.push(a.join(' '));</script>";
    let hand = format!(
        "<pre id=\"result\"></pre><script>(async () => {{ let back;\
         try {{ back = await (async () => {{ {driver} }})(); }} catch (e) {{ heard.push('driver: ' + e.stack); back = {{}}; }}\
         const requests = performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.startsWith('data:'));\
         const text = JSON.stringify({{ ...back, errors: heard, requests }});\
         document.getElementById('result').textContent = text; parent.postMessage(text, '*'); }})();</script></body>"
    );
    let page = page.replacen("<head>", &format!("<head>{ears}"), 1);
    let end = page.rfind("</body>").expect("a page has a body");
    let page = format!("{}{hand}{}", &page[..end], &page[end + "</body>".len()..]);
    let path = folder.join(name);
    std::fs::write(&path, page).unwrap();
    path
}

/// A page that shows another one in a frame of this width, and what its driver returned last.
pub fn framed(folder: &Path, inner: &str, width: usize) -> PathBuf {
    let outer = format!(
        "<pre id=result></pre><iframe src={inner} width={width} height=800 style='border:0'></iframe>\
         <script>onmessage = (e) => {{ document.getElementById('result').textContent = e.data; }}</script>"
    );
    let path = folder.join("outer.html");
    std::fs::write(&path, outer).unwrap();
    path
}
