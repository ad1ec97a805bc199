/** The page: one view for every generation of the AI SDK. What differs between them is in sdk4.tsx and modern.tsx. */
import { useState } from "react";
import { createRoot } from "react-dom/client";

/** A message as this page shows it. */
export interface Shown {
  id: string;
  role: string;
  text: string;
  reasoning: string;
  calls: Call[];
  metadata: unknown;
}

/** A tool call as this page shows it; the states are those of AI SDK 6. */
export interface Call {
  id: string;
  name: string;
  state: string;
  input: unknown;
  output: unknown;
  dynamic: boolean;
  /** What the request for approval is called, where the call waits for one. */
  approvalId?: string;
}

/** What the page needs of a chat; each generation of `useChat` is fitted to it. */
export interface Chat {
  messages: Shown[];
  status: string;
  error: Error | undefined;
  send: (text: string) => unknown;
  stop: () => unknown;
  regenerate: () => unknown;
  resume: () => unknown;
  /** The user's yes or no to a call that asks. */
  answer: (call: Call, approved: boolean) => unknown;
}

const parameters = new URLSearchParams(location.search);
const server = parameters.get("server") ?? "http://127.0.0.1:8000";
const preset = parameters.get("preset");
const version = parameters.get("version");

export const block = parameters.get("block") ?? "react";
export const resumeOnLoad = parameters.has("resume");

const chatUrl = `${server}/api/ai/chat/${block}`;
export const api = preset ? `${chatUrl}?preset=${preset}` : chatUrl;
export const headers: Record<string, string> = version ? { "X-AI-SDK": version } : {};

/** The tools that run here, in the browser; `?tools` tells the server of them. */
export const appTools: Record<string, () => unknown> = { locate: () => ({ city: "Lisbon" }) };
const declared = Object.keys(appTools).map((name) => ({ name, parameters: { type: "object", properties: {} } }));
export const body = parameters.has("tools") ? { tools: declared } : {};

/** Loads the conversation, with the messages of the generation that `sdk` names, then shows the chat. */
export async function mount<Message>(sdk: number, ChatPage: (props: { initial: Message[] }) => React.ReactNode) {
  const response = await fetch(`${server}/api/ai/conversations/${block}?sdk=${sdk}`);
  const initial = response.ok ? (await response.json()).messages : [];
  createRoot(document.getElementById("root")!).render(<ChatPage initial={initial} />);
}

export function textOf(parts: { type: string; text?: string }[], type: string): string {
  return parts.map((part) => (part.type === type ? (part.text ?? "") : "")).join("");
}

/** `stop()` of the AI SDK only stops listening; the server is told by a request of its own. */
async function stopBoth(chat: Chat) {
  await fetch(`${chatUrl}/stop`, { method: "POST" });
  await chat.stop();
}

/** Before AI SDK 6 there are no requests for approval: the server calls a tool `confirm` instead. */
function asks(call: Call): boolean {
  return call.state === "approval-requested" || (call.name === "confirm" && call.state === "input-available");
}

function CallView({ call, answer }: { call: Call; answer: Chat["answer"] }) {
  return (
    <section aria-label={call.name} data-state={call.state} data-dynamic={call.dynamic}>
      <code>{JSON.stringify(call.input)}</code>
      <output>{JSON.stringify(call.output)}</output>
      {asks(call) && <button onClick={() => answer(call, true)}>Approve</button>}
      {asks(call) && <button onClick={() => answer(call, false)}>Deny</button>}
    </section>
  );
}

export function View({ chat }: { chat: Chat }) {
  const [draft, setDraft] = useState("");

  return (
    <main data-status={chat.status}>
      <ol>
        {chat.messages.map((message) => (
          <li key={message.id} id={message.id} data-role={message.role} data-metadata={JSON.stringify(message.metadata)}>
            {message.reasoning && <blockquote>{message.reasoning}</blockquote>}
            {message.calls.map((call) => (
              <CallView key={call.id} call={call} answer={chat.answer} />
            ))}
            <p>{message.text}</p>
          </li>
        ))}
      </ol>
      {chat.error && <p role="alert">{chat.error.message}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          chat.send(draft);
          setDraft("");
        }}
      >
        <input aria-label="Message" value={draft} onChange={(event) => setDraft(event.target.value)} />
        <button>Send</button>
        <button type="button" onClick={() => stopBoth(chat)}>Stop</button>
        <button type="button" onClick={() => chat.regenerate()}>Regenerate</button>
        <button type="button" onClick={() => chat.resume()}>Resume</button>
      </form>
    </main>
  );
}
