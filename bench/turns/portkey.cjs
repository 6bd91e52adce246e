// Loaded before Portkey's gateway, which has no options for either:
// it listens on every interface, and with its present dependencies every stream ends with "TypeError: immutable",
// because it adds headers to a response of `fetch`.
const { Server } = require("node:net");

const { listen } = Server.prototype;

Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest.filter((argument) => typeof argument === "function"));
};

const { fetch, Headers, Response } = globalThis;

globalThis.fetch = async (...request) => {
  const { body, status, statusText, headers } = await fetch(...request);
  return new Response(body, { status, statusText, headers: new Headers(headers) });
};
