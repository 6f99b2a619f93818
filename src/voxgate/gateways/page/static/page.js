// The page: signing in, the buttons, and who is told what.
import { Call, voices } from './call.js';
import { Loudspeaker, Microphone } from './sound.js';
import { Transcript } from './transcript.js';

const at = (id) => document.getElementById(id);
const transcript = new Transcript(at('transcript'));
const STATES = {
  off: 'not connected', connecting: 'connecting', listening: 'listening', hearing: 'hearing you', thinking: 'thinking',
  speaking: 'speaking', paused: 'paused', lost: 'connection lost, trying again',
};

let call = null;
let loudspeaker = null;
let microphone = null;
let isMuted = false;
let offered = [];

// what is shown

function complain(message) {
  at('trouble').firstElementChild.textContent = message;
  at('trouble').hidden = !message;
}

function show(state) {
  at('state').dataset.state = state;
  at('state').textContent = STATES[state] ?? state;
  const isOn = state !== 'off';
  at('end').hidden = !isOn;
  at('interrupt').hidden = state !== 'speaking' && state !== 'thinking';
  at('talk-label').textContent = !isOn || !microphone ? 'Talk' : isMuted ? 'Unmute' : 'Mute';
  at('talk').classList.toggle('muted', isOn && Boolean(microphone) && !isMuted);
}

const shown = () => at('state').dataset.state;

function offerLanguages() {
  const voice = offered.find(({ id }) => id === at('voice').value);
  const before = at('language').value;
  const names = new Intl.DisplayNames(['en'], { type: 'language' });
  const options = voice.languages.map((tag) => new Option(names.of(tag), tag));
  options.sort((one, other) => one.text.localeCompare(other.text));
  at('language').replaceChildren(new Option('the one I speak', ''), ...options);
  if (voice.languages.includes(before)) at('language').value = before;
}

function offerVoices() {
  const options = offered.map(({ id, gender, quality, available }) => {
    const notes = available ? [gender, quality].filter(Boolean) : ['no engine for it here'];
    const option = new Option(`${id} (${notes.join(', ')})`, id);
    option.disabled = !available;
    return option;
  });
  at('voice').replaceChildren(...options);
  at('voice').value = (offered.find((voice) => voice.id === 'valsea-default' && voice.available)
    ?? offered.find((voice) => voice.available))?.id ?? '';
  if (at('voice').value) offerLanguages();
  else complain('No voice can be used: no engine for speech is running. `voxgate check` on the server says why.');
}

// the conversation

const wanted = () => ({
  voice: at('voice').value,
  instructions: at('instructions').value,
  echo_guard: at('speakers').checked,
  ...(at('language').value && { language: at('language').value }),
});

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
}

function newCall(key) {
  const made = new Call(key);
  const on = (name, react) => made.addEventListener(name, ({ detail }) => react(detail));
  on('started', ({ resumed }) => {
    if (!resumed && shown() === 'lost') transcript.begin(); // it could not go on
    if (isMuted) made.control('stop_listening');
    if (shown() === 'connecting' || shown() === 'lost') show('listening');
  });
  on('state', ({ state }) => show(state));
  on('transcription', (told) => transcript.heard(told));
  on('response_delta', (told) => transcript.delta(told));
  on('response', (told) => transcript.answered(told));
  on('latency', (told) => transcript.latency(told));
  on('audio_chunk', ({ response_id: reply, audio }) => loudspeaker.play(reply, bytesOf(audio)));
  on('audio_end', ({ response_id: reply }) => loudspeaker.end(reply));
  on('interrupted', (told) => {
    loudspeaker.silence();
    transcript.interrupted(told);
  });
  on('session_expiring', ({ reason, secondsLeft }) => complain(`The conversation ends in ${secondsLeft} s (${reason}).`));
  on('trouble', ({ message }) => complain(message));
  on('lost', () => {
    loudspeaker.silence();
    show('lost');
  });
  on('over', hangUp);
  return made;
}

function hangUp() {
  microphone?.close();
  microphone = null;
  isMuted = false;
  at('talk').style.setProperty('--level', 0);
  loudspeaker?.silence();
  transcript.settle();
  show('off');
}

// Sound is let out, and a conversation is held or being begun.
async function begin() {
  complain('');
  loudspeaker ??= await Loudspeaker.open((reply, ms, stalledMs) => {
    transcript.played(reply, ms, stalledMs);
    call.played(reply, ms);
  });
  await loudspeaker.wake();
  if (shown() !== 'off') return;
  transcript.begin();
  show('connecting');
  call.start(wanted());
}

async function openMicrophone() {
  microphone = await Microphone.open((pcm, sampleRate, rms) => {
    at('talk').style.setProperty('--level', isMuted ? 0 : Math.min(1, Math.sqrt(rms) * 1.6));
    if (!isMuted) call.hear(pcm, sampleRate);
  });
  isMuted = false;
}

function mute(wish) {
  isMuted = wish;
  call.control(wish ? 'stop_listening' : 'start_listening');
  show(shown());
}

// Runs what a button or a field asks for; what goes wrong is said.
const doing = (work) => async (event) => {
  event?.preventDefault();
  try {
    await work();
  } catch (error) {
    complain(error.message);
  }
};

at('sign-in').addEventListener('submit', doing(async () => {
  complain('');
  const key = at('key').value.trim();
  offered = await voices(key);
  call = newCall(key);
  at('key').value = '';
  at('door').hidden = true;
  at('room').hidden = false;
  offerVoices();
  at('talk').focus();
}));

at('talk').addEventListener('click', doing(async () => {
  at('talk').disabled = true;
  try {
    if (microphone) {
      mute(!isMuted);
      return;
    }
    await openMicrophone();
    await begin();
    show(shown());
  } finally {
    at('talk').disabled = false;
  }
}));

at('composer').addEventListener('submit', doing(async () => {
  const text = at('text').value.trim();
  if (!text) return;
  await begin();
  at('text').value = '';
  transcript.wrote(text);
  call.write(text);
}));

at('interrupt').addEventListener('click', doing(() => {
  loudspeaker.silence();
  call.control('interrupt');
}));

at('end').addEventListener('click', doing(() => call.end()));
at('voice').addEventListener('change', offerLanguages);
at('settings').addEventListener('change', doing(() => {
  if (shown() === 'off') return;
  loudspeaker.silence();
  transcript.begin();
  call.start(wanted());
}));
at('trouble').querySelector('button').addEventListener('click', () => complain(''));
show('off');
