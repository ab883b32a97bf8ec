import { begin } from "./example.js";

begin({
  id: "Root-Console",
  priority: 10,
  task: "Answering",
  output: "A lease is a right with an end: whoever holds it need not ask again, and whoever waits knows that it will come.",
});
