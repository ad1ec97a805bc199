import { useChat } from "@ai-sdk/react-5";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls, type UIMessage } from "ai-5";
import { ModernView } from "./modern";
import { api, appTools, block, body, headers, mount, resumeOnLoad } from "./page";

const transport = new DefaultChatTransport({ api, headers, body });

mount(5, function Sdk5({ initial }: { initial: UIMessage[] }) {
  const chat = useChat({
    id: block,
    messages: initial,
    resume: resumeOnLoad,
    transport,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall: { toolName, toolCallId } }) => {
      const run = appTools[toolName];
      if (run) chat.addToolOutput({ tool: toolName, toolCallId, output: run() });
    },
  });
  return <ModernView chat={chat} />;
});
