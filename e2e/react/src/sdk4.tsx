/** AI SDK 4: `content` and `parts` side by side, the data stream as protocol, metadata as annotations. */
import { type Message, useChat } from "@ai-sdk/react-4";
import { useEffect } from "react";
import { api, appTools, block, body, type Call, headers, mount, resumeOnLoad, View } from "./page";

const STATES = { "partial-call": "input-streaming", call: "input-available", result: "output-available" };

type Part = ReturnType<typeof useChat>["messages"][number]["parts"][number];

function callsOf(parts: Part[]): Call[] {
  return parts
    .filter((part) => part.type === "tool-invocation")
    .map(({ toolInvocation: call }) => ({
      id: call.toolCallId,
      name: call.toolName,
      state: STATES[call.state],
      input: call.args,
      output: call.state === "result" ? call.result : undefined,
      dynamic: false,
    }));
}

mount(4, function Sdk4({ initial }: { initial: Message[] }) {
  const chat = useChat({
    api,
    id: block,
    initialMessages: initial,
    headers,
    body,
    maxSteps: 5,
    onToolCall: ({ toolCall }) => appTools[toolCall.toolName]?.(),
  });
  useEffect(() => {
    if (resumeOnLoad) chat.experimental_resume();
  }, []);
  const messages = chat.messages.map(({ id, role, content, parts, annotations }) => ({
    id,
    role,
    text: content,
    reasoning: parts.map((part) => (part.type === "reasoning" ? part.reasoning : "")).join(""),
    calls: callsOf(parts),
    metadata: annotations,
  }));
  return (
    <View
      chat={{
        messages,
        status: chat.status,
        error: chat.error,
        send: (content) => chat.append({ role: "user", content }),
        stop: chat.stop,
        regenerate: chat.reload,
        resume: chat.experimental_resume,
        answer: ({ id }, approved) => chat.addToolResult({ toolCallId: id, result: { approved } }),
      }}
    />
  );
});
