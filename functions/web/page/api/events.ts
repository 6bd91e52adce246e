/** Parse Server-Sent Events (WHATWG HTML, 9.2.6) from a stream of bytes. */

export interface ServerEvent {
  id: number;
  name: string;
  data: string;
}

/** Yields the events of a response body. An unfinished event at the end is dropped, as the standard demands. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  const parser = new EventParser();
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) yield* parser.push(chunk.value);
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Collects text and returns the events that it completes. */
export class EventParser {
  #rest = "";
  #event: { id: number; name: string; data: string[] } = { id: 0, name: "message", data: [] };

  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === "") return this.#dispatch();
    // With the flag "s", a dot also matches U+2028 and U+2029, which JSON does not escape.
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") this.#event.name = value;
    else if (field === "data") this.#event.data.push(value);
    else if (field === "id") this.#event.id = Number(value);
    return [];
  }

  #dispatch(): ServerEvent[] {
    const { id, name, data } = this.#event;
    this.#event = { id, name: "message", data: [] };
    return data.length > 0 ? [{ id, name, data: data.join("\n") }] : [];
  }
}
