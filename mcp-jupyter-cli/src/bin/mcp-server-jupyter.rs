//! The MCP server of MCP Jupyter.

fn main() -> std::process::ExitCode {
    mcp_jupyter_cli::main_of_server(std::env::args_os())
}
