use super::super::json::{Shown, cut, is_within, shrunk};
use crate::model::{Json, JsonMap};

/// How many bytes of JSON a preview may have.
const BYTES: usize = 16 << 10;

/// How much of a table is shown.
#[derive(Clone, Copy)]
struct Part {
    rows: usize,
    columns: usize,
    /// Characters of each string.
    chars: usize,
}

/// Tried in turn until the preview is small enough; the last always is.
const STEPS: [Part; 6] = [
    Part {
        rows: 10,
        columns: 50,
        chars: 200,
    },
    Part {
        rows: 10,
        columns: 20,
        chars: 100,
    },
    Part {
        rows: 5,
        columns: 20,
        chars: 60,
    },
    Part {
        rows: 3,
        columns: 10,
        chars: 40,
    },
    Part {
        rows: 1,
        columns: 5,
        chars: 20,
    },
    Part {
        rows: 0,
        columns: 0,
        chars: 0,
    },
];

/// The fields and the first ten rows of a table in the format of `application/vnd.dataresource+json`, in at most 16 KiB
/// of JSON; none where `value` has no array `data`.
///
/// The preview is in the same format. Where it would be too large it has fewer rows, fields and characters of a string.
/// Of the schema it keeps `fields`, `primaryKey` and `pandas_version`.
///
/// ```
/// use mcp_jupyter_core::assets::preview::data_resource_preview;
/// use mcp_jupyter_core::model::Json;
///
/// let table = Json::parse(br#"{"schema": {"fields": [{"name": "a", "type": "integer"}]}, "data": [{"a": 1}], "x": 2}"#)?;
/// assert_eq!(
///     data_resource_preview(&table).unwrap().to_string(),
///     r#"{"schema":{"fields":[{"name":"a","type":"integer"}]},"data":[{"a":1}]}"#,
/// );
/// # Ok::<(), mcp_jupyter_core::model::JsonError>(())
/// ```
pub fn data_resource_preview(value: &Json) -> Option<Json> {
    let rows = value.get("data")?.as_array()?;
    let schema = value.get("schema").and_then(Json::as_object);
    STEPS
        .into_iter()
        .map(|part| part.of(schema, rows))
        .find(|preview| is_within(preview, BYTES))
}

impl Part {
    fn of(self, schema: Option<&JsonMap>, rows: &[Json]) -> Json {
        let fields = schema.and_then(|schema| schema.get("fields")).and_then(Json::as_array);
        let fields = fields.map(|fields| &fields[..fields.len().min(self.columns)]);
        let shown_rows = rows.iter().take(self.rows).map(|row| self.row(row, fields));
        let mut preview = JsonMap::new();
        if let Some(schema) = schema {
            preview.insert("schema".to_owned(), self.schema(schema, fields));
        }
        preview.insert("data".to_owned(), shown_rows.collect::<Vec<_>>().into());
        preview.into()
    }

    fn schema(self, schema: &JsonMap, fields: Option<&[Json]>) -> Json {
        let mut shown = JsonMap::new();
        if let Some(fields) = fields {
            let fields: Vec<Json> = fields.iter().map(|field| self.value(field, 2)).collect();
            shown.insert("fields".to_owned(), fields.into());
        }
        // A key that is not whole would be another.
        for name in ["primaryKey", "pandas_version"] {
            if let Some(value) = schema.get(name).filter(|value| is_within(value, self.chars * 5)) {
                shown.insert(name.to_owned(), value.clone());
            }
        }
        shown.into()
    }

    fn row(self, row: &Json, fields: Option<&[Json]>) -> Json {
        let Some(members) = row.as_object() else {
            return self.value(row, 1);
        };
        let shown = |(name, value): (&String, &Json)| {
            (
                cut(name, self.chars).unwrap_or_else(|| name.clone()),
                self.value(value, 1),
            )
        };
        match fields {
            Some(fields) => fields
                .iter()
                .filter_map(|field| members.get_key_value(&*field.get("name")?.as_str()?))
                .map(shown)
                .collect(),
            None => members.iter().take(self.columns).map(shown).collect(),
        }
    }

    fn value(self, value: &Json, depth: usize) -> Json {
        shrunk(
            value,
            Shown {
                depth,
                items: self.columns.min(20),
                chars: self.chars,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(columns: usize, rows: usize, value: &str) -> Json {
        let names: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
        let field = |name: &String| Json::from_iter([("name", name.as_str()), ("type", "string")]);
        let row = || names.iter().map(|name| (name.clone(), value)).collect::<Json>();
        let schema = Json::from_iter([
            ("fields", Json::from(names.iter().map(field).collect::<Vec<_>>())),
            ("primaryKey", Json::from(vec![Json::from("c0")])),
            ("pandas_version", Json::from("1.4.0")),
        ]);
        let rows: Vec<Json> = (0..rows).map(|_| row()).collect();
        Json::from_iter([("schema", schema), ("data", Json::from(rows))])
    }

    #[test]
    fn the_fields_and_first_rows_are_kept() {
        assert_eq!(data_resource_preview(&table(3, 500, "v")), Some(table(3, 10, "v")));
        assert_eq!(data_resource_preview(&table(3, 2, "v")), Some(table(3, 2, "v")));
    }

    #[test]
    fn wide_and_long_tables_get_smaller() {
        let preview = data_resource_preview(&table(5000, 50, &"v".repeat(5000))).unwrap();
        let fields = preview
            .get("schema")
            .unwrap()
            .get("fields")
            .unwrap()
            .as_array()
            .unwrap();
        let rows = preview.get("data").unwrap().as_array().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let names: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
            let of_fields: Vec<_> = fields
                .iter()
                .map(|field| field.get("name").unwrap().as_str().unwrap())
                .collect();
            assert_eq!(names, of_fields);
        }
    }

    #[test]
    fn what_is_no_table_has_no_preview() {
        for document in ["null", "[]", "{}", r#"{"schema": {"fields": []}}"#, r#"{"data": 1}"#] {
            assert_eq!(data_resource_preview(&Json::parse(document.as_bytes()).unwrap()), None);
        }
        let odd = Json::parse(br#"{"data": [1, [2], {"a": [[3]]}], "schema": 4}"#).unwrap();
        assert_eq!(
            data_resource_preview(&odd).unwrap().to_string(),
            r#"{"data":[1,[2],{"a":["… 1 item"]}]}"#
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn every_preview_is_small(columns in 0..200_usize, rows in 0..30_usize, value in "(.{0,9}|\u{1}{900})") {
            let preview = data_resource_preview(&table(columns, rows, &value)).unwrap();
            prop_assert!(is_within(&preview, BYTES));
        }
    }
}
