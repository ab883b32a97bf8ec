import { begin } from "./example.js";

begin({
  id: "Root-Dreamer",
  priority: 20,
  task: "Dreaming",
  output:
    "A field of quiet machines, each with a small green light; one by one they pass a token on, and nobody ever holds it twice, and nobody waits for ever.",
});
