//! The server as the protocol sees it.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult, ErrorCode, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleServer, ServerHandler};

use super::answer::{Answer, Refusal};
use super::caller::Caller;
use super::connection::Connection;
use super::messages;
use super::server::Server;
use super::tool::{Effect, Entry};
use super::tools;

const INSTRUCTIONS: &str = "\
Runs Jupyter notebooks on real kernels. Notebooks are named by their path, cells by their id (a unique start of it will \
do; #3 for reading only). Kernels live on between calls and when this server ends. `run` executes what is stale and what \
that needs, knows from the code which cell depends on which, and returns a run id when it takes longer than you wait. \
Edits name the digest in [brackets] of the source that they replace, as notebook_read shows it. What is left out of a \
result is said there, with the call that gets it.";

/// Serves one connection.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    server: Arc<Server>,
    connection: Arc<Connection>,
}

impl Handler {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            connection: Arc::default(),
        }
    }

    fn offered(&self) -> impl Iterator<Item = &'static Entry> {
        tools::ALL.iter().filter(|entry| self.is_offered(entry))
    }

    fn is_offered(&self, entry: &Entry) -> bool {
        let policy = &self.server.policy;
        let named = |list: &[String]| list.iter().any(|name| name == entry.name);
        (policy.allowed.is_empty() || named(&policy.allowed))
            && !named(&policy.denied)
            && (!policy.read_only || entry.effect == Effect::Reads)
    }

    async fn call(
        &self,
        server: Arc<Server>,
        request: CallToolRequestParams,
        caller: Caller,
    ) -> Result<Answer, Refusal> {
        let entry = tools::ALL.iter().find(|entry| entry.name == request.name);
        let entry = entry.expect("it was looked for before");
        if !self.is_offered(entry) {
            return Err(Refusal::new(format!("{} is not allowed on this server", entry.name))
                .with_advice("whoever runs the server decides that: --read-only, --allow-tools, --deny-tools"));
        }
        let arguments = request.arguments.unwrap_or_default();
        let noted = self.server.audit.as_ref().filter(|_| entry.effect != Effect::Reads);
        let noted = noted.map(|audit| (audit, caller.name.clone(), arguments.clone()));
        let called = (entry.call)(server, arguments, caller).await;
        if let Some((audit, client, arguments)) = noted {
            let outcome = match &called {
                Ok(answer) if answer.is_failure => "failed".to_owned(),
                Ok(_) => "ok".to_owned(),
                Err(refusal) => format!("refused: {refusal}"),
            };
            audit.note(&client, entry.name, &arguments, &outcome);
        }
        called
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let info = Implementation::new("mcp-server-jupyter", env!("CARGO_PKG_VERSION")).with_title("MCP Jupyter");
        ServerConfig::new(capabilities)
            .with_server_info(info)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.offered().map(Entry::to_model).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(messages::unfit(&request, &self.get_info().capabilities))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if !tools::ALL.iter().any(|entry| entry.name == request.name) {
            let known: Vec<&str> = self.offered().map(|entry| entry.name).collect();
            let message = format!("there is no tool {:?}; there are {}", request.name, known.join(", "));
            return Err(ErrorData::new(ErrorCode::INVALID_PARAMS, message, None));
        }
        let server = self.connection.server(&self.server, &context).await;
        let caller = Caller::new(&context);
        let result: CallToolResult = match self.call(server, request, caller).await {
            Ok(answer) => answer.into(),
            Err(refusal) => refusal.into_result(self.server.policy.text_limit),
        };
        Ok(result.into())
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.connection.renew_roots(&self.server, &context.peer).await;
    }
}
