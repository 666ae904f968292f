//! `--report` in a real browser: `cargo test --test report_browser -- --ignored`, with chromium and
//! chromium-driver installed. With REPORT_PICTURES=DIR it also writes the README's pictures there.

mod webdriver;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use webdriver::Browser;

/// Where the marks and curves are: the part of a diagram between its axes.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Area {
    /// Scrolls a diagram into view and measures it.
    fn of(browser: &Browser, id: &str) -> Self {
        let script = format!(
            "const over = document.querySelector('#{id} .u-over');
             over.scrollIntoView({{ block: 'center' }});
             const {{ x, y, width, height }} = over.getBoundingClientRect();
             return [x, y, width, height];"
        );
        let found = browser.run(&script);
        let [left, top, width, height] =
            [0, 1, 2, 3].map(|place| found[place].as_f64().expect("a number"));
        Self { left, top, width, height }
    }

    /// The place so far from the left and from the top, as shares.
    fn at(self, right: f64, down: f64) -> (f64, f64) {
        (self.left + right * self.width, self.top + down * self.height)
    }
}

/// A browser that shows the report of a simulation.
fn show(arguments: &[&str]) -> (Browser, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let volley = Command::new(env!("CARGO_BIN_EXE_volley"))
        .args(["simulate", "--seed", "7", "--report", "report.html"])
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .expect("volley runs");
    assert!(volley.status.success(), "{}", String::from_utf8_lossy(&volley.stderr));
    let browser = Browser::start();
    browser.resize(1280, 900, false);
    browser.log("performance");
    browser.open(&format!("file://{}/report.html", directory.path().display()));
    (browser, directory)
}

fn text(browser: &Browser, selector: &str) -> String {
    let script = format!("return document.querySelector({selector:?})?.textContent ?? 'nothing';");
    browser.run(&script).as_str().expect("text").to_owned()
}

/// What each diagram looks like, or "" for one that shows nothing.
fn pictures(browser: &Browser) -> Vec<String> {
    let script = "
        return [...document.querySelectorAll('.chart canvas')].map((canvas) => {
          const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          return pixels.some((value) => value > 0) ? canvas.toDataURL() : '';
        });";
    let pictures = browser.run(script);
    let pictures = pictures.as_array().expect("a list");
    pictures.iter().map(|picture| picture.as_str().expect("text").to_owned()).collect()
}

