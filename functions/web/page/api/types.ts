/** The API's JSON, as far as the page uses it (functions/web/openapi.json describes all of it). */

export interface Problem {
  status: number;
  code: string;
  title: string;
  detail?: string;
  request_id?: string;
  errors?: { loc: (string | number)[]; msg: string }[];
  retryable?: boolean;
  redirect_to?: string | null;
}

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

export interface User {
  id: string;
  email: string;
  display_name: string | null;
  role: "user" | "admin";
  memory_enabled: boolean;
  default_model: string | null;
  retention_days: number | null;
  created_at: string;
}

export interface Tokens {
  user: User;
  access_token: string;
  expires_in: number;
  /** The session may only add the second factor that the server demands. */
  needs_second_factor?: boolean;
}

export interface Conversation {
  id: string;
  title: string | null;
  model: string | null;
  system_prompt: string | null;
  is_pinned: boolean;
  is_archived: boolean;
  tags: string[];
  project_id: string | null;
  assistant_id: string | null;
  created_at: string;
  updated_at: string;
  open_turn_id?: string | null;
}

/** A change of many conversations at once. */
export type BulkChange =
  | { action: "archive" | "unarchive" | "delete" }
  | { action: "tag" | "untag"; tag: string }
  | { action: "move"; project_id: string | null };

export interface ProjectChanges {
  name: string;
  instructions: string | null;
  memory_scope: "all" | "project";
  documents: string[];
}

export interface Project extends ProjectChanges {
  id: string;
  created_at: string;
}

