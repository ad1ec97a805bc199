/** AI SDK 4: `content` and `parts` side by side, the data stream as protocol, metadata as annotations. */
import { type Message, useChat } from "@ai-sdk/react-4";
import { useEffect } from "react";
import { api, block, mount, resumeOnLoad, View } from "./page";

mount(4, function Sdk4({ initial }: { initial: Message[] }) {
  const chat = useChat({ api, id: block, initialMessages: initial });
  useEffect(() => {
    if (resumeOnLoad) chat.experimental_resume();
  }, []);
  const messages = chat.messages.map(({ id, role, content, parts, annotations }) => ({
    id,
    role,
    text: content,
    reasoning: parts.map((part) => (part.type === "reasoning" ? part.reasoning : "")).join(""),
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
      }}
    />
  );
});
