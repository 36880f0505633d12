//! What a tool is: a name, a description, a schema of its arguments, and what it does.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::caller::Caller;
use super::server::Server;
use super::structured::Structured;

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only looks.
    Reads,
    /// It changes nothing but by adding or by steps that can be taken back.
    Changes,
    /// As [`Effect::Changes`], and doing it twice is doing it once.
    Settles,
    /// What it takes away, or what the code does that it executes, cannot be taken back.
    Destroys,
}

impl Effect {
    pub(super) fn annotations(self) -> ToolAnnotations {
        // What is left out has the default that the protocol gives it.
        match self {
            Self::Reads => ToolAnnotations::new().read_only(true),
            Self::Changes => ToolAnnotations::new().destructive(false),
            Self::Settles => ToolAnnotations::new().destructive(false).idempotent(true),
            Self::Destroys => ToolAnnotations::new().destructive(true),
        }
    }
}

/// One tool, as a type.
pub(super) trait Tool: 'static {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    const EFFECT: Effect;
    /// What its structured content is, where it has some.
    const STRUCTURED: Option<Structured> = None;
    type Arguments: DeserializeOwned + JsonSchema + Send;

    fn call(
        server: Arc<Server>,
        arguments: Self::Arguments,
        caller: Caller,
    ) -> impl Future<Output = Result<Answer, Refusal>> + Send;
}

type Call = fn(Arc<Server>, JsonObject, Caller) -> BoxFuture<'static, Result<Answer, Refusal>>;

/// One tool, as a value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    pub(super) call: Call,
    description: &'static str,
    schema: fn() -> JsonObject,
    structured: Option<Structured>,
}

impl Entry {
    pub(super) const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            effect: T::EFFECT,
            call: |server, arguments, caller| {
                Box::pin(async move {
                    let arguments = serde_json::from_value(Value::Object(arguments))
                        .map_err(|error| Refusal::new(format!("{}: these arguments do not fit: {error}", T::NAME)))?;
                    T::call(server, arguments, caller).await
                })
            },
            description: T::DESCRIPTION,
            schema: schema_of::<T::Arguments>,
            structured: T::STRUCTURED,
        }
    }

    pub(super) fn to_model(&self, with_output_schema: bool) -> rmcp::model::Tool {
        let mut tool = rmcp::model::Tool::new(self.name, self.description, (self.schema)());
        let structured = self.structured.filter(|_| with_output_schema);
        tool.output_schema = structured.map(|structured| Arc::new(structured.schema()));
        tool.annotations = Some(self.effect.annotations());
        tool
    }
}

/// The schema of a tool's arguments, without what tells a model nothing.
fn schema_of<T: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    shorten(&mut value);
    match value {
        Value::Object(mut object) => {
            object.remove("description");
            object
                .entry("properties")
                .or_insert_with(|| Value::Object(JsonObject::new()));
            object
        }
        _ => JsonObject::new(),
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("title").is_some_and(Value::is_string) {
                object.remove("title");
            }
            for noise in ["format", "minimum", "default", "additionalProperties"] {
                let is_member = |value: &Value| value.as_object().is_some_and(|value| !value.is_empty());
                if object.get(noise).is_some_and(|value| !is_member(value)) {
                    object.remove(noise);
                }
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            object.values_mut().for_each(shorten);
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        _ => {}
    }
}
