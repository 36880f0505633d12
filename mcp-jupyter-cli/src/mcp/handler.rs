//! The server as the protocol sees it.

#![expect(deprecated, reason = "the revisions before 2026-07-28 have levels of the log")]

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CustomRequest,
    CustomResult, ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    SetLevelRequestMethod, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;

use super::answer::{Answer, Refusal};
use super::caller::Caller;
use super::connection::{Connection, can_be_asked};
use super::logging::{ClientLog, WantedLevel};
use super::messages;
use super::resources;
use super::server::Server;
use super::tool::{Effect, Entry};
use super::tools;
use super::{completion, eliciting, prompts, tasks};

const INSTRUCTIONS: &str = "\
Runs Jupyter notebooks on real kernels. Notebooks are named by their path, cells by their id (a unique start of it will \
do; #3 for reading only). Kernels live on between calls and when this server ends. `run` executes what is stale and what \
that needs, knows from the code which cell depends on which, and returns a run id when it takes longer than you wait. \
Edits name the digest in [brackets] of the source that they replace, as notebook_read shows it. What is left out of a \
result is said there, with the call that gets it.";

/// Serves one connection.
#[derive(Debug)]
pub(super) struct Handler {
    server: Arc<Server>,
    connection: Arc<Connection>,
    log: WantedLevel,
}

impl Handler {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            connection: Arc::default(),
            log: WantedLevel::default(),
        }
    }

    /// The log for a request, where its client listens.
    pub(super) fn log(&self, context: &RequestContext<RoleServer>) -> Option<ClientLog> {
        self.log.log(context)
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

    /// The names of the tools that are offered.
    fn names(&self) -> Vec<&'static str> {
        self.offered().map(|entry| entry.name).collect()
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
        let answered = eliciting::take_up(&server, &request, &caller).await;
        let arguments = request.arguments.unwrap_or_default();
        let noted = self.server.audit.as_ref().filter(|_| entry.effect != Effect::Reads);
        let noted = noted.map(|audit| (audit, caller.name.clone(), arguments.clone()));
        let called = match answered {
            Some(answered) => answered,
            None => (entry.call)(server, arguments, caller).await,
        };
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

fn not_found(uri: &str, reason: &Refusal) -> ErrorData {
    ErrorData::resource_not_found(reason.to_string(), Some(json!({ "uri": uri })))
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_completions()
            .enable_logging()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tasks()
            .build();
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
        let with_schemas = self.server.policy.output_schemas;
        let tools = self.offered().map(|entry| entry.to_model(with_schemas)).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // Each request says its own level since.
        if context.meta.protocol_version().is_some() {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        self.log.set(request.level);
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        let task = tasks::get(&server, &request.task_id, &context)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        tasks::update(&server, &request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        tasks::cancel(&server, &request.task_id)
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
            let message = format!(
                "there is no tool {:?}; there are {}",
                request.name,
                self.names().join(", ")
            );
            return Err(ErrorData::new(ErrorCode::INVALID_PARAMS, message, None));
        }
        let server = self.connection.server(&self.server, &context).await;
        let tool = request.name.clone();
        let caller = || Caller::new(&context).with_log(self.log(&context));
        let called = self.call(Arc::clone(&server), request, caller()).await;
        Ok(match called {
            Ok(answer) => match tasks::of(&server, &tool, &answer, &context) {
                Some(task) => CallToolResponse::Task(task),
                None => eliciting::finish(&server, answer, &context, &caller()).await,
            },
            Err(refusal) => refusal.into_result(self.server.policy.text_limit).into(),
        })
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        let cursor = request.and_then(|request| request.cursor);
        let listed = resources::list(&server, &self.names(), cursor.as_deref()).await;
        let listed = listed.map_err(|refusal| ErrorData::invalid_params(refusal.to_string(), None))?;
        if can_be_asked(&context) {
            let subscriptions = &self.connection.subscriptions;
            subscriptions.add_list(&server, &context.peer, self.names()).await;
        }
        Ok(listed)
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = resources::templates(&self.names());
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        let read = resources::read(&server, &request.uri, &self.names(), &Caller::new(&context)).await;
        Ok(read.map_err(|refusal| not_found(&request.uri, &refusal))?.into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list(&self.names())))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let prompt = prompts::get(&request.name, &arguments, &self.names());
        Ok(prompt
            .map_err(|refusal| ErrorData::invalid_params(refusal.to_string(), None))?
            .into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        let completed = completion::complete(&server, &request, &self.names()).await;
        let completed = completed.map_err(|refusal| ErrorData::internal_error(refusal.to_string(), None))?;
        Ok(CompleteResult::new(completed))
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let server = self.connection.server(&self.server, &context).await;
        let subscriptions = &self.connection.subscriptions;
        let added = subscriptions.add(&server, &context.peer, request.uri.clone(), self.names());
        added.await.map_err(|refusal| not_found(&request.uri, &refusal))
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.connection.subscriptions.remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let subscriptions = &self.connection.subscriptions;
        Some(subscriptions.begin(&self.server, requested, &self.names()))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            () = self.connection.subscriptions.listen(&self.server, context.sink(), self.names()) => {}
            () = context.cancelled() => {}
        }
        Ok(())
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.connection.renew_roots(&self.server, &context.peer).await;
    }
}
