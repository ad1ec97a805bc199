import { useChat } from "@ai-sdk/react";
import {
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  type UIMessage,
} from "ai";
import { ModernView } from "./modern";
import { api, appTools, block, body, headers, mount, resumeOnLoad } from "./page";

const transport = new DefaultChatTransport({ api, headers, body });

mount(7, function Sdk7({ initial }: { initial: UIMessage[] }) {
  const chat = useChat({
    id: block,
    messages: initial,
    resume: resumeOnLoad,
    transport,
    sendAutomaticallyWhen: (state) =>
      lastAssistantMessageIsCompleteWithToolCalls(state) || lastAssistantMessageIsCompleteWithApprovalResponses(state),
    onToolCall: ({ toolCall: { toolName, toolCallId } }) => {
      const run = appTools[toolName];
      if (run) chat.addToolOutput({ tool: toolName, toolCallId, output: run() });
    },
  });
  return <ModernView chat={chat} />;
});
