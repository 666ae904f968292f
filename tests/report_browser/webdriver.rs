//! As much of the W3C WebDriver protocol as the tests need: JSON over HTTP to a chromedriver.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// No answer takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing but the page: no service of the browser asks the network for anything.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one, with an empty profile.
    pub(crate) fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs: apt-get install chromium chromium-driver");
        let port = port(BufReader::new(driver.stdout.take().expect("it is piped")));
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let answer = request(port, "POST", "/session", &wanted);
        let session = answer["sessionId"].as_str().expect("a session").to_owned();
        Self { driver, port, session, _profile: profile }
    }

    /// Opens a page.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// What a function body returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A command of the Chrome DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Makes the window so large, as a phone's where `is_phone`.
    pub(crate) fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone,
            }),
        );
    }

    /// Presses at one place of the window, moves to the other and lets go; hovers where `is_pressed` is not.
    pub(crate) fn drag(&self, from: (f64, f64), to: (f64, f64), is_pressed: bool) {
        let go = |(x, y): (f64, f64)| {
            let (x, y) = (x.round(), y.round());
            json!({ "type": "pointerMove", "duration": 30, "origin": "viewport", "x": x, "y": y })
        };
        let mut steps = vec![go(from)];
        if is_pressed {
            steps.push(json!({ "type": "pointerDown", "button": 0 }));
        }
        steps.extend([go(((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0)), go(to)]);
        if is_pressed {
            steps.push(json!({ "type": "pointerUp", "button": 0 }));
        }
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": steps });
        self.post("actions", &json!({ "actions": [mouse] }));
    }

    /// Presses keys where the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let steps = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let keyboard =
            json!({ "type": "key", "id": "keyboard", "actions": steps.collect::<Vec<_>>() });
        self.post("actions", &json!({ "actions": [keyboard] }));
    }

    /// What was logged since the last time: "browser" or "performance".
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", &json!({ "type": kind }));
        entries.as_array().expect("a list of entries").clone()
    }

    /// The window as a PNG, in base64.
    pub(crate) fn screenshot(&self) -> String {
        let png = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }));
        png["data"].as_str().expect("a picture").to_owned()
    }

    /// The page as a PDF, in base64.
    pub(crate) fn print(&self) -> String {
        self.post("print", &json!({})).as_str().expect("a document").to_owned()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        request(self.port, "POST", &format!("/session/{}/{command}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            request(self.port, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that chromedriver says it listens on.
fn port(lines: impl BufRead + Send + 'static) -> u16 {
    let mut lines = lines.lines().map_while(Result::ok);
    let said = lines.find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    // What else it says must not fill its pipe.
    std::thread::spawn(move || lines.for_each(drop));
    said.expect("chromedriver says its port")
}

/// The value that chromedriver answers.
#[track_caller]
fn request(port: u16, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("chromedriver listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("chromedriver reads");
    let mut answer = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).expect("chromedriver answers");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut text = vec![0; length];
    answer.read_exact(&mut text).expect("a whole answer");
    let mut answer: Value = serde_json::from_slice(&text).expect("JSON");
    let value = answer["value"].take();
    assert!(value["error"].is_null(), "{method} {path}: {value}");
    value
}
