import { useChat } from "@ai-sdk/react-5";
import { DefaultChatTransport, type UIMessage } from "ai-5";
import { ModernView } from "./modern";
import { api, block, mount, resumeOnLoad } from "./page";

const transport = new DefaultChatTransport({ api });

mount(5, function Sdk5({ initial }: { initial: UIMessage[] }) {
  return <ModernView chat={useChat({ id: block, messages: initial, resume: resumeOnLoad, transport })} />;
});
