//! From OpenAPI v3 to Swagger 2.0.
//!
//! In: a document of ours in v3. Out: its like in v2. Knows only what our documents have.

use serde_json::{Map, Value, json};

const REFERENCE: &str = "#/components/schemas/";
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// The document in the words of v2.
pub(in crate::http::openapi) fn swagger(mut document: Value) -> Value {
    let mut definitions = document["components"]["schemas"].take();
    let mut paths = document["paths"].take();
    definitions.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(schema);
    paths.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(item);
    json!({ "swagger": "2.0", "info": document["info"].take(), "paths": paths, "definitions": definitions })
}

fn item(item: &mut Value) {
    each(item, "parameters", parameter);
    for method in METHODS {
        if let Some(operation) = item.get_mut(method) {
            self::operation(operation);
        }
    }
}

fn operation(operation: &mut Value) {
    each(operation, "parameters", parameter);
    let Some(fields) = operation.as_object_mut() else { return };
    let body = fields.remove("requestBody");
    let consumes = body.as_ref().and_then(|body| body["content"].as_object()).map(names);
    fields.insert("consumes".to_owned(), consumes.unwrap_or_else(|| json!(["*/*"])));
    fields.insert("schemes".to_owned(), json!(["https"]));
    let produces = fields.get("responses").and_then(|all| all["200"]["content"].as_object()).map(names);
    fields.insert("produces".to_owned(), produces.unwrap_or_else(|| json!(["application/json"])));
    let responses = fields.get_mut("responses").and_then(Value::as_object_mut);
    responses.into_iter().flat_map(Map::values_mut).for_each(give);
    if let Some(body) = body.and_then(take) {
        let parameters = fields.entry("parameters").or_insert_with(|| json!([]));
        parameters.as_array_mut().into_iter().for_each(|list| list.insert(0, body.clone()));
    }
}

fn names(content: &Map<String, Value>) -> Value {
    content.keys().cloned().collect()
}

/// The parameter that stands for a body.
fn take(mut body: Value) -> Option<Value> {
    let mut parameter = json!({ "name": "body", "in": "body", "schema": first_schema(&mut body)? });
    if body["required"] == true {
        parameter["required"] = true.into();
    }
    Some(parameter)
}

fn give(response: &mut Value) {
    let found = first_schema(response);
    let Some(fields) = response.as_object_mut() else { return };
    fields.remove("content");
    if let Some(found) = found {
        fields.insert("schema".to_owned(), found);
    }
}

/// All media types of a content have the same schema.
fn first_schema(holder: &mut Value) -> Option<Value> {
    let mut found = holder.get_mut("content")?.as_object_mut()?.values_mut().next()?.get_mut("schema")?.take();
    schema(&mut found);
    Some(found)
}

/// The type of a parameter stands beside its name.
fn parameter(parameter: &mut Value) {
    let Some(fields) = parameter.as_object_mut() else { return };
    if let Some(Value::Object(schema)) = fields.remove("schema") {
        fields.extend(schema);
    }
}

/// Walks down a schema: references have siblings and no `allOf`, and what is a number or a text is
/// a text of its own format.
fn schema(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    let target = match fields.remove("allOf") {
        Some(mut all) => all.get_mut(0).and_then(|one| one.get_mut("$ref")).map(Value::take),
        None => fields.remove("$ref"),
    };
    if let Some(Value::String(target)) = target {
        let name = target.strip_prefix(REFERENCE).unwrap_or(&target);
        fields.insert("$ref".to_owned(), format!("#/definitions/{name}").into());
        fields.remove("default");
        return;
    }
    if fields.remove("oneOf").is_some() {
        fields.insert("type".to_owned(), "string".into());
        fields.insert("format".to_owned(), "int-or-string".into());
    }
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(schema);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(Map::values_mut).for_each(schema);
}

fn each(object: &mut Value, field: &str, change: fn(&mut Value)) {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}
