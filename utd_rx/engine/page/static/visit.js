// Being in a room from the page: with tokens of one's own, as any client.

import { Room, RoomEvent, Track, setLogLevel } from "./livekit-client.js";

setLogLevel("warn");

const PATIENCE = 10_000;

// What the echo waits: one hears that it came back, and is not confused in speaking.
const ECHO_SECONDS = 1.2;

function some(digits) {
  const bytes = crypto.getRandomValues(new Uint8Array(digits));
  return Array.from(bytes, (one) => (one % 16).toString(16)).join("");
}

async function ask(method, path, headers, body) {
  headers = { "Content-Type": "application/json", ...headers };
  const reply = await fetch(`/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(answer.message ?? `the engine answers ${reply.status}`);
  return answer;
}

// Why one is out, by the number of LiveKit's `DisconnectReason`.
const REASONS = { 1: "", 4: "You were removed from the room.", 5: "The room is over." };
const LOST = "The connection to the media server is lost.";

// Somebody in a room: an identity made up for it, a token, perhaps a seat.
class Guest {
  room = new Room();
  #bearer = null;

  constructor(app, place, identity) {
    this.app = app;
    this.place = place;
    this.identity = identity;
  }

  async come(wish, options) {
    const { app, place, identity } = this;
    const keys = { "X-App-Id": app.app_id, "X-App-Key": app.app_key };
    const body = { identity, room_name: place.name, type: place.type, ...wish };
    const minted = await ask("POST", "/token", keys, body);
    this.#bearer = { Authorization: `Bearer ${minted.user_token}` };
    await this.room.connect(minted.url, minted.token, options);
  }

  get maySpeak() {
    return this.room.localParticipant.permissions?.canPublish ?? false;
  }

  #seats(method, path, body) {
    return ask(method, `/rooms/${encodeURIComponent(this.place.name)}/seats${path}`, this.#bearer, body);
  }

  // On a seat, the first that is free unless one is named; who sits already moves there.
  async sit(index) {
    if (this.maySpeak) return void await this.#seats("POST", "/move", { target_seat: index });
    const { seats } = await this.#seats("GET", "");
    const isFree = (one) => one.occupant_identity === null && !one.locked
      && [null, this.identity].includes(one.reserved_for);
    const free = seats.filter(isFree).map((one) => one.seat_index);
    for (const one of index === undefined ? free : [index]) {
      const taken = await this.#seats("POST", `/${one}/take`).catch((error) => error);
      if (!(taken instanceof Error)) return await this.#permitted();
      if (index !== undefined) throw taken; // else somebody was faster
    }
    throw new Error("No seat is free: stand up in another tab, or wait until somebody does.");
  }

  async stand() {
    await this.#seats("POST", "/leave");
  }

  // The engine's answer may be here before the media server's word.
  #permitted() {
    if (this.maySpeak) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error("the media server does not let you speak"));
      const timer = setTimeout(late, PATIENCE);
      this.room.on(RoomEvent.ParticipantPermissionsChanged, () => {
        if (!this.maySpeak) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

// A second participant of the same tab, who says again what the first one said: from the microphone
// to the media server, to the echo, to the server again, and to the ear.
class Echo extends Guest {
  #audio = new AudioContext(); // runs, since a click made it
  #delay = this.#audio.createDelay(2 * ECHO_SECONDS);
  #out = this.#audio.createMediaStreamDestination();

  async begin(whom) {
    this.#delay.delayTime.value = ECHO_SECONDS;
    this.#delay.connect(this.#out);
    const take = (publication, who) => who.identity === whom && publication.setSubscribed(true);
    this.room.on(RoomEvent.TrackPublished, take);
    this.room.on(RoomEvent.TrackSubscribed, (track) => this.#hear(track));
    await this.come({ name: "echo" }, { autoSubscribe: false });
    const known = this.room.remoteParticipants.get(whom);
    known?.trackPublications.forEach((publication) => take(publication, known));
    await this.sit();
    const [sound] = this.#out.stream.getAudioTracks();
    await this.room.localParticipant.publishTrack(sound, { source: Track.Source.Microphone });
  }

  #hear(track) {
    // Chromium lets remote sound flow into Web Audio only while an element plays it.
    track.attach().muted = true;
    const stream = new MediaStream([track.mediaStreamTrack]);
    this.#audio.createMediaStreamSource(stream).connect(this.#delay);
  }

  async end() {
    await this.room.disconnect();
    await this.#audio.close();
  }
}

// You, in one room; `changed` is called whenever something of this is different.
export class Visit extends Guest {
  speaking = new Set();
  videos = new Map();
  #echo = null;

  constructor(app, place, changed, ended) {
    super(app, place, `browser-${some(4)}`);
    this.changed = changed;
    const { room } = this;
    room.on(RoomEvent.ActiveSpeakersChanged, (speakers) => {
      this.speaking = new Set(speakers.map((one) => one.identity));
      changed();
    });
    room.on(RoomEvent.TrackSubscribed, (track, _, who) => this.#play(track, who));
    room.on(RoomEvent.TrackUnsubscribed, (track, _, who) => this.#stop(track, who));
    for (const name of ["ParticipantPermissionsChanged", "TrackMuted", "TrackUnmuted"]) {
      room.on(RoomEvent[name], changed);
    }
    room.on(RoomEvent.LocalTrackUnpublished, () => this.echo(false));
    room.on(RoomEvent.Disconnected, async (reason) => {
      await this.echo(false);
      ended(this, REASONS[reason] ?? LOST);
    });
  }

  get hasSeats() {
    return this.place.type === "audio_room";
  }

  get hasEcho() {
    return this.#echo !== null;
  }

  get speaks() {
    return this.room.localParticipant.isMicrophoneEnabled;
  }

  async speak(isOn) {
    await this.room.localParticipant.setMicrophoneEnabled(isOn);
    this.changed();
  }

  async echo(isOn) {
    const before = this.#echo;
    this.#echo = null;
    await before?.end();
    if (isOn) {
      const echo = this.#echo = new Echo(this.app, this.place, `echo-of-${this.identity}`);
      await echo.begin(this.identity);
    }
    this.changed();
  }

  async leave() {
    await this.room.disconnect();
  }

  #play(track, who) {
    const element = track.attach();
    if (track.kind === Track.Kind.Video) this.videos.set(who.identity, element);
    else document.querySelector("#sound").append(element);
    this.changed();
  }

  #stop(track, who) {
    for (const element of track.detach()) element.remove();
    if (track.kind === Track.Kind.Video) this.videos.delete(who.identity);
    this.changed();
  }
}
