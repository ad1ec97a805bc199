/** Mounts the component that the README prints. */
import { createRoot } from "react-dom/client";
import { Chat } from "./ReadmeChat";

createRoot(document.getElementById("root")!).render(<Chat />);
