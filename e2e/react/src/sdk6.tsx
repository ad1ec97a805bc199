import { useChat } from "@ai-sdk/react-6";
import { DefaultChatTransport, type UIMessage } from "ai-6";
import { ModernView } from "./modern";
import { api, block, mount, resumeOnLoad } from "./page";

const transport = new DefaultChatTransport({ api });

mount(6, function Sdk6({ initial }: { initial: UIMessage[] }) {
  return <ModernView chat={useChat({ id: block, messages: initial, resume: resumeOnLoad, transport })} />;
});
