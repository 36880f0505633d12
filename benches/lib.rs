//! Inputs that the benchmarks share.

use mcp_jupyter_core::kernel::{Channel, Header, Message};
use mcp_jupyter_core::model::{Json, JsonMap};

/// A `stream` message on iopub with `text`, as a kernel sends it.
pub fn stream_message(text: &str) -> Message {
    let content: JsonMap = [("name", Json::from("stdout")), ("text", text.into())]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
    let mut message = Message::new(Channel::Iopub, "stream", "bench", content);
    message.parent_header = Some(Header::new("execute_request", "bench"));
    message
}

/// A notebook document with `cells` code cells of a few lines, each with one output.
pub fn notebook_document(cells: usize) -> Vec<u8> {
    let cell = |index: usize| {
        format!(
            r#"  {{
   "cell_type": "code",
   "execution_count": {index},
   "id": "cell-{index}",
   "metadata": {{}},
   "outputs": [
    {{
     "name": "stdout",
     "output_type": "stream",
     "text": [
      "row {index}\n",
      "mean 0.25 \u00b1 0.01\n"
     ]
    }}
   ],
   "source": [
    "frame = load({index})\n",
    "print(frame.mean())"
   ]
  }}"#
        )
    };
    let cells: Vec<String> = (0..cells).map(cell).collect();
    format!(
        "{{\n \"cells\": [\n{}\n ],\n \"metadata\": {{}},\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}}\n",
        cells.join(",\n")
    )
    .into_bytes()
}
