// Runs a snippet as a module of a page, with Chromium: node readme.mjs PAGE FILE. What it transcribes is printed.
import { readFile } from "node:fs/promises";
import { Browser, until } from "./browser.mjs";

const [page, file] = process.argv.slice(2);
const browser = await Browser.start();
try {
  const tab = await browser.tab(page);
  const text = await readFile(file, "utf8");
  // A page of a coordinator takes no code from within, so that DevTools run it, which know no static imports.
  const run = `(async () => {
    globalThis.audio = "the audio";
    globalThis.transcribe = async (what, { signal }) => { globalThis.heard = what + ", " + signal.constructor.name; };
    ${text.replace(/^import (\{[^}]*\}) from ("[^"]*");$/gm, "const $1 = await import($2);")}
    return globalThis.heard;
  })()`;
  console.log(await until(() => tab.evaluate(run)));
} finally {
  await browser.close();
}
