/** The screens, and the addresses after `#` that name them. */

export type Route =
  | { view: "chat"; id: string | null }
  | { view: "settings"; section: string }
  | { view: "admin"; section: string }
  | { view: "documents"; id: string | null }
  | { view: "memory" }
  | { view: "sign-in" | "register" | "reset" };

export function parseRoute(text: string): Route {
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
    case "memory":
    case "sign-in":
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
