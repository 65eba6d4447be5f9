// What the engine's page looks like. All that comes from a room is text, never markup.

function make(kind, classes, ...children) {
  const element = document.createElement(kind);
  element.className = classes;
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== ""));
  return element;
}

// What others wrote stays within its own direction.
const text = (value) => make("bdi", "", String(value));
const pill = (value, tone = "") => make("span", `pill ${tone}`, text(value));

// `what` it does, as long as it is the same button: who came to it by keyboard stays on it.
function button(label, act, what = label) {
  const element = make("button", "", label);
  element.dataset.act = what;
  element.addEventListener("click", act);
  return element;
}

function named(person) {
  const name = make("span", person.is_here ? "name" : "name away", text(person.name));
  name.title = person.name === person.identity ? person.name : `${person.name} (${person.identity})`;
  return name;
}

// The same colour for the same person, wherever they are.
function hueOf(identity) {
  let mix = 2166136261; // FNV-1a
  for (const sign of identity) mix = Math.imul(mix ^ sign.codePointAt(0), 16777619) >>> 0;
  return mix % 360;
}

function face(person) {
  const sign = [...person.name].find((one) => /[\p{L}\p{N}]/u.test(one)) ?? "·";
  const element = make("span", person.is_here ? "face" : "face away", sign.toUpperCase());
  element.style.setProperty("--hue", hueOf(person.id));
  return element;
}

function tile(person, visit, ...notes) {
  const element = make("li", "tile", visit?.videos.get(person.id) ?? face(person), named(person), notes);
  element.dataset.id = person.id;
  element.classList.toggle("you", person.id === visit?.identity);
  return element;
}

function seat(one, visit, act) {
  const note = one.is_muted ? make("small", "dim", "muted") : null;
  if (one.who !== null) return tile(one.who, visit, note);
  const about = one.is_locked ? "locked" : one.is_reserved ? "reserved" : "free";
  const place = make("span", "face none", String(one.index));
  if (visit === null || about !== "free") {
    return make("li", "tile", place, make("span", "dim", about));
  }
  return make("li", "tile", place, button(`Sit on ${one.index}`, () => act.sit(one.index)));
}

function list(title, people) {
  if (people.length === 0) return null;
  const names = people.flatMap((one) => [" · ", named(one)]).slice(1);
  return make("p", "people", make("span", "dim", `${title} `), names);
}

function mine(visit, act) {
  return make("div", "mine",
    make("span", "dim", "You are ", text(visit.identity),
      visit.hasEcho ? ", and hear yourself a moment later, by way of the server." : "."),
    make("span", "buttons",
      visit.maySpeak
        ? button(visit.speaks ? "Mute" : "Unmute", () => act.speak(!visit.speaks), "speak") : null,
      visit.maySpeak && visit.hasSeats
        ? button(visit.hasEcho ? "Stop the echo" : "Hear yourself", () => act.echo(!visit.hasEcho), "echo")
        : null,
      visit.maySpeak && visit.hasSeats ? button("Stand up", act.stand) : null,
      button("Leave", act.leave, "here")));
}

// A room as a card; `visit` is null where you are not in it.
export function drawRoom(room, visit, act) {
  const isStream = room.type === "live_stream";
  const places = isStream
    ? room.stage.map((one) => tile(one, visit, make("small", "dim", one.role ?? "")))
    : room.seats.map((one) => seat(one, visit, act));
  const placed = new Set((isStream ? room.stage : room.seats.map((one) => one.who))
    .map((one) => one?.id));
  const others = room.people.filter((one) => !placed.has(one.id));
  const more = room.count - room.people.length;
  return make("article", visit ? "card here" : "card",
    make("div", "title",
      make("h2", "", text(room.name)),
      pill(isStream ? "live stream" : "audio room"),
      room.is_live ? pill("on air", "bad") : null,
      room.is_by_request ? pill("seats by request", "wait") : null,
      room.is_chat_locked ? pill("chat locked", "wait") : null,
      make("span", "dim", `${room.count} here`),
      visit ? null : button(isStream ? "Watch" : "Join", () => act.join(room), "here")),
    places.length ? make("ul", isStream ? "places stage" : "places", places) : null,
    list("Asking to speak:", room.asking),
    list("Hands up:", room.hands),
    list(isStream ? "Watching:" : "Listening:", others),
    more > 0 ? make("p", "dim", `and ${more} more`) : null,
    visit ? mine(visit, act) : null);
}

const TONES = {
  initiating: "wait", ringing: "wait", active: "good", rejected: "bad", busy: "bad", missed: "bad",
};

export function drawCalls(calls) {
  if (calls.length === 0) return [];
  const rows = calls.map((one) => make("li", one.is_over ? "dim" : "",
    text(one.caller), " → ", text(one.callee), " ",
    pill(one.status, TONES[one.status]), " ",
    one.type === "video_call" ? pill("video") : "",
    one.seconds ? ` ${Math.round(one.seconds)} s` : "",
    one.reason ? ` ${one.reason.replaceAll("_", " ")}` : ""));
  return [make("article", "card", make("h2", "", "Calls"), make("ul", "calls", rows))];
}

export function drawNothing() {
  return make("article", "card hint",
    make("h2", "", "No rooms yet"),
    make("p", "", "Press ", make("b", "", "Hear yourself"),
      ": you sit down in a room, and hear what the server hears of you."),
    make("p", "", "Or in another terminal: ", make("code", "", "utd-rx join friday --host")));
}

export function drawHappening([at, where, words]) {
  const time = new Date(1000 * at).toLocaleTimeString([], { hourCycle: "h23" });
  return make("li", "", make("time", "dim", time), " ",
    where ? make("b", "", text(where)) : "", where ? " " : "", text(words));
}
