// A call with livekit-client alone: join, speak and hear, show who said what, the bot's state and its pictures.
import { Room, RoomEvent, Track } from 'livekit-client';

const at = (id) => document.getElementById(id);
let room = null;
let session = null;

function show(state) {
  at('state').dataset.state = state;
  at('state').textContent = state;
}

// A line of the transcript: `id` is its segment's, so that what is said later of the same one takes its place.
function line(id, role, final) {
  let item = document.querySelector(`[data-id="${id}"]`);
  if (!item) {
    item = document.createElement('li');
    item.dataset.id = id;
    at('talk').append(item);
  }
  item.className = final ? role : `${role} partial`;
  return item;
}

const heard = {
  transcript({ segmentId, role, text, isFinal }) {
    const item = line(segmentId, role, isFinal);
    item.textContent = text;
    if (isFinal && !text) item.remove();
  },
  image({ key, url, description }) {
    const picture = Object.assign(document.createElement('img'), { src: url, alt: description ?? key });
    line(`image-${key}-${Date.now()}`, 'assistant', true).append(picture);
  },
  session({ reason, secondsLeft }) {
    at('note').textContent = `The call ends in ${secondsLeft} s (${reason}).`;
  },
  error({ message }) {
    at('note').textContent = message;
  },
};

async function fetched(method, where) {
  const answer = await fetch(where, { method });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

async function begin() {
  at('call').disabled = true;
  at('talk').replaceChildren();
  at('note').textContent = '';
  show('connecting');
  try {
    session = await fetched('POST', 'call');
    at('name').textContent = session.voicebotName;
    room = new Room();
    room.on(RoomEvent.TrackSubscribed, (track) => track.kind === Track.Kind.Audio && document.body.append(track.attach()));
    room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    room.on(RoomEvent.DataReceived, (payload, _who, _kind, topic) => {
      heard[topic]?.(JSON.parse(new TextDecoder().decode(payload)));
    });
    room.on(RoomEvent.ParticipantAttributesChanged, (changed) => {
      if (changed['lk.agent.state']) show(changed['lk.agent.state']);
    });
    room.on(RoomEvent.Reconnecting, () => show('reconnecting'));
    room.on(RoomEvent.Disconnected, over);
    await room.connect(session.livekitUrl, session.participantToken);
    for (const { attributes } of room.remoteParticipants.values()) show(attributes['lk.agent.state'] ?? 'connected');
    await room.localParticipant.setMicrophoneEnabled(true).catch((error) => {
      at('note').textContent = `Without a microphone (${error.message}): write, and listen.`;
    });
    for (const id of ['mute', 'call']) at(id).disabled = false;
    at('write').querySelector('button').disabled = false;
    at('call').textContent = 'Hang up';
  } catch (error) {
    at('note').textContent = error.message;
    await over();
  }
}

async function over() {
  const [was, ended] = [room, session];
  room = session = null;
  at('call').disabled = false;
  at('mute').disabled = at('write').querySelector('button').disabled = true;
  at('call').textContent = 'Call';
  at('mute').textContent = 'Mute';
  show('idle');
  await was?.disconnect();
  if (!ended) return;
  const bill = await fetched('DELETE', `call/${ended.roomName}`).catch((error) => ({ failed: error.message }));
  at('note').textContent = bill.failed ?? `${bill.durationSeconds} s, ${bill.creditsUsed} credits.`;
}

at('call').addEventListener('click', () => (room ? over() : begin()));
at('mute').addEventListener('click', async () => {
  const on = room.localParticipant.isMicrophoneEnabled;
  await room.localParticipant.setMicrophoneEnabled(!on);
  at('mute').textContent = on ? 'Unmute' : 'Mute';
});
at('write').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = at('text').value.trim();
  if (!text || !room) return;
  at('text').value = '';
  await room.localParticipant.sendText(text, { topic: 'lk.chat' });
});
