/** AI SDK 5, 6 and 7 give their `useChat` the same face; this fits it to the page. */
import { textOf, View } from "./page";

interface ModernChat {
  messages: { id: string; role: string; parts: { type: string; text?: string }[]; metadata?: unknown }[];
  status: string;
  error: Error | undefined;
  sendMessage: (message: { text: string }) => unknown;
  stop: () => unknown;
  regenerate: () => unknown;
  resumeStream: () => unknown;
}

export function ModernView({ chat }: { chat: ModernChat }) {
  const messages = chat.messages.map(({ id, role, parts, metadata }) => ({
    id,
    role,
    text: textOf(parts, "text"),
    reasoning: textOf(parts, "reasoning"),
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
      }}
    />
  );
}
