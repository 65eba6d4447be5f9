"use strict";
// A browser user of livekit-client. The test calls these functions and asks `seen` for what
// happened: every event is kept until it was asked for, so none is missed between two calls.

const { ConnectionState, DisconnectReason, Room, RoomEvent, Track, VideoQuality } = LivekitClient;

const PATIENCE = 20_000;
// "two" peer connections, which older releases always have.
// "encrypted": what `encrypt` gives the key to, before `join`.
const keys = location.search === "?encrypted" && new LivekitClient.ExternalE2EEKeyProvider();
const encryption = () => ({
  encryption: { keyProvider: keys, worker: new Worker("livekit-client.e2ee.worker.js") },
});
const room = new Room(
  keys ? encryption() : location.search === "?two" ? { singlePeerConnection: false } : {},
);
// Before 2.0 some names were others, and participants were kept by their sid.
const participant = (identity) =>
  [...(room.remoteParticipants ?? room.participants).values()].find((p) => p.identity === identity);
const publicationOf = (participant, source) =>
  participant?.getTrackPublication?.(source) ?? participant?.getTrack?.(source);
const events = [];
const audio = new AudioContext();

const DETAILS = {
  [RoomEvent.ParticipantConnected]: (p) => ({ identity: p.identity }),
  [RoomEvent.ParticipantDisconnected]: (p) => ({ identity: p.identity }),
  [RoomEvent.TrackSubscribed]: (track, pub, p) => ({ identity: p.identity, source: pub.source }),
  [RoomEvent.TrackUnsubscribed]: (track, pub, p) => ({ identity: p.identity, source: pub.source }),
  [RoomEvent.TrackMuted]: (pub, p) => ({ identity: p.identity, source: pub.source }),
  [RoomEvent.TrackUnmuted]: (pub, p) => ({ identity: p.identity, source: pub.source }),
  [RoomEvent.LocalTrackUnpublished]: (pub, p) => ({ identity: p.identity, source: pub.source }),
  [RoomEvent.DataReceived]: (bytes, p, kind, topic) => ({
    identity: p?.identity ?? null,
    text: new TextDecoder().decode(bytes),
    topic: topic ?? "",
  }),
  [RoomEvent.RoomMetadataChanged]: (metadata) => ({ metadata }),
  [RoomEvent.ParticipantMetadataChanged]: (previous, p) => ({
    identity: p.identity,
    metadata: p.metadata,
  }),
  [RoomEvent.ParticipantAttributesChanged]: (changed, p) => ({ identity: p.identity, changed }),
  [RoomEvent.ParticipantPermissionsChanged]: (previous, p) => ({
    identity: p.identity,
    canPublish: p.permissions.canPublish,
  }),
  [RoomEvent.ActiveSpeakersChanged]: (speakers) => ({ speaking: speakers.map((p) => p.identity) }),
  ...(keys && {
    [RoomEvent.EncryptionError]: (error) => ({ reason: String(error) }),
    [RoomEvent.ParticipantEncryptionStatusChanged]: (isEncrypted, p) => ({
      identity: p?.identity,
      isEncrypted,
    }),
  }),
  [RoomEvent.SignalReconnecting]: () => ({}),
  [RoomEvent.Reconnecting]: () => ({}),
  [RoomEvent.Reconnected]: () => ({}),
  [RoomEvent.Disconnected]: (reason) => ({ reason: DisconnectReason[reason] }),
};

for (const [name, detail] of Object.entries(DETAILS)) {
  room.on(name, (...values) => events.push({ name, ...detail(...values) }));
}

