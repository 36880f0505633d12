//! A store of large outputs as a service.

fn main() -> std::process::ExitCode {
    mcp_jupyter_cli::main_of_asset_service(std::env::args_os())
}
