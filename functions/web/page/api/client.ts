/** HTTP requests to the API: the access token, its renewal with the session cookie, and errors. */

import { ApiError, errorOf, Offline, SignedOut } from "./errors.ts";
import type { IssuerLogout, Tokens } from "./types.ts";

const COOKIE_MODE = { "X-Session-Mode": "cookie" };
const RENEW_BEFORE_MS = 60_000;

export interface RequestOptions {
  body?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  query?: Record<string, string | number | boolean | null | undefined>;
  signal?: AbortSignal | undefined;
  idempotencyKey?: string;
  /** Finish the request even if the page closes. */
  keepalive?: boolean;
}

/** Sends requests for one user. The access token lives in memory only; a page load gets a new one with the cookie. */
export class Client {
  readonly base: URL;
  #token: string | null = null;
  #expiresAt = 0;
  #userId: string | null = null;
  #renewal: Promise<Tokens> | null = null;
  /** Called when the session turns out to have ended. */
  onSignedOut: () => void = () => undefined;
  /** Called with all new tokens. */
  onTokens: (tokens: Tokens) => void = () => undefined;

  constructor(base: URL = new URL(".", document.baseURI)) {
    this.base = base;
  }

  /** Send a request as the signed-in user and return its JSON, or null for an empty response. */
  async call<Result>(method: string, path: string, options: RequestOptions = {}): Promise<Result> {
    return (await readJson(await this.send(method, path, options))) as Result;
  }

  get<Result>(path: string, query: RequestOptions["query"] = {}, signal?: AbortSignal): Promise<Result> {
    return this.call("GET", path, { query, signal });
  }

  post<Result>(path: string, body: unknown = {}, options: RequestOptions = {}): Promise<Result> {
    return this.call("POST", path, { ...options, body });
  }

  patch<Result>(path: string, body: unknown): Promise<Result> {
    return this.call("PATCH", path, { body });
  }

  put<Result>(path: string, body: unknown): Promise<Result> {
    return this.call("PUT", path, { body });
  }

  delete(path: string, body?: unknown): Promise<null> {
    return this.call("DELETE", path, body === undefined ? {} : { body });
  }

  /** Send a request as the signed-in user and return the successful response, such as a stream. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    if (this.#token === null || Date.now() > this.#expiresAt - RENEW_BEFORE_MS) await this.renew();
    const response = await this.#fetch(method, path, options, this.#token);
    if (response.status !== 401) return successful(response);
    await this.renew();
    return successful(await this.#fetch(method, path, options, this.#token));
  }

  /** Fetch what anybody may read. */
  async getPublic<Result>(path: string): Promise<Result> {
    return (await readJson(await successful(await this.#fetch("GET", path, {}, null)))) as Result;
  }

  /** Send a request that starts or needs no session, such as a login. Tokens in the response start the session. */
  async sendPublic<Result>(path: string, body: unknown): Promise<Result> {
    const response = await successful(await this.#fetch("POST", path, { body, headers: COOKIE_MODE }, null));
    const result = (await readJson(response)) as Result;
    if (typeof result === "object" && result !== null && "access_token" in result)
      this.#accept(result as Tokens & Result);
    return result;
  }

  /**
   * Exchange the session cookie for an access token. Concurrent callers share one exchange. Throws SignedOut, also if another tab has
   * signed in somebody else: the requests of the earlier user must not be sent in the other's name.
   */
  renew(): Promise<Tokens> {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /**
   * End the session on the server and forget its token. Returns the logout of the issuer that started it, if there is one.
   * Throws SignedOut if the session has ended already. After any other error, the session goes on.
   */
  async signOut(everywhere = false): Promise<IssuerLogout | null> {
    const options = { body: { everywhere }, headers: COOKIE_MODE };
    const found = await this.call<IssuerLogout | null>("POST", "auth/logout", options);
    this.forget();
    return found;
  }

  forget(): void {
    this.#token = null;
    this.#expiresAt = 0;
    this.#userId = null;
  }

  async #renew(): Promise<Tokens> {
    const options = { body: {}, headers: COOKIE_MODE, keepalive: true };
    const response = await this.#fetch("POST", "auth/refresh", options, null);
    if (response.status === 401 || response.status === 422) {
      this.forget();
      this.onSignedOut();
      throw new SignedOut();
    }
    const before = this.#userId;
    const tokens = this.#accept((await readJson(await successful(response))) as Tokens);
    if (before !== null && before !== tokens.user.id) throw new SignedOut();
    return tokens;
  }

  #accept(tokens: Tokens): Tokens {
    this.#token = tokens.access_token;
    this.#userId = tokens.user.id;
    this.#expiresAt = Date.now() + tokens.expires_in * 1000;
    this.onTokens(tokens);
    return tokens;
  }

  async #fetch(method: string, path: string, options: RequestOptions, token: string | null): Promise<Response> {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: Record<string, string> = { ...options.headers };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    if (options.idempotencyKey !== undefined) headers["Idempotency-Key"] = options.idempotencyKey;
    const body = options.form ?? (options.body === undefined ? null : JSON.stringify(options.body));
    const { signal = null, keepalive = false } = options;
    try {
      return await fetch(url, {
        method,
        headers,
        body,
        signal,
        keepalive,
        credentials: "same-origin",
        cache: "no-store",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Offline(String(error));
    }
  }
}

async function successful(response: Response): Promise<Response> {
  if (response.ok) return response;
  throw await errorOf(response);
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError({ status: response.status, code: "bad_response", title: "The response is not JSON" });
  }
}