async function until(condition, what) {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (performance.now() > deadline) {
      throw new Error(`${what} did not happen; what did: ${JSON.stringify(events)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The next event of that name whose fields are those of `wanted`; it is not found again.
function seen(name, wanted = {}) {
  const matches = (event) =>
    event.name === name &&
    Object.entries(wanted).every(([k, v]) => JSON.stringify(event[k]) === JSON.stringify(v));
  return until(() => {
    const index = events.findIndex(matches);
    return index >= 0 && events.splice(index, 1)[0];
  }, `${name} ${JSON.stringify(wanted)}`);
}

// Text as a passphrase, bytes (a list of numbers) as what they are.
async function encrypt(key) {
  await keys.setKey(typeof key === "string" ? key : new Uint8Array(key).buffer);
  if (!room.isE2EEEnabled) await room.setE2EEEnabled(true);
}

async function join(url, token) {
  await room.connect(url, token);
  return room.localParticipant.identity;
}

// Plain sound: the processing of a microphone would alter the test's tone.
async function publishMicrophone() {
  const publication = await room.localParticipant.setMicrophoneEnabled(true, {
    autoGainControl: false,
    echoCancellation: false,
    noiseSuppression: false,
  });
  return publication.trackSid;
}

// Like a click on the microphone button, but without waiting for the ten seconds of a refusal.
async function mayPublish() {
  return room.localParticipant.permissions.canPublish;
}

// With VP9 and AV1 its layers are in one stream, else each is a stream of its own.
async function publishCamera(videoCodec) {
  const publication = await room.localParticipant.setCameraEnabled(true, {}, { videoCodec });
  return publication.trackSid;
}

function videoOf(identity) {
  return until(() => {
    const publication = publicationOf(participant(identity), Track.Source.Camera);
    return publication?.track && publication;
  }, `a video of ${identity}`);
}

async function wantQuality(identity, quality) {
  (await videoOf(identity)).setVideoQuality(VideoQuality[quality]);
}

// What is seen of that participant once its picture has that width: its RGBA bytes, in base64.
async function picture(identity, width) {
  const { track } = await videoOf(identity);
  const element = track.attach();
  try {
    await until(() => element.videoWidth === width, `${width} pixels of ${identity}`);
    const canvas = new OffscreenCanvas(width, element.videoHeight);
    const context = canvas.getContext("2d");
    context.drawImage(element, 0, 0);
    const { data } = context.getImageData(0, 0, width, canvas.height);
    let bytes = "";
    for (let at = 0; at < data.length; at += 8192) {
      bytes += String.fromCharCode(...data.subarray(at, at + 8192));
    }
    return { height: canvas.height, data: btoa(bytes) };
  } finally {
    track.detach(element);
  }
}

async function setMicrophoneMuted(muted) {
  const publication = publicationOf(room.localParticipant, Track.Source.Microphone);
  await (muted ? publication.mute() : publication.unmute());
}

async function unpublish(source) {
  await room.localParticipant.unpublishTrack(publicationOf(room.localParticipant, source).track);
}

async function send(text, topic, reliable) {
  const data = new TextEncoder().encode(text);
  if (room.remoteParticipants) await room.localParticipant.publishData(data, { topic, reliable });
  else await room.localParticipant.publishData(data, reliable ? 0 : 1, { topic });
}

// The frequency, in Hz, of the strongest tone that participant sends, as soon as there is one.
async function pitch(identity) {
  const track = await until(
    () => publicationOf(participant(identity), Track.Source.Microphone)?.track,
    `a track of ${identity}`,
  );
  // Chromium lets remote sound flow into Web Audio only while an element plays it.
  const element = track.attach();
  element.muted = true;
  await audio.resume();
  const source = audio.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
  const analyser = new AnalyserNode(audio, { fftSize: 8192, smoothingTimeConstant: 0 });
  source.connect(analyser);
  const levels = new Float32Array(analyser.frequencyBinCount);
  try {
    return await until(() => {
      analyser.getFloatFrequencyData(levels);
      let strongest = 1;
      for (let bin = 2; bin < levels.length; bin++) {
        if (levels[bin] > levels[strongest]) strongest = bin;
      }
      return levels[strongest] > -40 && (strongest * audio.sampleRate) / analyser.fftSize;
    }, `a tone of ${identity}`);
  } finally {
    source.disconnect();
    track.detach(element);
  }
}

async function simulate(scenario) {
  await room.simulateScenario(scenario);
}

async function isConnected() {
  return room.state === ConnectionState.Connected;
}

async function leave() {
  await room.disconnect();
}
