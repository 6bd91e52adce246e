import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Client } from "../api/client.ts";
import { ApiError, Offline, SignedOut } from "../api/errors.ts";

const BASE = new URL("https://chat.example/");
const TOKEN_MS = 600_000;

/** A server with one session. It accepts an access token for ten minutes. */
class Server {
  isOpen = true;
  /** The status of the next logout instead of the server's own, 0 for a lost connection. */
  nextLogout: number | null = null;
  paths: string[] = [];
  /** The id of the user to whom the session cookie of the browser belongs. */
  userId = "ada";
  #issued = new Map<string, number>();

  fetch = async (url: URL, { headers }: { headers: Record<string, string> }): Promise<Response> => {
    this.paths.push(url.pathname);
    if (url.pathname === "/auth/refresh") return this.isOpen ? this.#issue() : refusal(401);
    const status = this.nextLogout;
    this.nextLogout = null;
    if (status === 0) throw new TypeError("Failed to fetch");
    if (status !== null) return refusal(status);
    const issuedAt = this.#issued.get(headers.Authorization ?? "") ?? 0;
    if (!this.isOpen || Date.now() > issuedAt + TOKEN_MS) return refusal(401);
    assert.equal(headers["X-Session-Mode"], "cookie");
    this.isOpen = false;
    return new Response(null, { status: 204 });
  };

  #issue(): Response {
    const token = `token-${this.#issued.size}`;
    this.#issued.set(`Bearer ${token}`, Date.now());
    return Response.json({ user: { id: this.userId }, access_token: token, expires_in: TOKEN_MS / 1000 });
  }
}

function refusal(status: number): Response {
  return Response.json({ status, code: "refused", title: "Refused" }, { status });
}

let server: Server;
let client: Client;

beforeEach(async () => {
  mock.restoreAll();
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: 1_000_000_000 });
  server = new Server();
  mock.method(globalThis, "fetch", server.fetch);
  client = new Client(BASE);
  await client.renew();
  server.paths = [];
});

test("a sign-out after more than ten minutes renews the access token and ends the session", async () => {
  mock.timers.tick(TOKEN_MS + 60_000);

  assert.equal(await client.signOut(), null);
  assert.deepEqual([server.isOpen, server.paths], [false, ["/auth/refresh", "/auth/logout"]]);
});

test("a sign-out whose access token is refused is repeated with a new one", async () => {
  server.nextLogout = 401;

  await client.signOut();

  assert.deepEqual([server.isOpen, server.paths], [false, ["/auth/logout", "/auth/refresh", "/auth/logout"]]);
});

test("a sign-out that the server does not confirm throws, and can be repeated", async () => {
  server.nextLogout = 0;
  await assert.rejects(client.signOut(), Offline);
  server.nextLogout = 500;
  await assert.rejects(client.signOut(), ApiError);

  await client.signOut();

  assert.equal(server.isOpen, false);
});

test("a sign-out of a session that has ended throws SignedOut", async () => {
  server.isOpen = false;

  await assert.rejects(client.signOut(), SignedOut);
});

test("a request is not sent in the name of a user who has signed in in another tab", async () => {
  const users: string[] = [];
  client.onTokens = (tokens) => users.push(tokens.user.id);
  server.userId = "eve";
  mock.timers.tick(TOKEN_MS + 60_000);

  await assert.rejects(client.post("chat", { message: "Only for Ada's account." }), SignedOut);
  assert.deepEqual([server.paths, users], [["/auth/refresh"], ["eve"]]);
});
