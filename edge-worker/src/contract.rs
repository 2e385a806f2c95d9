//! openapi.json and docs/ERRORS.md, made by tests of what serves the routes: the table of routes, the types of bodies
//! and answers, and the codes of errors.

mod operations;

use std::{fmt::Write, path::Path};

use schemars::{
    JsonSchema, Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
    schema_for,
};
use serde_json::{Map, Value, json};
use session_core::{problem::ErrorCode, wire::Problem};

use crate::routes::ROUTES;
use operations::{Detail, Operation, operation};

const ABOUT: &str = "Keeps the aimharder.com sessions of a gym-booking app alive.\n\n\
    A failure has `success: false`, a sentence in `error`, a stable `code` and a `requestId`. Besides those named with each \
    operation, an unknown path answers 404 `not_found`, and another method 405 `method_not_allowed` with `Allow`. \
    Browsers may call `/api/auth/*` from the origins that are set up. Times are RFC 3339, in UTC, with milliseconds.";

/// Schemas of what is sent to us, and of what we send, which differ in what has to be there.
struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self {
            requests: generator(Contract::Deserialize),
            answers: generator(Contract::Serialize),
        }
    }

    fn request<T: JsonSchema>(&mut self) -> Schema {
        self.requests.subschema_for::<T>()
    }

    fn answer<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.requests.take_definitions(true);
        definitions.extend(self.answers.take_definitions(true));
        definitions
    }
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for (path, route) in ROUTES {
        let methods = route.allow().split(", ");
        let described = methods.map(|method| {
            let operation = operation(route, method, &mut schemas);
            (method.to_ascii_lowercase(), describe(operation, &mut schemas))
        });
        paths.insert(path.to_owned(), Value::Object(described.collect()));
    }
    schemas.answer::<ErrorCode>();
    let mut definitions = schemas.into_definitions();
    definitions.insert(
        "Success".to_owned(),
        json!({
            "type": "object", "description": "What every success has.",
            "properties": { "success": { "const": true } }, "required": ["success"],
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "aimharder-keepalive", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "users", "description": "A signed-in user's own sessions." },
            { "name": "internal", "description": "Jobs and operators." },
            { "name": "public", "description": "Anyone." },
        ],
        "paths": paths,
        "components": {
            "schemas": definitions, "headers": headers(), "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A Supabase access token. Its `email` claim names the user's sessions.",
                },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": "keepalive_token",
                    "description": "The same token, from pages of the Worker's own origin alone.",
                },
                "key": {
                    "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The internal key.",
                },
            },
        },
    })
}

fn headers() -> Value {
    let header = |description: &str, required: bool, schema: Value| json!({ "description": description, "required": required, "schema": schema });
    json!({
        "RequestId": header("Names the request in the log.", true, json!({ "type": "string", "format": "uuid" })),
        "RetryAfter": header("Seconds to wait.", true, json!({ "type": "integer", "minimum": 1 })),
        "RetryAfterMaybe": header("Seconds to wait, where that helps.", false, json!({ "type": "integer", "minimum": 1 })),
        "Authenticate": header("Which sign-in is wanted.", false, json!({ "type": "string" })),
        "AllowOrigin": header("The page's origin, where it may call.", false, json!({ "type": "string", "format": "uri" })),
        "Replayed": header("The answer is that to an earlier request with the same key.", false, json!({ "const": "true" })),
        "AllowMethods": header("For browsers.", true, json!({ "type": "string" })),
        "AllowHeaders": header("For browsers.", true, json!({ "type": "string" })),
        "MaxAge": header("How long a browser keeps this, in seconds.", true, json!({ "type": "integer" })),
    })
}

fn refer(header: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{header}") })
}

fn describe(operation: Operation, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    let success = &operation.success;
    let mut answer = json!({ "description": success.about, "headers": operation.headers() });
    for (name, header) in success.headers {
        answer["headers"][name] = refer(header);
    }
    if let Some(schema) = &success.schema {
        answer["content"] = json!({ success.kind: { "schema": schema } });
    }
    responses.insert(success.status.to_string(), answer);
    let mut statuses: Vec<_> = operation.codes.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        responses.insert(status.to_string(), failure(&operation, status, schemas));
    }
    let mut described = json!({
        "operationId": operation.id, "tags": [operation.tag], "summary": operation.summary,
        "security": operation.security, "responses": responses,
    });
    if !operation.about.is_empty() {
        described["description"] = json!(operation.about);
    }
    if !operation.parameters.is_empty() {
        described["parameters"] = json!(operation.parameters);
    }
    if let Some(schema) = operation.body {
        described["requestBody"] = json!({
            "required": operation.needs_body,
            "content": { "application/json": { "schema": schema } },
        });
        if !operation.needs_body {
            described["requestBody"]["description"] = json!("None, or an empty one, is as good as `{}`.");
        }
    }
    described
}

