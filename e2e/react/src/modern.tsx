/** AI SDK 5, 6 and 7 give their `useChat` the same face; this fits it to the page. */
import { type Call, textOf, View } from "./page";

interface Part {
  type: string;
  text?: string;
  toolName?: string;
  toolCallId?: string;
  state?: string;
  input?: unknown;
  output?: unknown;
  errorText?: string;
  approval?: { id: string };
}

interface ModernChat {
  messages: { id: string; role: string; parts: Part[]; metadata?: unknown }[];
  status: string;
  error: Error | undefined;
  sendMessage: (message: { text: string }) => unknown;
  stop: () => unknown;
  regenerate: () => unknown;
  resumeStream: () => unknown;
  addToolOutput(output: { tool: string; toolCallId: string; output: unknown }): unknown;
  addToolApprovalResponse?(response: { id: string; approved: boolean }): unknown;
}

function callsOf(parts: Part[]): Call[] {
  return parts
    .filter(({ type }) => type.startsWith("tool-") || type === "dynamic-tool")
    .map((part) => ({
      id: part.toolCallId!,
      name: part.toolName ?? part.type.slice("tool-".length),
      state: part.state!,
      input: part.input,
      output: part.output ?? part.errorText,
      dynamic: part.type === "dynamic-tool",
      approvalId: part.approval?.id,
    }));
}

export function ModernView({ chat }: { chat: ModernChat }) {
  const messages = chat.messages.map(({ id, role, parts, metadata }) => ({
    id,
    role,
    text: textOf(parts, "text"),
    reasoning: textOf(parts, "reasoning"),
    calls: callsOf(parts),
    metadata,
  }));
  return (
    <View
      chat={{
        messages,
        status: chat.status,
        error: chat.error,
        send: (text) => chat.sendMessage({ text }),
        stop: chat.stop,
        regenerate: () => chat.regenerate(),
        resume: () => chat.resumeStream(),
        answer: ({ id, name, approvalId }, approved) =>
          approvalId
            ? chat.addToolApprovalResponse!({ id: approvalId, approved })
            : chat.addToolOutput({ tool: name, toolCallId: id, output: { approved } }),
      }}
    />
  );
}