export interface BulkResults {
  items: { id: string; outcome: "done" | "not_found" | "too_many_tags" }[];
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface DocumentSource {
  number: number;
  document_id: string;
  title: string;
  chunk_id: string;
  page: number | null;
  snippet: string;
  score: number;
}

export interface WebSource {
  number: number;
  url: string;
  title: string;
  snippet: string;
}

export type Source = DocumentSource | WebSource;

export type MessagePart =
  | { type: "text"; text: string }
  | { type: "text"; start: number; end: number }
  | { type: "tool_call"; call_id: string; name: string; arguments: Record<string, Json> }
  | { type: "tool_result"; call_id: string; ok: boolean; content: string }
  | { type: "user_message"; id: string; text: string }
  | ({ type: "source" } & Source)
  | { type: "image"; id: string; media_type: string };

export interface Message {
  id: string;
  seq: number;
  role: "user" | "assistant" | "system";
  parts: MessagePart[];
  text: string;
  model: string | null;
  status: "complete" | "completed" | "stopped" | "interrupted" | "failed";
  tokens: number;
  created_at: string;
  variant: number;
  is_active: boolean;
  usage: Usage | null;
  total_ms: number | null;
  feedback: Feedback | null;
}

export interface Feedback {
  rating: "good" | "bad";
  reason: string | null;
}

/** A link to a snapshot of a conversation. */
export interface SharedLink {
  id: string;
  conversation_id: string;
  audience: "public" | "signed_in" | "group";
  title: string | null;
  created_at: string;
  expires_at: string;
}

export interface CreatedLink extends SharedLink {
  token: string;
}

export interface SharedMessage {
  role: "user" | "assistant";
  text: string;
  sources: { number: number; title: string; page: number | null; url: string | null }[];
  created_at: string;
}

export interface Snapshot {
  title: string | null;
  messages: SharedMessage[];
  created_at: string;
}

/** A rating as admins see it. */
export interface RatedAnswer extends Feedback {
  user_id: string;
  message_id: string;
  model: string | null;
  created_at: string;
}

/** A row of the deployment's audit. */
export interface DeploymentEvent {
  id: string;
  at: string;
  action: string;
  actor: string;
  actor_id: string | null;
  account_id: string | null;
  network: string | null;
  outcome: "done" | "refused";
}

/** The times of a scheduled prompt: fields of cron in a time zone, or a number of minutes. */
export interface ScheduleTimes {
  cron: string | null;
  every_minutes: number | null;
  time_zone: string;
}

export interface Schedule extends ScheduleTimes {
  id: string;
  prompt: string;
  model: string | null;
  tools: boolean;
  documents: boolean;
  email: boolean;
  next_at: string | null;
  failures: number;
  paused_at: string | null;
  created_at: string;
}

export interface ScheduleRun {
  id: string;
  due_at: string;
  status: "queued" | "running" | "completed" | "waiting" | "failed";
  conversation_id: string | null;
  error_code: string | null;
}

export type WebhookEvent = "turn.waiting_for_approval" | "schedule.ended" | "budget.warning";

export interface Webhook {
  id: string;
  url: string;
  events: WebhookEvent[];
  failures: number;
  disabled_at: string | null;
  created_at: string;
  /** Only in the response that makes it. */
  secret?: string | null;
}

/** An event that was sent to a web hook, or will be. */
export interface Delivery {
  id: string;
  type: WebhookEvent;
  status: "pending" | "delivered" | "failed";
  attempts: number;
  response_status: number | null;
  error: string | null;
  created_at: string;
}

/** The form that uploads a large file, without its `file`. */
export interface UploadForm {
  id: string;
  upload_url: string;
  fields: Record<string, string>;
}

/** An import of conversations, with the report of what was left out. */
export interface ImportInfo {
  id: string;
  filename: string;
  status: "queued" | "processing" | "ready" | "failed";
  progress: number;
  conversations_added: number;
  conversations_extended: number;
  messages_added: number;
  left_out: { code: string; reason: string; count: number }[];
  error: string | null;
  created_at: string;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
}

export interface Memory {
  kind: "fact" | "passage";
  id: string;
  text: string;
}

export interface ToolCall {
  call_id: string;
  name: string;
  arguments: Record<string, Json>;
}

export interface FormField {
  id: string;
  text: string;
  kind: "choice" | "multiple" | "text" | "number" | "boolean";
  options: { value: string; label: string }[];
  required: boolean;
  is_integer: boolean;
  minimum: number | null;
  maximum: number | null;
  min_length: number | null;
  max_length: number | null;
  format: "email" | "uri" | "date" | "date-time" | null;
  default: FormAnswer | null;
}

export type FormAnswer = string | number | boolean | string[];

/** Questions to the user. `server` is the MCP server that asks, null if the model asks. */
export interface UserForm {
  server: string | null;
  message: string;
  fields: FormField[];
}

export interface UserQuestion {
  question_id: string;
  call_id: string;
  name: string;
  form: UserForm;
}

/** The events of a turn (functions/chat/turn/events.py). */
export type TurnEvent =
  | { name: "turn.started"; data: { turn_id: string; conversation_id: string; user_message_id: string; model: string } }
  | { name: "source"; data: Source }
  | { name: "memory"; data: Memory }
  | { name: "text.delta"; data: { text: string } }
  | { name: "tool.call" | "tool.approval"; data: ToolCall }
  | { name: "tool.question"; data: UserQuestion }
  | { name: "message.read"; data: { id: string; text: string } }
  | {
      name: "tool.result";
      data: { call_id: string; name: string; ok: boolean; content: string; elapsed_ms: number };
    }
  | {
      name: "turn.completed";
      data: {
        message_id: string;
        finish_reason: string;
        usage: Usage;
        model: string;
        timings: { first_token_ms: number | null; total_ms: number };
      };
    }
  | { name: "turn.stopped" | "turn.interrupted"; data: { message_id: string; reason: string; usage: Usage } }
  | { name: "turn.waiting"; data: { call_ids: string[] } }
  | { name: "turn.failed"; data: Problem };

export interface TurnState {
  id: string;
  conversation_id: string;
  status: "running" | "waiting" | "completed" | "stopped" | "interrupted" | "failed";
  model: string;
  approvals: (ToolCall & { is_approved: boolean | null })[];
}

export interface Model {
  id: string;
  provider: string;
  context_tokens: number;
  abilities: string[];
  default: boolean;
  input_usd_per_mtok: number;
  output_usd_per_mtok: number;
}

export interface FoundPassage {
  conversation_id: string;
  title: string | null;
  seq: number;
  snippet: string;
  said_at: string;
}

export interface Fact {
  id: string;
  text: string;
  source: "user" | "extracted";
  conversation_id: string | null;
  message_id: string | null;
  seq: number | null;
  created_at: string;
  superseded_by: string | null;
  ended_at: string | null;
}

export interface DocumentInfo {
  id: string;
  title: string;
  content_type: string;
  bytes: number;
  status: "queued" | "processing" | "ready" | "failed";
  progress: number;
  chunks: number;
  error: string | null;
  shared: boolean;
  is_own: boolean;
  owner: { email: string; display_name: string | null } | null;
  note: string | null;
  created_at: string;
}

/** A group as admins see it. The monthly budget is that of all members together, and `member_budget_usd` that of each. */
export interface FundedGroup {
  id: string;
  name: string;
  members: number | null;
  monthly_budget_usd: number | null;
  member_budget_usd: number | null;
  spent_usd: number;
  created_at: string;
}

export interface Group extends FundedGroup {
  role: "owner" | "member" | "invited";
}

export interface GroupMember {
  email: string;
  display_name: string | null;
  role: "owner" | "member" | "invited";
  created_at: string;
}

/** An assistant in a list. */
export interface Assistant {
  id: string;
  version: number;
  name: string;
  picture: string | null;
  description: string | null;
  model: string | null;
  starters: string[];
  shared: boolean;
  is_own: boolean;
  owner: { email: string; display_name: string | null } | null;
  created_at: string;
}

export interface AssistantDetail extends Assistant {
  instructions: string;
  tools: boolean | string[];
  documents: boolean | string[];
  memory: "all" | "none";
}

export interface AssistantVersion {
  version: number;
  instructions: string;
  created_at: string;
}

/** A prompt in a list. */
export interface Prompt {
  id: string;
  name: string;
  version: number;
  description: string | null;
  variables: { name: string; type: "text" | "number" | "choice"; choices: string[] }[];
  shared: boolean;
  is_own: boolean;
  owner: { email: string; display_name: string | null } | null;
  created_at: string;
}

export interface PromptDetail extends Prompt {
  text: string;
}

export interface PromptVersion {
  version: number;
  text: string;
  created_at: string;
}

export interface Chunk {
  chunk_id: string;
  heading: string;
  number: number;
  text: string;
  page: number | null;
}

export interface Tool {
  name: string;
  description: string;
  parameters: Record<string, Json>;
  source: "builtin" | "plugin" | "langchain" | "mcp";
  enabled: boolean;
  requires_approval: boolean;
}

export interface Session {
  id: string;
  created_at: string;
  last_used_at: string;
  address: string | null;
  user_agent: string | null;
  client_name: string | null;
  current: boolean;
}

/** How users may sign in: by a password, by issuers of OpenID Connect, or both. */
export interface Passkey {
  id: string;
  name: string;
  is_backed_up: boolean;
  created_at: string;
  last_used_at: string | null;
}

export interface LoginOptions {
  password_login: boolean;
  passkey_rp_id: string | null;
  issuers: { id: string; label: string }[];
}

/** Where the user signs out of the issuer too. */
export interface IssuerLogout {
  label: string;
  url: string;
}

/** An application's request to use the MCP server for the user. */
export interface Authorization {
  client_name: string;
  client_host: string | null;
  redirect_host: string;
  is_local: boolean;
  scopes: string[];
}

export interface ApiKey {
  id: string;
  name: string;
  scopes: string[];
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
  key?: string | null;
}

export interface AuditEvent {
  id: string;
  at: string;
  event: string;
  address: string | null;
  user_agent: string | null;
}

export interface DailyUsage {
  day: string;
  model: string;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
}

export interface Budget {
  monthly_usd: number;
  spent_usd: number;
  reserved_usd: number;
  left_usd: number;
  resets_at: string;
}

export interface Account {
  id: string;
  email: string;
  display_name: string | null;
  role: "user" | "admin";
  disabled: boolean;
  monthly_budget_usd: number | null;
  created_at: string;
}

export interface EndedSessions {
  users: number;
  sessions: number;
  api_keys: number;
}

export interface UsageGroup {
  user_id: string | null;
  model: string | null;
  day: string | null;
  turns: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
}

/** The address for the identity provider, and the tokens that are valid for it. */
export interface ScimTokens {
  base_url: string;
  tokens: { id: string; created_at: string; expires_at: string | null; last_used_at: string | null }[];
}

export interface Invite {
  id: string;
  email: string | null;
  created_at: string;
  expires_at: string;
  invite?: string | null;
}
