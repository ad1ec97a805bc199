// Programs as people write them, each with another SDK, and Palaver as the service that they ask.
//
//   node clients.js http://127.0.0.1:8000 openai '["text", "default"]' '["tools", "claude"]' …
//
// Each argument is a scenario and a model; what came of it is one line of JSON.

const [address, sdk, ...asked] = process.argv.slice(2);

const rainSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const answerSchema = {
  type: "object",
  properties: { city: { type: "string" }, mm: { type: "number" } },
  required: ["city", "mm"],
  additionalProperties: false,
};
const question = "How wet is it in Tromsø?";
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const pixelUrl = `data:image/png;base64,${pixel}`;
const texts = ["The cat sleeps.", "Bread and baking", "A car in the rain"];

function rain({ city }) {
  return `${city}: 7.5 mm`;
}

async function openai() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "unused", maxRetries: 0 });
  const create = (model, messages, more) => client.chat.completions.create({ model, messages, ...more });
  const user = (content) => ({ role: "user", content });
  return {
    async text(model) {
      return (await create(model, [user("say Hello there")])).choices[0].message.content;
    },
    async stream(model) {
      const pieces = { text: [], reasoning: [] };
      for await (const chunk of await create(model, [user("think")], { stream: true })) {
        const delta = chunk.choices[0].delta;
        if (delta.content) pieces.text.push(delta.content);
        if (delta.reasoning_content) pieces.reasoning.push(delta.reasoning_content);
      }
      return pieces;
    },
    async tools(model) {
      const messages = [user(question)];
      const offered = { tools: [{ type: "function", function: { name: "rain", parameters: rainSchema } }] };
      const runner = client.chat.completions.stream({ model, messages, ...offered });
      const { message } = (await runner.finalChatCompletion()).choices[0];
      messages.push(message);
      const calls = message.tool_calls.map((call) => JSON.parse(call.function.arguments));
      message.tool_calls.forEach((call, place) =>
        messages.push({ role: "tool", tool_call_id: call.id, content: rain(calls[place]) }),
      );
      return { calls, text: (await create(model, messages, offered)).choices[0].message.content };
    },
    async json(model) {
      const format = { type: "json_schema", json_schema: { name: "rainfall", schema: answerSchema, strict: true } };
      const answer = await create(model, [user(question)], { response_format: format });
      return JSON.parse(answer.choices[0].message.content);
    },
    async image(model) {
      const picture = { type: "image_url", image_url: { url: pixelUrl } };
      return (await create(model, [user([{ type: "text", text: question }, picture])])).choices[0].message.content;
    },
    async retry(model) {
      const patient = client.withOptions({ maxRetries: 1 });
      const messages = [user("say Hello there")];
      return (await patient.chat.completions.create({ model, messages })).choices[0].message.content;
    },
    async embeddings(model) {
      const { data } = await client.embeddings.create({ model, input: texts });
      return data.map(({ embedding }) => embedding);
    },
    error: (model) => create(model, [user("error")]),
    async midway(model) {
      for await (const _ of await create(model, [user("error midway")], { stream: true }));
    },
    async models() {
      const names = [];
      for await (const model of client.models.list()) names.push(model.id);
      return names;
    },
  };
}

async function openaiResponses() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "unused", maxRetries: 0 });
  const create = (model, input, more) => client.responses.create({ model, input, ...more });
  return {
    async text(model) {
      return (await create(model, "say Hello there")).output_text;
    },
    async stream(model) {
      const pieces = { text: [], reasoning: [] };
      for await (const event of await create(model, "think", { stream: true })) {
        if (event.type === "response.output_text.delta") pieces.text.push(event.delta);
        if (event.type === "response.reasoning_summary_text.delta") pieces.reasoning.push(event.delta);
      }
      return pieces;
    },
    async tools(model) {
      const input = [{ role: "user", content: question }];
      const offered = { tools: [{ type: "function", name: "rain", parameters: rainSchema, strict: false }] };
      const { output } = await client.responses.stream({ model, input, ...offered }).finalResponse();
      const calls = output.filter((item) => item.type === "function_call");
      const inputs = calls.map((call) => JSON.parse(call.arguments));
      const results = calls.map(({ call_id }, place) => ({
        type: "function_call_output",
        call_id,
        output: rain(inputs[place]),
      }));
      return { calls: inputs, text: (await create(model, [...input, ...output, ...results], offered)).output_text };
    },
    async json(model) {
      const format = { type: "json_schema", name: "rainfall", schema: answerSchema, strict: true };
      return JSON.parse((await create(model, question, { text: { format } })).output_text);
    },
    async image(model) {
      const picture = { type: "input_image", image_url: pixelUrl, detail: "auto" };
      const content = [{ type: "input_text", text: question }, picture];
      return (await create(model, [{ role: "user", content }])).output_text;
    },
    async retry(model) {
      const patient = client.withOptions({ maxRetries: 1 });
      return (await patient.responses.create({ model, input: "say Hello there" })).output_text;
    },
    error: (model) => create(model, "error"),
    midway: (model) => client.responses.stream({ model, input: "error midway" }).finalResponse(),
  };
}

