use super::inspection::{Parameter, inspect_source};
use super::language::Language;
use crate::model::{CellId, Json, JsonMap};
use crate::session::SessionError;
use crate::session::notebook::{Cell, CellType, Notebook};

/// The tag of the cell with the defaults.
const PARAMETERS_TAG: &str = "parameters";
/// The tag of the cell with the values of a run; also its id where it gets a new one.
const INJECTED_TAG: &str = "injected-parameters";

/// What the code of parameters is chosen by.
#[derive(Clone, Copy, Debug, Default)]
pub struct InjectOptions<'a> {
    /// The name of the kernel; else the one that the notebook names.
    pub kernel_name: Option<&'a str>,
    /// The name of the language, say, of the kernelspec found; else the one that the notebook names.
    pub language: Option<&'a str>,
    /// Hides the source of the injected cell, see [`hide_sources`] for the others.
    pub report_mode: bool,
}

/// Where the injected cell went, and what deserves a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The cell's place in the notebook, from 0.
    pub position: usize,
    /// Why it is there.
    pub placement: Placement,
    /// The parameters that the cell tagged `parameters` does not assign, in the order given: perhaps misspelt.
    pub unknown: Vec<String>,
}

/// Why the injected cell is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It replaces the cell that an earlier run has injected.
    ReplacedEarlier,
    /// It follows the first cell tagged `parameters`.
    AfterParameters,
    /// It is the first cell, as none is tagged `parameters`.
    OnTop,
}

/// Puts a code cell with the parameters, tagged `injected-parameters`, into the notebook, as papermill does; without
/// parameters it does nothing.
///
/// The cell keeps the id of the one it replaces; a new one gets an id that depends on the notebook alone, so that the
/// same input gives the same file.
///
/// ```
/// use mcp_jupyter_core::model::JsonMap;
/// use mcp_jupyter_core::session::notebook::Notebook;
/// use mcp_jupyter_core::session::parameters::{InjectOptions, inject};
///
/// let mut notebook = Notebook::parse(br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#)?;
/// let parameters = JsonMap::from_iter([("alpha".to_owned(), 0.1.into())]);
/// let options = InjectOptions { language: Some("python"), ..InjectOptions::default() };
/// inject(&mut notebook, &parameters, &options)?;
/// assert_eq!(notebook.cells()[0].source(), "# Parameters\nalpha = 0.1\n");
/// # Ok::<(), mcp_jupyter_core::session::SessionError>(())
/// ```
///
/// # Errors
/// [`SessionError::InvalidRequest`] where the language is unknown or has no code for a value; the notebook is then
/// as it was.
pub fn inject(
    notebook: &mut Notebook,
    parameters: &JsonMap,
    options: &InjectOptions<'_>,
) -> Result<Option<Injection>, SessionError> {
    if parameters.is_empty() {
        return Ok(None);
    }
    let language = language_of(notebook, options)?;
    let source = language.parameters_code(parameters)?;
    let unknown = unknown_parameters(notebook, language, parameters);
    let (position, placement) = place(notebook);
    let replaced = placement == Placement::ReplacedEarlier;
    let id = if replaced {
        notebook.cells()[position].id().clone()
    } else {
        new_id(notebook)
    };
    let mut cell = Cell::new_code(id, &source);
    cell.add_tag(INJECTED_TAG);
    if options.report_mode {
        hide_source(&mut cell);
    }
    if replaced {
        notebook.cells_mut()[position] = cell;
    } else {
        notebook.cells_mut().insert(position, cell);
    }
    Ok(Some(Injection {
        position,
        placement,
        unknown,
    }))
}

/// The parameters that the notebook takes; `None` where no cell is tagged `parameters`.
///
/// # Errors
/// [`SessionError::InvalidRequest`] where the language is unknown.
pub fn inspect(notebook: &Notebook, options: &InjectOptions<'_>) -> Result<Option<Vec<Parameter>>, SessionError> {
    let Some(position) = first_tagged(notebook, PARAMETERS_TAG) else {
        return Ok(None);
    };
    let language = language_of(notebook, options)?;
    Ok(Some(inspect_source(language, notebook.cells()[position].source())))
}

/// Papermill's report mode: every code cell shows its outputs alone.
pub fn hide_sources(notebook: &mut Notebook) {
    let cells = notebook.cells_mut().iter_mut();
    cells
        .filter(|cell| cell.cell_type() == CellType::Code)
        .for_each(hide_source);
}

fn hide_source(cell: &mut Cell) {
    let jupyter = cell.metadata_mut().entry("jupyter".to_owned()).or_default();
    object_of(jupyter).insert("source_hidden".to_owned(), true.into());
}

