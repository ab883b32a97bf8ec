import { begin } from "./example.js";

begin({
  id: "Root-Mic",
  priority: 0,
  task: "Transcribing",
  output: "… testing, one, two. Please turn the lights down in the kitchen.",
});
