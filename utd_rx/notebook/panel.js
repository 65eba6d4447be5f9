// The panel of a session (panel.py). All that comes from a room is text, never markup.

function make(kind, classes, ...children) {
  const element = document.createElement(kind);
  element.className = classes;
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const text = (value) => make("bdi", "", String(value));
const pill = (value, tone = "") => make("span", `pill ${tone}`, text(value));
const titled = (title, ...children) => make("section", "", make("h4", "", title), ...children);

const TONES = {
  connected: "good", listening: "good", speaking: "good", active: "good",
  connecting: "wait", reconnecting: "wait", initiating: "wait", ringing: "wait",
  forceExit: "bad", rejected: "bad", missed: "bad", busy: "bad",
};

function head(shown, isLive) {
  return make("header", "",
    make("b", "", text(shown.title || "no room")),
    shown.identity ? make("span", "dim", "as ", text(shown.identity)) : null,
    shown.is_host ? pill("host") : null,
    shown.connection ? pill(shown.connection, TONES[shown.connection]) : null,
    shown.microphone ? pill("microphone on", "good") : null,
    shown.camera ? pill("camera on", "good") : null,
    shown.failure ? pill(shown.failure, "bad") : null,
    isLive ? null : pill("no longer followed"));
}

function seat(one) {
  const state = one.is_locked ? "locked" : one.identity ? "" : "empty";
  const tile = `tile ${state} ${one.is_mine ? "mine" : ""} ${one.speaks ? "speaks" : ""}`;
  const who = one.identity || (one.is_locked ? "locked" : one.reserved_for ? "reserved" : "free");
  return make("div", tile, make("small", "", String(one.index)), text(who));
}

function seats(shown) {
  const title = shown.mode === "request" ? "Seats, on request" : "Seats";
  return titled(title, make("div", "grid", ...shown.seats.map(seat)));
}

function stage(shown, pictures) {
  const tiles = shown.stage.map((one) => {
    const picture = pictures.get(one.identity) ?? make("div", "none", "no picture");
    return make("div", "tile", picture, text(one.name || one.identity),
      make("small", "", one.role));
  });
  const about = `${shown.viewers} watching${shown.is_over ? ", over" : ""}`;
  return titled(`Stage, ${about}`, make("div", "grid stage", ...tiles));
}

function call({ status, peer, duration, reason }) {
  const line = make("div", "", pill(status || "no call", TONES[status]), " ", peer ? text(peer) : "",
    duration === null ? "" : ` ${duration} s`, reason ? ` ${reason.replaceAll("_", " ")}` : "");
  return titled("Call", line);
}

function person(one, level) {
  const bar = make("i", "");
  bar.style.width = `${100 * (one.microphone === "on" ? level ?? 0 : 0)}%`;
  const sound = one.microphone ? make("div", "bar", bar) : make("span", "dim", "listens");
  const about = one.microphone === "muted" ? "muted" : one.speaks ? "speaks" : one.role;
  return make("div", "person", make("span", "", text(one.name || one.identity)), sound,
    make("small", "dim", about));
}

function people(shown, levels) {
  const rows = shown.people.map((one) => person(one, levels[one.identity]));
  const more = shown.more ? make("div", "dim", `and ${shown.more} more`) : null;
  return titled(`Others (${shown.people.length + shown.more})`, make("div", "list", ...rows, more));
}

function chat(shown) {
  const lines = shown.chat.map((one) =>
    make("div", "", make("b", "", text(one.who)), " ", text(one.text)));
  return titled(shown.chat_locked ? "Chat, locked" : "Chat", make("div", "list end", ...lines));
}

function log(events) {
  const lines = events.map((one) => make("div", "", make("span", "dim", one.at), " ", text(one.text)));
  return titled("Events", make("div", "list log end", ...lines));
}

function pictureOf(bytes) {
  const image = make("img", "");
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  return image;
}

function render({ model, el }) {
  const pictures = new Map();
  const drop = (identity) => {
    URL.revokeObjectURL(pictures.get(identity).src);
    pictures.delete(identity);
  };

  function look() {
    const thumbnails = model.get("thumbnails");
    for (const identity of [...pictures.keys()]) drop(identity);
    for (const [identity, bytes] of Object.entries(thumbnails)) {
      pictures.set(identity, pictureOf(bytes));
    }
  }

  function draw() {
    const shown = model.get("shown");
    const asking = shown.asking?.length
      ? titled("Asking", make("div", "", ...shown.asking.map((who) => pill(who, "wait")))) : null;
    const seen = shown.stage ? null : [...pictures.values()];
    const panel = make("div", model.get("is_live") ? "utd" : "utd over",
      head(shown, model.get("is_live")),
      shown.call ? call(shown.call) : null,
      shown.seats ? seats(shown) : null,
      shown.stage ? stage(shown, pictures) : null,
      seen?.length ? make("div", "grid stage", ...seen) : null,
      asking,
      shown.talking ? titled("Talking", make("div", "",
        pill("user", shown.talking.user ? "good" : ""), " ",
        pill("agent", shown.talking.agent ? "good" : ""))) : null,
      make("div", "sides",
        shown.people ? people(shown, model.get("levels")) : null,
        shown.chat ? chat(shown) : null),
      log(model.get("log")));
    el.replaceChildren(panel);
    for (const list of el.querySelectorAll(".end")) list.scrollTop = list.scrollHeight;
  }

  const lookAndDraw = () => { look(); draw(); };
  const events = ["shown", "log", "levels", "is_live"].map((name) => `change:${name}`).join(" ");
  model.on(events, draw);
  model.on("change:thumbnails", lookAndDraw);
  lookAndDraw();
  return () => {
    model.off(events, draw);
    model.off("change:thumbnails", lookAndDraw);
    for (const identity of [...pictures.keys()]) drop(identity);
  };
}

export default { render };
