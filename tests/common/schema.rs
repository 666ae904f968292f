//! JSON Schema, as far as the schemas below samples/ use it.

use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// What a schema may say beside what this test checks.
const WORDS_ONLY: [&str; 4] = ["$schema", "$defs", "title", "description"];

/// A JSON Schema, as far as ours uses it. The crates that know all of it bring fifty others along.
#[derive(Debug)]
pub(crate) struct Schema(Value);

impl Schema {
    /// The one of that name below samples/.
    pub(crate) fn load(name: &str) -> Self {
        Self(serde_json::from_str(&sample(name)).expect("JSON"))
    }

    /// What is wrong with `value`, if anything is.
    pub(crate) fn fault(&self, value: &Value) -> Option<String> {
        self.fault_by(&self.0, value)
    }

    fn fault_by(&self, rules: &Value, value: &Value) -> Option<String> {
        let rules = rules.as_object().expect("a schema is an object");
        rules.iter().find_map(|(rule, wanted)| {
            let fault = match rule.as_str() {
                "$ref" => self.fault_by(self.definition(wanted), value),
                "oneOf" => self.fault_by_one_of(wanted, value),
                "properties" => self.fault_in_properties(wanted, value),
                "items" => {
                    let items = value.as_array().into_iter().flatten();
                    items.filter_map(|item| self.fault_by(wanted, item)).next()
                }
                _ => (!holds(rule, wanted, rules, value)).then(String::new),
            };
            fault.map(
                |inner| if inner.is_empty() { format!("{rule} {wanted}: {value}") } else { inner },
            )
        })
    }

    fn definition(&self, reference: &Value) -> &Value {
        let path = reference.as_str().expect("a reference").strip_prefix('#').expect("a local one");
        self.0.pointer(path).unwrap_or_else(|| panic!("{path} is not defined"))
    }

    fn fault_by_one_of(&self, choices: &Value, value: &Value) -> Option<String> {
        let choices = choices.as_array().expect("a list").iter();
        let faults: Vec<_> = choices.map(|choice| self.fault_by(choice, value)).collect();
        match faults.iter().filter(|fault| fault.is_none()).count() {
            1 => None,
            0 => Some(format!("none fits {value}: {faults:?}")),
            _ => Some(format!("more than one fits {value}")),
        }
    }

    fn fault_in_properties(&self, wanted: &Value, value: &Value) -> Option<String> {
        let wanted = wanted.as_object().expect("an object").iter();
        wanted.filter_map(|(key, rules)| self.fault_by(rules, value.get(key)?)).next()
    }
}

/// Whether a rule that stands alone holds.
fn holds(rule: &str, wanted: &Value, rules: &Map<String, Value>, value: &Value) -> bool {
    let number = |value: &Value| value.as_f64();
    match rule {
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|wanted| is_a(wanted, value)),
            wanted => is_a(wanted, value),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().expect("a list").contains(value),
        "minimum" => value.as_f64().is_none_or(|value| Some(value) >= number(wanted)),
        "maximum" => value.as_f64().is_none_or(|value| Some(value) <= number(wanted)),
        "required" => wanted
            .as_array()
            .expect("a list")
            .iter()
            .all(|key| value.get(key.as_str().expect("a name")).is_some()),
        "additionalProperties" => {
            assert_eq!(wanted, false);
            let known = rules["properties"].as_object().expect("an object");
            value.as_object().is_none_or(|value| value.keys().all(|key| known.contains_key(key)))
        }
        other => {
            assert!(WORDS_ONLY.contains(&other), "this test does not know \"{other}\"");
            true
        }
    }
}

fn is_a(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().expect("a type is a word") {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("{other} is no type"),
    }
}

/// A file below samples/.
pub(crate) fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    fs::read_to_string(path).expect("a sample")
}
