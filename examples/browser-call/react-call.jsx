// The same call with LiveKit's own React components: their hooks know the bot, its state and the live transcript.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import {
  BarVisualizer,
  LiveKitRoom,
  RoomAudioRenderer,
  TrackToggle,
  useLocalParticipant,
  useTranscriptions,
  useVoiceAssistant,
} from '@livekit/components-react';
import { Track } from 'livekit-client';

function Call({ hangUp }) {
  const { state, audioTrack } = useVoiceAssistant();
  const { localParticipant } = useLocalParticipant();
  const said = useTranscriptions();
  const whose = (text) => (text.participantInfo.identity === localParticipant.identity ? 'user' : 'assistant');
  const final = (text) => text.streamInfo.attributes?.['lk.transcription_final'] === 'true';
  return (
    <>
      <div className="bar">
        <button className="call" onClick={hangUp}>Hang up</button>
        <TrackToggle source={Track.Source.Microphone} showIcon={false}>Microphone</TrackToggle>
        <BarVisualizer className="voice" state={state} track={audioTrack} barCount={7} />
        <span className="state" data-state={state}>{state}</span>
      </div>
      <ol aria-live="polite">
        {said.filter((text) => text.text).map((text) => (
          <li key={text.streamInfo.attributes?.['lk.segment_id']} className={whose(text) + (final(text) ? '' : ' partial')}>
            {text.text}
          </li>
        ))}
      </ol>
    </>
  );
}

async function fetched(method, where) {
  const answer = await fetch(where, { method });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function Page() {
  const [session, setSession] = useState(null);
  const [note, setNote] = useState('');
  const begin = async () => {
    setNote('');
    await fetched('POST', 'call').then(setSession, (error) => setNote(error.message));
  };
  const over = async () => {
    setSession(null);
    const bill = await fetched('DELETE', `call/${session.roomName}`).catch((error) => setNote(error.message));
    if (bill) setNote(`${bill.durationSeconds} s, ${bill.creditsUsed} credits.`);
  };
  return (
    <>
      <header><h1>{session?.voicebotName ?? 'A call with a voicebot'}</h1><nav><a href="/">the same without React</a></nav></header>
      {session ? (
        <LiveKitRoom
          serverUrl={session.livekitUrl}
          token={session.participantToken}
          audio
          onDisconnected={over}
          onError={(error) => setNote(error.message)}
        >
          <RoomAudioRenderer />
          <Call hangUp={over} />
        </LiveKitRoom>
      ) : (
        <div className="bar"><button className="call" onClick={begin}>Call</button></div>
      )}
      <p className="note" role="status">{note}</p>
    </>
  );
}

createRoot(document.getElementById('app')).render(<Page />);
