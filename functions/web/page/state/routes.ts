/** The screens, and the addresses after `#` that name them. */

export type Route =
  | { view: "chat"; id: string | null }
  | { view: "settings"; section: string }
  | { view: "admin"; section: string }
  | { view: "documents"; id: string | null }
  | { view: "memory" }
  | { view: "projects" }
  | { view: "groups" }
  | { view: "assistants" }
  | { view: "prompts" }
  | { view: "connect"; query: string }
  | { view: "shared"; token: string }
  | { view: "sign-in"; problem: string | null }
  | { view: "register" | "reset" };

export function parseRoute(text: string): Route {
  // An application's request is passed on unchanged.
  const connect = /^#\/connect\?(.*)$/s.exec(text);
  if (connect) return { view: "connect", query: connect[1] ?? "" };
  const [first = "", second = ""] = text.replace(/^#\/?/, "").split("/").map(decode);
  switch (first) {
    case "c":
      return { view: "chat", id: second || null };
    case "settings":
      return { view: "settings", section: second || "profile" };
    case "admin":
      return { view: "admin", section: second || "users" };
    case "documents":
      return { view: "documents", id: second || null };
    case "shared":
      return { view: "shared", token: second };
    case "sign-in":
      return { view: first, problem: second || null };
    case "assistants":
    case "groups":
    case "memory":
    case "projects":
    case "prompts":
    case "register":
    case "reset":
      return { view: first };
    default:
      return { view: "chat", id: null };
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
