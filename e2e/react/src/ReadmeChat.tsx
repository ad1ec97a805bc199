import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useState } from "react";

const transport = new DefaultChatTransport({ api: "http://127.0.0.1:8000/api/ai/chat/hello" });

export function Chat() {
  const { messages, sendMessage, status, error } = useChat({ transport });
  const [text, setText] = useState("");
  const busy = status === "submitted" || status === "streaming";

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        sendMessage({ text });
        setText("");
      }}
    >
      {messages.map(({ id, role, parts }) => (
        <p key={id}>
          <b>{role}</b> {parts.map((part) => (part.type === "text" ? part.text : null))}
        </p>
      ))}
      {error && <p role="alert">{error.message}</p>}
      <input value={text} onChange={(event) => setText(event.target.value)} disabled={busy} />
    </form>
  );
}
