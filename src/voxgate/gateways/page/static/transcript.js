// The conversation as it is read: what was heard, what was answered, what of it was heard, and how long each turn took.

const STAGES = [
  ['endpointing', 'endpointing_ms', 'noticing that you were done'],
  ['stt_final', 'stt_final_ms', 'your words in writing'],
  ['first_token', 'llm_first_token_ms', 'first word of the answer'],
  ['first_clause', 'first_clause_ms', 'first clause of it'],
  ['first_audio', 'tts_first_audio_ms', 'its voice'],
  ['wire', 'wire_ms', 'sending it'],
];

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export class Transcript {
  constructor(list) {
    this.list = list;
    this.partial = null; // the turn that is still being heard
    this.replies = new Map(); // response_id -> what is shown of it
  }

  // A new conversation: its replies are numbered from 1 again.
  begin() {
    this.list.querySelector('.empty')?.remove();
    if (this.list.children.length) this.#add(element('li', 'break', 'a new conversation'));
    this.settle();
    this.replies.clear();
  }

  // Nothing more is said of a turn that was left open.
  settle() {
    if (this.partial?.textContent) this.partial.classList.remove('partial');
    else this.partial?.remove();
    this.partial = null;
  }

  heard({ text, is_final: isFinal, language }) {
    this.partial ??= this.#add(element('li', 'user partial'));
    this.partial.textContent = text;
    this.partial.lang = language;
    if (isFinal) this.settle();
    this.#follow();
  }

  wrote(text) { this.#add(element('li', 'user', text)); }

  delta({ response_id: id, text }) {
    this.#reply(id).text.textContent += text;
    this.#follow();
  }

  answered({ response_id: id, text, language }) {
    const reply = this.#reply(id);
    if (!reply.isCut) reply.text.textContent = text;
    reply.item.lang = language ?? '';
    this.#follow();
  }

  // Only the beginning of a reply was heard: the rest is struck through.
  interrupted({ response_id: id, spoken_text: spoken }) {
    const reply = this.#reply(id);
    const whole = reply.text.textContent;
    reply.isCut = true;
    reply.text.textContent = spoken;
    const unsaid = whole.startsWith(spoken) ? whole.slice(spoken.length) : '';
    reply.text.after(element('span', 'unsaid', unsaid), element('span', 'cut', ' — interrupted'));
    this.#follow();
  }

  // How much of a reply came out of the loudspeaker, and how long it stood still in between.
  played(id, ms, stalledMs) {
    const reply = this.replies.get(id);
    if (!reply) return;
    reply.item.dataset.playedMs = Math.round(ms);
    reply.item.dataset.stalledMs = Math.round(stalledMs);
  }

  latency(told) {
    const rows = STAGES.filter(([, field]) => told[field] !== null && told[field] !== undefined);
    if (told.total_ms === null || !rows.length) return;
    const begins = ([stage]) => told.starts_ms[stage] ?? 0;
    const left = Math.min(0, ...rows.map(begins));
    const right = Math.max(1, ...rows.map((row) => begins(row) + told[row[1]]));
    const percent = (ms) => `${100 * ms / (right - left)}%`;
    const table = element('div', 'stages');
    for (const row of rows) {
      const bar = element('span', 'bar');
      const mark = bar.appendChild(document.createElement('i'));
      mark.style.left = percent(begins(row) - left);
      mark.style.width = percent(told[row[1]]);
      table.append(element('span', '', row[2]), bar, element('b', '', `${Math.round(told[row[1]])} ms`));
    }
    const details = element('details', 'latency');
    details.append(element('summary', '', `answered after ${seconds(told.total_ms)}`), table);
    this.#reply(told.response_id).item.append(details);
    this.#follow();
  }

  #reply(id) {
    let reply = this.replies.get(id);
    if (!reply) {
      const item = this.#add(element('li', 'bot'));
      reply = { item, text: item.appendChild(element('span', 'text')), isCut: false };
      this.replies.set(id, reply);
    }
    return reply;
  }

  #add(item) {
    this.list.querySelector('.empty')?.remove();
    this.list.append(item);
    this.#follow();
    return item;
  }

  // Down with what is new, unless somebody has scrolled up to read.
  #follow() {
    const { list } = this;
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 160) list.scrollTop = list.scrollHeight;
  }
}