/// What papermill writes into the metadata of a notebook that it is about to run.
#[derive(Clone, Copy, Debug)]
pub struct PapermillRecord<'a> {
    /// The version to name; a notebook that has been run before keeps the one that it names.
    pub version: &'a str,
    /// The input as it was given, its fields filled in.
    pub input_path: &'a str,
    /// The output likewise; none where nothing is saved.
    pub output_path: Option<&'a str>,
    /// The parameters given.
    pub parameters: &'a JsonMap,
}

/// Writes the notebook's `papermill` metadata, and gives every cell the `tags` and `papermill` that papermill gives
/// it, empty where there are none: for those who read papermill's results.
///
/// Papermill does this first: the cell that [`inject`] adds has only what it gives itself.
pub fn record_papermill(notebook: &mut Notebook, record: &PapermillRecord<'_>) {
    let papermill = notebook
        .metadata_mut()
        .entry("papermill".to_owned())
        .or_insert_with(|| {
            let empty = |name: &str| (name.to_owned(), Json::Object(JsonMap::new()));
            let mut created: JsonMap = ["default_parameters", "parameters", "environment_variables"]
                .map(empty)
                .into();
            created.insert("version".to_owned(), record.version.into());
            created.into()
        });
    let papermill = object_of(papermill);
    if !record.parameters.is_empty() {
        papermill.insert("parameters".to_owned(), record.parameters.clone().into());
    }
    papermill.insert("input_path".to_owned(), record.input_path.into());
    papermill.insert("output_path".to_owned(), record.output_path.into());
    for cell in notebook.cells_mut() {
        let metadata = cell.metadata_mut();
        metadata.entry("tags".to_owned()).or_insert_with(|| Vec::new().into());
        metadata
            .entry("papermill".to_owned())
            .or_insert_with(|| JsonMap::new().into());
    }
}

/// The members of `value`, which becomes an object if it is none.
fn object_of(value: &mut Json) -> &mut JsonMap {
    if value.as_object().is_none() {
        *value = JsonMap::new().into();
    }
    value.as_object_mut().expect("it has just been made an object")
}

fn language_of(notebook: &Notebook, options: &InjectOptions<'_>) -> Result<Language, SessionError> {
    let given = |option: Option<&str>| option.map(str::to_owned);
    let kernel_name = given(options.kernel_name).or_else(|| notebook.kernelspec_name());
    let language = given(options.language).or_else(|| notebook.language());
    if kernel_name.is_none() && language.is_none() {
        return Err(SessionError::InvalidRequest(
            "the notebook names neither a kernel nor a language, which parameters are written in: name one".to_owned(),
        ));
    }
    Language::find(&kernel_name.unwrap_or_default(), &language.unwrap_or_default())
}

fn unknown_parameters(notebook: &Notebook, language: Language, parameters: &JsonMap) -> Vec<String> {
    let source = first_tagged(notebook, PARAMETERS_TAG).map_or("", |position| notebook.cells()[position].source());
    let known = inspect_source(language, source);
    let is_unknown = |name: &&String| !known.iter().any(|parameter| parameter.name == **name);
    parameters.keys().filter(is_unknown).cloned().collect()
}

fn place(notebook: &Notebook) -> (usize, Placement) {
    if let Some(position) = first_tagged(notebook, INJECTED_TAG) {
        return (position, Placement::ReplacedEarlier);
    }
    match first_tagged(notebook, PARAMETERS_TAG) {
        Some(position) => (position + 1, Placement::AfterParameters),
        None => (0, Placement::OnTop),
    }
}

fn first_tagged(notebook: &Notebook, tag: &str) -> Option<usize> {
    notebook.cells().iter().position(|cell| cell.has_tag(tag))
}

