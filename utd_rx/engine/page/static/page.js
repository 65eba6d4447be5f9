// The engine's own page: shows what the engine tells (site.py), and lets one join.

import { drawCalls, drawHappening, drawNothing, drawRoom } from "./drawing.js";
import { Visit } from "./visit.js";

const KEPT = 200;
const HELLO = { name: "hello", type: "audio_room" };

const find = (id) => document.querySelector(`#${id}`);
const rooms = new Map();
const cards = new Map();
let app = null;
let visit = null;
let more = 0;

function notice(text) {
  find("notice").textContent = text;
  find("notice").hidden = text === "";
}

function stand(text, tone) {
  find("state").textContent = text;
  find("state").className = `pill ${tone}`;
  find("hear").disabled = tone !== "good";
}

// -- what is shown

function drawCard(name) {
  if (pressed && cards.has(name)) return void late.add(name);
  const room = rooms.get(name);
  const mine = visit?.place.name === name ? visit : null;
  const old = cards.get(name);
  const held = old?.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const card = drawRoom(room, mine, acts);
  if (old) old.replaceWith(card);
  else find("rooms").append(card);
  cards.set(name, card);
  for (const one of card.querySelectorAll("[data-id]")) {
    one.classList.toggle("speaks", mine?.speaking.has(one.dataset.id) ?? false);
  }
  for (const one of card.querySelectorAll("video")) one.play().catch(() => {}); // it was moved
  if (held) {
    const buttons = [...card.querySelectorAll("button")];
    (buttons.find((one) => one.dataset.act === held) ?? buttons.at(-1))?.focus();
  }
}

// A button drawn anew between press and release would never hear of the click.
const PRESS = 1000;
const late = new Set();
let pressed = 0;

addEventListener("pointerdown", () => {
  clearTimeout(pressed);
  pressed = setTimeout(release, PRESS); // the release may go to a menu, or another window
});
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(release));

function release() {
  clearTimeout(pressed);
  pressed = 0;
  for (const name of late) if (rooms.has(name)) drawCard(name);
  late.clear();
}

function drawOthers() {
  find("rooms").querySelector(".hint")?.remove();
  if (rooms.size === 0) find("rooms").append(drawNothing());
  find("more").textContent = more > 0 ? `and ${more} more rooms` : "";
}

function changed() {
  if (visit !== null && rooms.has(visit.place.name)) drawCard(visit.place.name);
}

function take(news) {
  if (news.app) {
    app = news.app;
    forget();
    stand("live", "good");
  }
  for (const [name, room] of Object.entries(news.rooms ?? {})) {
    if (room !== null) {
      rooms.set(name, room);
      drawCard(name);
    } else {
      rooms.delete(name);
      cards.get(name).remove();
      cards.delete(name);
    }
  }
  more = news.more ?? more;
  drawOthers();
  if (news.calls) find("calls").replaceChildren(...drawCalls(news.calls));
  if (news.happened) tell(news.happened);
}

function tell(happened) {
  const log = find("log");
  const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.append(...happened.map(drawHappening));
  while (log.children.length > KEPT) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function forget() {
  rooms.clear();
  cards.clear();
  more = 0;
  for (const id of ["rooms", "calls", "log"]) find(id).replaceChildren();
}

// -- what one does

// One thing at a time: a click while one is under way does nothing, and looks so.
let isBusy = false;

function busy(isSo) {
  isBusy = isSo;
  document.body.classList.toggle("busy", isSo);
}

function doing(act) {
  return async (...what) => {
    if (isBusy) return;
    busy(true);
    notice("");
    try {
      await act(...what);
    } catch (error) {
      notice(wordsOf(error));
    } finally {
      busy(false);
      changed();
    }
  };
}

function wordsOf(error) {
  switch (error.name) {
    case "NotAllowedError": return "The browser was not allowed to use the microphone.";
    case "NotFoundError": return "There is no microphone. You hear the others all the same.";
    default: return error.message;
  }
}

async function come(place, wish = {}) {
  await visit?.leave();
  const next = new Visit(app, place, changed, (ended, why) => {
    if (visit === ended) {
      visit = null;
      notice(why);
    }
    if (rooms.has(place.name)) drawCard(place.name);
  });
  await next.come(wish);
  visit = next;
  changed();
}

const acts = {
  join: doing(({ name, type }) => come({ name, type })),
  leave: doing(() => visit.leave()),
  stand: doing(() => visit.stand()),
  speak: doing((isOn) => visit.speak(isOn)),
  echo: doing((isOn) => visit.echo(isOn)),
  sit: doing(async (index) => {
    await visit.sit(index);
    if (!visit.speaks) await visit.speak(true);
  }),
  hear: doing(async () => {
    await come(HELLO, { role: "host", seat_count: 4 });
    await visit.sit();
    await visit.speak(true);
    await visit.echo(true);
  }),
};

// -- what the engine says

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

// Follow the engine; returns what it refuses for good.
async function follow(key) {
  let isRefused = false;
  for (;;) {
    let state = "the engine is gone";
    try {
      const reply = await fetch("/page/stream", { headers: { "X-Page-Key": key } });
      if (reply.ok) {
        if (isRefused) notice("");
        isRefused = false;
        for await (const line of lines(reply.body)) take(JSON.parse(line));
      } else {
        const { message } = await reply.json();
        if (reply.status === 401) return message;
        notice(message);
        isRefused = true;
        state = "waiting";
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the engine is gone
    }
    stand(state, "bad");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

find("address").textContent = location.host;
addEventListener("hashchange", () => location.reload());
find("hear").addEventListener("click", acts.hear);
const key = location.hash.slice(1);
const refusal = key ? await follow(key) : "This address lacks its end, the page's key.";
stand("locked", "bad");
notice(`${refusal} \`utd-rx engine\` prints the whole address.`);
