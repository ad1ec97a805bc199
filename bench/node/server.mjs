// The server of the AI SDK as its documentation writes it: `streamText`, piped to the response as a UI message stream.
// node server.mjs <port of the model service>

import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { convertToModelMessages, streamText } from "ai";

const service = createOpenAICompatible({
  name: "bench",
  baseURL: `http://127.0.0.1:${process.argv[2]}/v1`,
  includeUsage: true,
});

const server = createServer(async (request, response) => {
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  const { messages, options } = JSON.parse(body);
  const result = streamText({
    model: service(options.model),
    messages: await convertToModelMessages(messages),
  });
  result.pipeUIMessageStreamToResponse(response);
});

server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => console.log(`port ${server.address().port}`));
