// A client on @livekit/rtc-node: `node node_client.mjs URL TOKEN`. It publishes a tone, a picture
// and data, and prints, as lines of JSON, what it gets of the others.
import {
  AudioFrame, AudioSource, AudioStream, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent,
  TrackKind, TrackPublishOptions, TrackSource, VideoBufferType, VideoFrame, VideoSource, VideoStream,
} from "@livekit/rtc-node";

const [url, token] = process.argv.slice(2);
const TONE = 770;
const say = (what) => console.log(JSON.stringify(what));

// The frequency, in Hz, of half a second of sound, by how often it crosses zero.
function pitch(samples) {
  let crossings = 0;
  for (let at = 1; at < samples.length; at++) {
    if (samples[at - 1] < 0 !== samples[at] < 0) crossings++;
  }
  return (crossings * 48_000) / (2 * samples.length);
}

async function listen(track) {
  let heard = [];
  for await (const frame of new AudioStream(track, 48_000, 1)) {
    const isLoud = frame.data.some((one) => Math.abs(one) > 1_000);
    heard = isLoud ? [...heard, ...frame.data] : [];
    if (heard.length >= 28_800) break;
  }
  say({ pitch: pitch(heard.slice(4_800)) });
}

async function look(track) {
  for await (const { frame } of new VideoStream(track)) {
    if (frame.width > 8) {
      say({ width: frame.width });
      break;
    }
  }
}

const room = new Room();
room.on(RoomEvent.TrackSubscribed, (track) =>
  track.kind === TrackKind.KIND_AUDIO ? listen(track) : look(track),
);
room.on(RoomEvent.DataReceived, (data) => say({ text: new TextDecoder().decode(data) }));
await room.connect(url, token, { autoSubscribe: true, dynacast: false });

const sound = new AudioSource(48_000, 1);
const options = (source) => Object.assign(new TrackPublishOptions(), { source });
const microphone = LocalAudioTrack.createAudioTrack("microphone", sound);
await room.localParticipant.publishTrack(microphone, options(TrackSource.SOURCE_MICROPHONE));
const picture = new VideoSource(320, 180);
const camera = LocalVideoTrack.createVideoTrack("camera", picture);
await room.localParticipant.publishTrack(camera, options(TrackSource.SOURCE_CAMERA));

process.stdin.on("data", () =>
  room.localParticipant.publishData(new TextEncoder().encode("from Node"), { reliable: true }),
);
setInterval(() => {
  const pixels = new Uint8Array(320 * 180 * 4).fill(128);
  picture.captureFrame(new VideoFrame(pixels, 320, 180, VideoBufferType.RGBA));
}, 66);
for (let block = 0; ; block++) {
  const samples = Int16Array.from({ length: 480 }, (_, at) =>
    8_000 * Math.sin((2 * Math.PI * TONE * (block * 480 + at)) / 48_000),
  );
  await sound.captureFrame(new AudioFrame(samples, 48_000, 1, 480));
}
