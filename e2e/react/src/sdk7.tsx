import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, type UIMessage } from "ai";
import { ModernView } from "./modern";
import { api, block, mount, resumeOnLoad } from "./page";

const transport = new DefaultChatTransport({ api });

mount(7, function Sdk7({ initial }: { initial: UIMessage[] }) {
  return <ModernView chat={useChat({ id: block, messages: initial, resume: resumeOnLoad, transport })} />;
});
