// Visits examples/voice-flow/index.html (argv[2]) as a person does: types the server's address (argv[3]) and key
// (argv[4]), asks by the microphone, which hears argv[5], or with `choose` as argv[6] chooses that file, and waits for
// the answer to be spoken. argv[7], where given, is a file for a picture of the end. Prints {"said": lines of the
// conversation, "states", "played": base64 of what went to the loudspeaker (16-bit, 24 kHz), "gaps_ms": silence between
// its pieces, "complaints"}.
import { pathToFileURL } from 'node:url';
import { inChromium } from './browser.mjs';

const [page_, server, key, question, how, picture] = process.argv.slice(2);

// Beside the page: what it gives the loudspeaker, and when.
function watch() {
  globalThis.pieces = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when) {
    globalThis.pieces.push({ when, seconds: this.buffer.duration, samples: this.buffer.getChannelData(0).slice() });
    return start.call(this, when);
  };
  globalThis.states = [];
  document.addEventListener('DOMContentLoaded', () => {
    const seen = () => globalThis.states.push(document.body.dataset.state);
    new MutationObserver(seen).observe(document.body, { attributeFilter: ['data-state'] });
  });
}

function played() {
  const { pieces } = globalThis;
  const bytes = pieces.flatMap(({ samples }) => [...new Uint8Array(Int16Array.from(samples, (x) => x * 32768).buffer)]);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  const gaps = pieces.slice(1).map(({ when }, index) => (when - pieces[index].when - pieces[index].seconds) * 1000);
  return { played: btoa(text), gaps_ms: gaps, states: globalThis.states };
}

const told = await inChromium(
  async (page, complaints) => {
    await page.addInitScript(watch);
    await page.goto(pathToFileURL(page_).href);
    await page.getByLabel('Server').fill(server);
    await page.getByLabel('Key').fill(key);
    if (how === 'choose') await page.getByLabel('choose a recording').setInputFiles(question);
    else await page.getByRole('button', { name: 'Talk' }).click();
    await page.waitForFunction(() => globalThis.states.at(-1) === 'idle', null, { timeout: 45_000 });
    if (picture) await page.screenshot({ path: picture });
    const said = await page.locator('#talk li').evaluateAll((lines) =>
      lines.map((line) => ({ who: line.className, text: line.firstChild.textContent, note: line.lastChild.textContent })));
    return { said, complaints, ...(await page.evaluate(played)) };
  },
  { hears: how === 'choose' ? null : question, viewport: { width: 900, height: 760 } },
);
console.log(JSON.stringify(told));
