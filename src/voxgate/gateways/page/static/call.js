// One conversation over Socket.IO, and the few requests it needs before. Knows nothing of the page.
import { io } from './vendor/socket.io-4.8.4.js';

const WAITING_FRAMES = 75; // of 40 ms: what is said while the conversation is still being set up is not lost

const EVENTS = [
  'transcription', 'response_delta', 'response', 'audio_chunk', 'audio_end', 'interrupted', 'speech_started',
  'speech_stopped', 'state', 'latency', 'control_ack', 'session_expiring',
];

// Asks the REST API; throws an Error that says what the server said.
async function ask(key, path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' } });
  } catch {
    throw new Error('The server does not answer. Is it running?');
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error?.message ?? `The server answered ${answer.status} ${answer.statusText}.`);
  return body;
}

export const voices = async (key) => (await ask(key, '/v1/audio/voices')).data;

// A credential that may only open conversations, and only for a minute.
const secret = async (key) => {
  const body = JSON.stringify({ scopes: ['agent'], expires_after: { anchor: 'created_at', seconds: 60 } });
  return (await ask(key, '/v1/realtime/client_secrets', { method: 'POST', body })).value;
};

// Dispatches the server's events under their names, with what they carry as `detail`; and of its own: `started`
// {resumed}, `lost` (it tries again by itself), `over`, `trouble` {message}.
export class Call extends EventTarget {
  constructor(key) {
    super();
    this.key = key;
    this.options = null; // of start_session, while a conversation is wanted
    this.session = null; // its id, once the server has begun it
    this.waiting = [];
    this.socket = io('/v1/audio/agent', {
      transports: ['websocket'],
      autoConnect: false,
      auth: (send) => this.#authenticate(send),
    });
    const { socket } = this;
    for (const name of EVENTS) socket.on(name, (detail) => this.#tell(name, detail));
    socket.on('connected', ({ resumed }) => {
      if (!resumed) this.session = null;
      this.resumed = Boolean(resumed);
      if (!resumed && this.options) socket.emit('start_session', this.options);
    });
    socket.on('session_started', (told) => {
      this.session = told.session_id;
      this.#tell('started', { resumed: this.resumed });
      this.resumed = false;
      for (const [name, what] of this.waiting.splice(0)) socket.emit(name, what);
    });
    socket.on('session_ended', () => {
      this.session = null;
      if (this.options) socket.emit('start_session', this.options);
      else socket.disconnect();
    });
    socket.on('error', (error) => {
      if (error.param === 'resume') return; // the conversation was over; a new one has just been asked for
      this.#tell('trouble', error);
      if (!this.session) this.#give_up();
    });
    socket.on('connect_error', (error) => this.#tell('trouble', { message: `The connection failed: ${error.message}` }));
    socket.on('disconnect', (reason) => {
      if (this.options && socket.active) this.#tell('lost', { reason });
      else this.#over();
    });
  }

  // Begins a conversation, or another one in place of the one that is held.
  start(options) {
    this.options = { ...options, output_format: 'pcm16' };
    if (this.session) this.socket.emit('end_session');
    else if (!this.socket.active) this.socket.connect();
  }

  end() {
    this.options = null;
    this.waiting = [];
    if (this.session) this.socket.emit('end_session');
    else this.#give_up();
  }

  hear(pcm, sampleRate) { this.#send('audio_chunk', { audio: pcm, format: 'pcm16', sample_rate: sampleRate }); }

  write(text) { this.#send('text', { text }); }

  control(action) { if (this.session) this.socket.emit('control', { action }); }

  played(reply, ms) {
    if (this.session) this.socket.emit('playback', { response_id: reply, played_ms: Math.round(ms) });
  }

  #send(name, what) {
    if (this.session && this.socket.connected) this.socket.emit(name, what);
    else if (this.options) this.waiting = [...this.waiting, [name, what]].slice(-WAITING_FRAMES);
  }

  async #authenticate(send) {
    try {
      send({ api_key: await secret(this.key), voice: this.options.voice, ...(this.session && { resume: this.session }) });
    } catch (error) {
      this.#tell('trouble', error);
      this.#give_up();
    }
  }

  #give_up() {
    this.options = null;
    this.socket.disconnect();
    this.#over();
  }

  #over() {
    this.options = this.session = null;
    this.waiting = [];
    this.#tell('over', {});
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
