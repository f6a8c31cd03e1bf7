//! A headless Chromium, driven over a pipe by its debugging protocol: it opens a file, answers questions about it, and tells what went
//! wrong. Ends with its owner.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long any answer may take: a machine that is busy starts a browser slowly.
const LIMIT: Duration = Duration::from_secs(60);
/// What the program is called, the usual name first.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// A browser with one tab.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What was told without being asked for, since the last look.
    told: Vec<Value>,
    // Its profile is removed with it.
    _profile: tempfile::TempDir,
}

/// Where the browser is, or what to do about it.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("DBDYNO_CHROMIUM") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/Applications/Google Chrome.app/Contents/MacOS".into());
    folders.push("/Applications/Chromium.app/Contents/MacOS".into());
    let names = NAMES.iter().chain(&["Google Chrome", "Chromium"]);
    let found = names
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "the page is tested in Chromium, and there is none on the PATH (looked for {}): run scripts/setup.sh tests, or name one in \
             DBDYNO_CHROMIUM",
            NAMES.join(", ")
        )
    })
}

impl Browser {
    /// Starts it.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        // The protocol is spoken over the descriptors 3 and 4, which a shell makes of its standard input and output.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program())
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-extensions",
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let input = process.stdin.take().expect("it is piped");
        let output = process.stdout.take().expect("it is piped");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { break };
                if sender.send(message).is_err() {
                    break;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            process,
            input,
            messages,
            session: String::new(),
            number: 0,
            told: Vec::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached =
            browser.ask("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut question = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            question["sessionId"] = json!(self.session);
        }
        let mut bytes = question.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).expect("the browser listens");
        let number = self.number;
        let mut answer = self.wait(method, |message| message["id"] == number);
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    /// Waits for a message; what comes before it is kept.
    fn wait(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message =
                message.unwrap_or_else(|error| panic!("the browser gave no answer to {what}: {error}"));
            if is(&message) {
                return message;
            }
            self.told.push(message);
        }
    }

    /// Opens a file in a window of this width, light or dark, and waits until it is loaded.
    pub fn open(&mut self, file: &Path, width: u32, scheme: &str) {
        self.look(width, scheme);
        self.told.clear();
        self.ask("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        let is_loaded = |message: &Value| message["method"] == "Page.loadEventFired";
        // It may have come before the answer.
        if !self.told.iter().any(is_loaded) {
            self.wait("loading the page", is_loaded);
        }
    }

    /// Changes the width of the window and the scheme that the system asks for.
    pub fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", &media);
        // Two frames later everything has its new size.
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))");
    }

    /// What a script in the page gives.
    pub fn value(&mut self, script: &str) -> Value {
        let question = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", &question);
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Moves the mouse there.
    pub fn point(&mut self, x: f64, y: f64) {
        self.ask("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Everything that went wrong on the page since it was opened: errors, warnings, what the policy kept away.
    pub fn troubles(&mut self) -> Vec<String> {
        self.value("0");
        let trouble = |message: &Value| {
            let parameters = &message["params"];
            match message["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => Some(parameters["args"].to_string()),
                "Log.entryAdded" => Some(parameters["entry"].to_string()),
                _ => None,
            }
        };
        self.told.iter().filter_map(trouble).collect()
    }

    /// Addresses that the page asked for since it was opened, itself left out.
    pub fn requests(&mut self) -> Vec<String> {
        self.value("0");
        let asked = self.told.iter().filter(|message| message["method"] == "Network.requestWillBeSent");
        let addresses =
            asked.filter_map(|message| message["params"]["request"]["url"].as_str().map(str::to_owned));
        addresses.skip(1).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