/// The answer with one status: what it means by its codes, and what it holds.
fn failure(operation: &Operation, status: u16, schemas: &mut Schemas) -> Value {
    let codes: Vec<_> = operation
        .codes
        .iter()
        .copied()
        .filter(|code| code.status() == status)
        .collect();
    let about: Vec<_> = codes
        .iter()
        .map(|code| format!("`{}`: {}", name(*code), meaning(*code).0))
        .collect();
    let mut headers = operation.headers();
    if codes.iter().any(|code| code.says_when()) {
        let always = codes.iter().all(|code| code.says_when());
        headers["Retry-After"] = refer(if always { "RetryAfter" } else { "RetryAfterMaybe" });
    }
    if status == 401 && operation.tag == "users" {
        headers["WWW-Authenticate"] = refer("Authenticate");
    }
    let mut kinds = Vec::new();
    for (with, without) in [(Detail::Always, Detail::Never), (Detail::Never, Detail::Always)] {
        let fitting: Vec<_> = codes
            .iter()
            .filter(|code| operation.detail_of(**code) != without)
            .collect();
        if fitting.is_empty() {
            continue;
        }
        let narrowed = json!({ "properties": { "code": { "enum": fitting } } });
        let mut all = vec![json!(schemas.answer::<Problem>()), narrowed];
        if with == Detail::Always {
            all.extend(operation.detail.clone().map(Value::from));
        }
        kinds.push(json!({ "allOf": all }));
    }
    let schema = if kinds.len() == 1 {
        kinds.remove(0)
    } else {
        json!({ "anyOf": kinds })
    };
    let content = if operation.success.kind == "text/html" {
        json!({ "text/html": { "schema": { "type": "string" } } })
    } else {
        json!({ "application/json": { "schema": schema } })
    };
    json!({ "description": about.join("\n\n"), "headers": headers, "content": content })
}

fn name(code: ErrorCode) -> String {
    serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
}

/// All that there are, by status, each with what it means and what to do.
fn codes() -> Vec<(ErrorCode, String, String)> {
    let schema = schema_for!(ErrorCode);
    let variants = schema.get("oneOf").and_then(Value::as_array).unwrap();
    let mut codes: Vec<_> = variants
        .iter()
        .map(|variant| {
            let code = serde_json::from_value(variant["const"].clone()).unwrap();
            let text = variant["description"].as_str().unwrap();
            let (meaning, remedy) = text.split_once("\n\n").expect(text);
            (code, meaning.replace('\n', " "), remedy.replace('\n', " "))
        })
        .collect();
    codes.sort_by_key(|(code, ..): &(ErrorCode, _, _)| code.status());
    codes
}

fn meaning(code: ErrorCode) -> (String, String) {
    let found = codes().into_iter().find(|(other, ..)| *other == code).unwrap();
    (found.1, found.2)
}

fn errors_in_words() -> String {
    let mut text = "# Errors\n\n\
        What each `code` means and what to do about it. Made from `session-core/src/problem.rs` by the tests of the Worker;\n\
        [openapi.json](../edge-worker/openapi.json), which the Worker serves, says which route answers which. A failure is\n\n\
        ```json\n\
        {\"success\": false, \"error\": \"A sentence.\", \"code\": \"too_soon\", \"requestId\": \"…\", \"serverTime\": \"…\"}\n\
        ```\n\n\
        | status | `code` | what it means | what to do |\n|---|---|---|---|\n"
        .to_owned();
    for (code, meaning, remedy) in codes() {
        writeln!(
            text,
            "| {} | `{}` | {meaning} | {remedy} |",
            code.status(),
            name(code)
        )
        .unwrap();
    }
    text
}

/// Fails if a file is not what it should be. `UPDATE_TYPES=1 cargo test` writes it anew.
fn check(file: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is out of date: run UPDATE_TYPES=1 cargo test",
        file.display()
    );
}

#[test]
fn the_contract_is_up_to_date() {
    let text = serde_json::to_string_pretty(&document()).unwrap();
    check("openapi.json", &format!("{text}\n"));
}

#[test]
fn the_errors_are_up_to_date() {
    check("../docs/ERRORS.md", &errors_in_words());
}

#[test]
fn what_to_do_names_retry_after_where_it_is_sent() {
    for (code, _, remedy) in codes() {
        assert_eq!(remedy.contains("Retry-After"), code.says_when(), "{code:?}");
    }
}

#[test]
fn each_code_is_some_operation_s() {
    let mut schemas = Schemas::new();
    let mut used = Vec::new();
    for (_, route) in ROUTES {
        for method in route.allow().split(", ") {
            used.extend(operation(route, method, &mut schemas).codes);
        }
    }
    let unused: Vec<_> = codes()
        .into_iter()
        .map(|(code, ..)| code)
        .filter(|code| !used.contains(code))
        .collect();
    assert_eq!(
        unused,
        [ErrorCode::MethodNotAllowed],
        "no operation answers it: say which, in operations.rs"
    );
}
