import type { Problem } from "./types.ts";

/** The API refused a request. `problem` is its RFC 9457 document. */
export class ApiError extends Error {
  readonly problem: Problem;
  readonly retryAfterS: number | null;

  constructor(problem: Problem, retryAfterS: number | null = null) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }

  get code(): string {
    return this.problem.code;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** The server cannot be reached, or the connection broke. */
export class Offline extends Error {}

/** The session has ended: the user must sign in again. */
export class SignedOut extends Error {}

const TRANSIENT_STATUSES = [502, 503, 504];

/** Whether the same request may soon succeed: the server cannot be reached, is starting or is overloaded. */
export function isTransient(error: unknown): boolean {
  return error instanceof Offline || (error instanceof ApiError && TRANSIENT_STATUSES.includes(error.status));
}

/** Read a response that is not a success. A body that is not a problem document gets the status as its code. */
export async function errorOf(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("Retry-After"));
  const body: unknown = await response.json().catch(() => null);
  const problem = isProblem(body)
    ? body
    : { status: response.status, code: `http_${response.status}`, title: response.statusText };
  return new ApiError(problem, retryAfter > 0 ? retryAfter : null);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "status" in body;
}
