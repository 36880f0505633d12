//! The command line of MCP Jupyter.

fn main() -> std::process::ExitCode {
    mcp_jupyter_cli::main(std::env::args_os())
}