fn is_quiet(browser: &Browser) {
    let mut said = browser.log("browser");
    // Chromium's advice to whoever reads pixels often: that is this test, not the page.
    said.retain(|entry| entry["source"] != "rendering");
    assert_eq!(said, Vec::<Value>::new(), "said on the console");
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_report_opens_without_a_request_and_draws_its_diagrams() {
    let (browser, _directory) = show(&["--size", "300KB"]);
    let asked: Vec<String> = browser
        .log("performance")
        .iter()
        .filter_map(|entry| serde_json::from_str(entry["message"].as_str()?).ok())
        .filter(|event: &Value| event["message"]["method"] == "Network.requestWillBeSent")
        .map(|event| event["message"]["params"]["request"]["url"].to_string())
        .collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("file://") && asked[0].contains("report.html"), "{asked:?}");
    let pictures = pictures(&browser);
    assert_eq!(pictures.len(), 4);
    assert!(pictures.iter().all(|picture| !picture.is_empty()), "a diagram is empty");
    is_quiet(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn dragging_and_keys_zoom_and_a_double_click_shows_all_again() {
    let (browser, _directory) = show(&["--size", "300KB", "--arq", "selective-repeat,volley"]);
    let all = text(&browser, "#view");
    let area = Area::of(&browser, "sequence");
    browser.drag(area.at(0.2, 0.5), area.at(0.6, 0.9), true);
    let part = text(&browser, "#view");
    assert_ne!(part, all);
    browser.run("document.querySelector('#sequence').focus()");
    browser.press("+");
    let closer = text(&browser, "#view");
    assert!(closer != part && closer != all, "{closer}");
    browser.press("0");
    assert_eq!(text(&browser, "#view"), all);
    browser.run("document.querySelector('[aria-label=Closer]').click()");
    assert_ne!(text(&browser, "#view"), all);
    browser.run(
        "document.querySelector('#sequence .u-over').dispatchEvent(new MouseEvent('dblclick'))",
    );
    assert_eq!(text(&browser, "#view"), all);
    let area = Area::of(&browser, "goodput");
    let before = pictures(&browser);
    browser.drag(area.at(0.1, 0.5), area.at(0.4, 0.5), true);
    assert!(text(&browser, "#part").starts_with("Shown: "), "{}", text(&browser, "#part"));
    let after = pictures(&browser);
    for (place, name) in ["goodput", "window", "round trip"].iter().enumerate() {
        assert_ne!(before[place], after[place], "{name} is drawn for another part");
    }
    is_quiet(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn hovering_shows_values() {
    let (browser, _directory) = show(&["--size", "300KB", "--arq", "volley"]);
    let place = browser.run(
        "const [run] = JSON.parse(document.querySelector('#data').textContent).runs;
         const marks = run.packets.marks.lost;
         return [marks.time[0] / run.seconds,
                 1 - (marks.start[0] + marks.bytes[0] / 2) / run.packets.end, marks.number[0]];",
    );
    let [right, down, number] = [0, 1, 2].map(|at| place[at].as_f64().expect("a number"));
    let area = Area::of(&browser, "sequence");
    browser.drag(area.at(right, down - 0.1), area.at(right, down), false);
    let tip = text(&browser, "#sequence .tip:not([hidden])");
    assert!(tip.starts_with(&format!("packet {number}: lost on the link\nbytes ")), "{tip}");
    let area = Area::of(&browser, "goodput");
    browser.drag(area.at(0.4, 0.5), area.at(0.5, 0.5), false);
    let tip = text(&browser, "#goodput .tip:not([hidden])");
    assert!(tip.contains("volley: ") && tip.contains("bit/s"), "{tip}");
    is_quiet(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn runs_and_marks_can_be_left_out() {
    let (browser, _directory) = show(&["--size", "300KB"]);
    assert!(text(&browser, "#part").contains("stop-and-wait goes on until"));
    let all = pictures(&browser);
    browser.run("document.querySelector('#choice input').click()");
    assert_ne!(pictures(&browser)[0], all[0]);
    assert!(!text(&browser, "#part").contains("stop-and-wait"), "the others have the room");
    browser.run("document.querySelector('#kinds input').click()");
    assert_ne!(pictures(&browser)[3], all[3]);
    for index in 1..4 {
        browser.run(&format!("document.querySelectorAll('#choice input')[{index}].click()"));
    }
    browser.run(
        "const choice = document.querySelector('#which select');
         choice.value = 1;
         choice.dispatchEvent(new Event('change'))",
    );
    assert_eq!(text(&browser, "#which b"), "go-back-n");
    is_quiet(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn both_themes_can_be_read_and_paper_is_light() {
    let (browser, _directory) = show(&["--size", "300KB"]);
    let background = || browser.run("return getComputedStyle(document.body).backgroundColor");
    let prefer = |theme: &str| {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    };
    prefer("light");
    assert_eq!(background(), "rgb(255, 255, 255)");
    has_contrast(&browser);
    let light = pictures(&browser);
    prefer("dark");
    assert_ne!(background(), "rgb(255, 255, 255)");
    has_contrast(&browser);
    browser.run("document.querySelector('#theme').click()");
    assert_eq!(background(), "rgb(255, 255, 255)");
    browser.run("document.querySelector('#theme').click()");
    assert_ne!(background(), "rgb(255, 255, 255)");
    assert_ne!(pictures(&browser), light);
    has_contrast(&browser);
    browser.run(
        "addEventListener('beforeprint', () => {
           document.title = getComputedStyle(document.body).backgroundColor;
         })",
    );
    let pdf = browser.print();
    assert!(pdf.starts_with("JVBERi") && pdf.len() > 20_000, "{} bytes", pdf.len());
    assert_eq!(browser.run("return document.title"), "rgb(255, 255, 255)");
    assert_ne!(background(), "rgb(255, 255, 255)", "the screen is dark again");
    is_quiet(&browser);
}

/// Fails unless all that is drawn or written differs from what is behind it (WCAG 2.2, 1.4.3).
#[track_caller]
fn has_contrast(browser: &Browser) {
    let poor = browser.run(
        "const style = getComputedStyle(document.documentElement);
         const luminance = (name) => {
           const hex = style.getPropertyValue('--' + name).trim();
           const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
             .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
           return 0.2126 * r + 0.7152 * g + 0.0722 * b;
         };
         const ratio = (one, other) => {
           const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
           return (light + 0.05) / (dark + 0.05);
         };
         const names = ['text', 'faint', 'accent', 'run-0', 'run-1', 'run-2', 'run-3', 'run-4', 'run-5',
                        'sent', 'again', 'lost', 'declared', 'acked'];
         return [...names.map((name) => [name, 'back']), ['text', 'panel'], ['text', 'verdict']]
           .filter(([front, back]) => !(ratio(front, back) >= 4.5));",
    );
    assert_eq!(poor, json!([]));
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_phone_shows_it_without_scrolling_sideways() {
    let (browser, _directory) = show(&["--size", "300KB"]);
    browser.resize(390, 844, true);
    browser.run("location.reload()");
    let wide = browser.run(
        "return [...document.querySelectorAll('body *')]
           .filter((one) => one.getBoundingClientRect().right > 390.5)
           .map((one) => one.tagName + '#' + one.id + '.' + one.className);",
    );
    assert_eq!(wide, json!([]));
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), 390);
    assert!(pictures(&browser).iter().all(|picture| !picture.is_empty()));
    is_quiet(&browser);
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_pictures_of_the_readme_can_be_made() {
    let (browser, directory) = show(&["--size", "2MB"]);
    browser.resize(1000, 1640, false);
    // What the README has room for: all but two of the diagrams.
    browser.run(
        "document.querySelector('#cwnd').closest('figure').hidden = true;
         document.querySelector('#rtt').closest('figure').hidden = true;
         const choice = document.querySelector('#which select');
         choice.value = 1;
         choice.dispatchEvent(new Event('change'))",
    );
    let area = Area::of(&browser, "sequence");
    browser.drag(area.at(0.02, 0.99), area.at(0.17, 0.84), true);
    browser.run("scrollTo(0, 0)");
    let pictures = std::env::var_os("REPORT_PICTURES");
    let pictures = pictures.as_deref().map_or(directory.path(), Path::new);
    for (name, is_dark) in [("report.png", false), ("report-dark.png", true)] {
        let theme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let png = decode(&browser.screenshot());
        assert!(png.starts_with(b"\x89PNG"));
        std::fs::write(pictures.join(name), png).expect("the directory can be written");
    }
    is_quiet(&browser);
}

/// Base64 (RFC 4648 4) to bytes.
fn decode(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<u8> = text.bytes().filter(|letter| *letter != b'=').map(value).collect();
    let pieces = letters.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0u32, |bits, six| bits << 6 | u32::from(*six));
        let bits = bits << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    });
    pieces.collect()
}
