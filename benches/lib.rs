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

/// The shapes of notebooks that planning is measured on.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Cells as in a data analysis, of about 90 bytes: loading, functions, frames, plots.
    Realistic,
    /// Every cell reads the one above.
    Chain,
    /// Every cell reads the first.
    Star,
}

/// The sources of a notebook of `count` cells.
pub fn sources(shape: Shape, count: usize) -> Vec<String> {
    let source = |index: usize| match shape {
        Shape::Realistic => realistic(index),
        Shape::Chain if index == 0 => "x0 = 1".to_owned(),
        Shape::Chain => format!("x{index} = x{} + 1", index - 1),
        Shape::Star if index == 0 => "x0 = [1]".to_owned(),
        Shape::Star => format!("x{index} = len(x0) + {index}"),
    };
    (0..count).map(source).collect()
}

fn realistic(index: usize) -> String {
    let part = index / 10;
    match index % 10 {
        0 => "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt".to_owned(),
        1 => format!("df{part} = pd.read_csv('part-{part}.csv')\ndf{part}.head()"),
        2 => format!("def scale{part}(values, by=2.0):\n    return (values - values.mean()) / by"),
        3 => format!("df{part}['z'] = scale{part}(df{part}['y'])\nclean{part} = df{part}.dropna()"),
        4 => format!("means{part} = clean{part}.groupby('key')['z'].mean()\nmeans{part}"),
        5 => format!("fig, ax = plt.subplots()\nax.plot(means{part}.index, means{part}.values)\nplt.show()"),
        6 => format!("rows{part} = [f\"{{k}}: {{v:.2f}}\" for k, v in means{part}.items()]\nprint(len(rows{part}))"),
        7 => format!("total{part} = 0\nfor value in means{part}:\n    total{part} += value * np.pi"),
        8 => format!("summary{part} = {{'total': total{part}, 'rows': rows{part}, 'n': len(clean{part})}}"),
        _ => format!("print(summary{part}['total'] / max(summary{part}['n'], 1))"),
    }
}