/// The tag as an id, numbered where another cell has it.
fn new_id(notebook: &Notebook) -> CellId {
    let numbered = (2..).map(|number| CellId::from(format!("{INJECTED_TAG}-{number}")));
    std::iter::once(CellId::from(INJECTED_TAG))
        .chain(numbered)
        .find(|id| notebook.cell(id).is_none())
        .expect("the numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notebook of 4.5 with a code cell of each tag, the tag for an id and as a comment.
    fn notebook(tags: &[&str]) -> Notebook {
        let cell = |tag: &&str| {
            format!(
                r##"{{"cell_type": "code", "id": "{tag}", "metadata": {{"tags": ["{tag}"]}}, "source": "# {tag}\nx = 1",
                     "execution_count": null, "outputs": []}}"##
            )
        };
        let cells: Vec<_> = tags.iter().map(cell).collect();
        let document = format!(
            r#"{{"cells": [{}], "metadata": {{"kernelspec": {{"name": "python3", "language": "python",
                 "display_name": "P"}}}}, "nbformat": 4, "nbformat_minor": 5}}"#,
            cells.join(",")
        );
        Notebook::parse(document.as_bytes()).unwrap()
    }

    fn given(names: &[&str]) -> JsonMap {
        names.iter().map(|name| ((*name).to_owned(), 5_i64.into())).collect()
    }

    fn ids(notebook: &Notebook) -> Vec<&str> {
        notebook.cells().iter().map(|cell| cell.id().as_str()).collect()
    }

    #[test]
    fn the_cell_follows_the_defaults() {
        let mut document = notebook(&["a", "parameters", "b", "c"]);
        let injection = inject(&mut document, &given(&["x", "y"]), &InjectOptions::default()).unwrap();
        let expected = Injection {
            position: 2,
            placement: Placement::AfterParameters,
            unknown: vec!["y".to_owned()],
        };
        assert_eq!(injection, Some(expected));
        assert_eq!(ids(&document), ["a", "parameters", "injected-parameters", "b", "c"]);
        let cell = &document.cells()[2];
        assert_eq!(cell.source(), "# Parameters\nx = 5\ny = 5\n");
        assert!(cell.has_tag("injected-parameters"));
    }

    #[test]
    fn an_earlier_cell_is_replaced() {
        let mut document = notebook(&["injected-parameters", "parameters"]);
        let injection = inject(&mut document, &given(&["x"]), &InjectOptions::default())
            .unwrap()
            .unwrap();
        assert_eq!(
            (injection.position, injection.placement),
            (0, Placement::ReplacedEarlier)
        );
        assert_eq!(ids(&document), ["injected-parameters", "parameters"]);
        assert_eq!(document.cells()[0].source(), "# Parameters\nx = 5\n");
        let before = document.to_bytes();
        inject(&mut document, &given(&["x"]), &InjectOptions::default()).unwrap();
        assert_eq!(document.to_bytes(), before);
    }

    #[test]
    fn without_defaults_the_cell_goes_on_top() {
        let mut document = notebook(&["a"]);
        let injection = inject(&mut document, &given(&["x"]), &InjectOptions::default())
            .unwrap()
            .unwrap();
        assert_eq!((injection.position, injection.placement), (0, Placement::OnTop));
        assert_eq!(injection.unknown, ["x"]);
    }

    #[test]
    fn a_new_id_is_unique() {
        let mut document = notebook(&["a"]);
        let taken = Cell::new_code("injected-parameters".into(), "");
        document.cells_mut().push(taken);
        inject(&mut document, &given(&["x"]), &InjectOptions::default()).unwrap();
        assert_eq!(ids(&document), ["injected-parameters-2", "a", "injected-parameters"]);
    }

    #[test]
    fn nothing_given_or_refused_changes_nothing() {
        let mut document = notebook(&["parameters"]);
        let before = document.to_bytes();
        assert_eq!(
            inject(&mut document, &given(&[]), &InjectOptions::default()).unwrap(),
            None
        );
        let options = InjectOptions {
            kernel_name: Some("deno"),
            language: Some("typescript"),
            report_mode: true,
        };
        inject(&mut document, &given(&["x"]), &options).unwrap_err();
        assert_eq!(document.to_bytes(), before);
    }

    #[test]
    fn a_notebook_without_kernel_and_language_is_refused() {
        let document = br#"{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;
        let mut document = Notebook::parse(document).unwrap();
        let refusal = inject(&mut document, &given(&["x"]), &InjectOptions::default()).unwrap_err();
        assert!(
            refusal
                .to_string()
                .starts_with("the notebook names neither a kernel nor a language")
        );
        assert_eq!(inspect(&document, &InjectOptions::default()).unwrap(), None);
    }

    #[test]
    fn the_defaults_are_listed() {
        let parameters = inspect(&notebook(&["a", "parameters"]), &InjectOptions::default())
            .unwrap()
            .unwrap();
        assert_eq!(parameters.len(), 1);
        assert_eq!(parameters[0].name, "x");
    }

    #[test]
    fn report_mode_keeps_other_metadata() {
        let mut document = notebook(&["a"]);
        let jupyter = Json::from_iter([("outputs_hidden", false)]);
        document.cells_mut()[0]
            .metadata_mut()
            .insert("jupyter".to_owned(), jupyter);
        hide_sources(&mut document);
        let jupyter = &document.cells()[0].metadata()["jupyter"];
        assert_eq!(jupyter.to_string(), r#"{"outputs_hidden":false,"source_hidden":true}"#);
    }
}