async function anthropic() {
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const client = new Anthropic({ baseURL: address, apiKey: "unused", maxRetries: 0 });
  const asking = (model, messages, more) => ({ model, messages, max_tokens: 4000, ...more });
  const user = (content) => ({ role: "user", content });
  const textOf = (message) => message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
  return {
    async text(model) {
      return textOf(await client.messages.create(asking(model, [user("say Hello there")])));
    },
    async stream(model) {
      const pieces = { text: [], reasoning: [] };
      const stream = client.messages.stream(asking(model, [user("think")]));
      stream.on("text", (piece) => pieces.text.push(piece));
      stream.on("thinking", (piece) => pieces.reasoning.push(piece));
      await stream.finalMessage();
      return pieces;
    },
    async tools(model) {
      const messages = [user(question)];
      const offered = { tools: [{ name: "rain", input_schema: rainSchema }] };
      const { content } = await client.messages.stream(asking(model, messages, offered)).finalMessage();
      messages.push({ role: "assistant", content });
      const calls = content.filter((block) => block.type === "tool_use");
      const results = calls.map(({ id, input }) => ({ type: "tool_result", tool_use_id: id, content: rain(input) }));
      messages.push(user(results));
      const last = await client.messages.stream(asking(model, messages, offered)).finalMessage();
      return { calls: calls.map(({ input }) => input), text: textOf(last) };
    },
    async json(model) {
      const output_config = { format: { type: "json_schema", schema: answerSchema } };
      const stream = client.messages.stream(asking(model, [user(question)], { output_config }));
      return JSON.parse(textOf(await stream.finalMessage()));
    },
    async image(model) {
      const source = { type: "base64", media_type: "image/png", data: pixel };
      const content = [{ type: "text", text: question }, { type: "image", source }];
      return textOf(await client.messages.stream(asking(model, [user(content)])).finalMessage());
    },
    async retry(model) {
      const patient = client.withOptions({ maxRetries: 1 });
      return textOf(await patient.messages.create(asking(model, [user("say Hello there")])));
    },
    async count(model) {
      return (await client.messages.countTokens({ model, messages: [user(question)] })).input_tokens;
    },
    error: (model) => client.messages.create(asking(model, [user("error")])),
    midway: (model) => client.messages.stream(asking(model, [user("error midway")])).finalMessage(),
    async models() {
      const names = [];
      for await (const model of client.models.list()) names.push(model.id);
      return names;
    },
  };
}

async function aiSdk(provider) {
  const { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } = await import("ai");
  const common = (model) => ({ model: provider(model), maxRetries: 0, maxOutputTokens: 4000 });
  return {
    async text(model) {
      return (await generateText({ ...common(model), prompt: "say Hello there" })).text;
    },
    async stream(model) {
      const pieces = { text: [], reasoning: [] };
      for await (const part of streamText({ ...common(model), prompt: "think" }).fullStream) {
        if (part.type === "text-delta") pieces.text.push(part.text);
        if (part.type === "reasoning-delta") pieces.reasoning.push(part.text);
      }
      return pieces;
    },
    async tools(model) {
      const tools = { rain: tool({ inputSchema: jsonSchema(rainSchema), execute: rain }) };
      const answer = streamText({ ...common(model), prompt: question, tools, stopWhen: stepCountIs(3) });
      await answer.consumeStream();
      const [{ toolCalls }] = await answer.steps;
      return { calls: toolCalls.map((call) => call.input), text: await answer.text };
    },
    async json(model) {
      const output = Output.object({ schema: jsonSchema(answerSchema) });
      const answer = streamText({ ...common(model), prompt: question, output });
      await answer.consumeStream();
      return answer.output;
    },
    async image(model) {
      const picture = { type: "file", mediaType: "image/png", data: pixel };
      const messages = [{ role: "user", content: [{ type: "text", text: question }, picture] }];
      const answer = streamText({ ...common(model), messages });
      await answer.consumeStream();
      return answer.text;
    },
    async retry(model) {
      return (await generateText({ ...common(model), maxRetries: 1, prompt: "say Hello there" })).text;
    },
    async embeddings(model) {
      return (await embedMany({ model: provider.embeddingModel(model), values: texts })).embeddings;
    },
    error: (model) => generateText({ ...common(model), prompt: "error" }),
    async midway(model) {
      for await (const part of streamText({ ...common(model), prompt: "error midway" }).fullStream) {
        if (part.type === "error") throw part.error;
      }
    },
  };
}

async function aiSdkOpenAICompatible() {
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  const settings = { name: "palaver", baseURL: `${address}/v1`, apiKey: "unused", supportsStructuredOutputs: true };
  return aiSdk(createOpenAICompatible(settings));
}

async function aiSdkAnthropic() {
  const { createAnthropic } = await import("@ai-sdk/anthropic");
  return aiSdk(createAnthropic({ baseURL: `${address}/v1`, apiKey: "unused" }));
}

const clients = {
  openai,
  "openai-responses": openaiResponses,
  anthropic,
  "ai-sdk-openai-compatible": aiSdkOpenAICompatible,
  "ai-sdk-anthropic": aiSdkAnthropic,
};

const client = await clients[sdk]();
for (const [scenario, model] of asked.map((text) => JSON.parse(text))) {
  const said = await Promise.resolve(client[scenario](model)).then(
    (result) => ({ result: result ?? null }),
    (error) => ({ error: { status: error.status ?? error.statusCode ?? null, message: String(error.message ?? error) } }),
  );
  console.log(JSON.stringify(said));
}
