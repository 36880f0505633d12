//! The scheduler as a service.

fn main() -> std::process::ExitCode {
    mcp_jupyter_cli::main_of_scheduler_service(std::env::args_os())
}
