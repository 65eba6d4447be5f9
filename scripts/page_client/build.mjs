// Write livekit-client as one file, with the licences of all that is in it, beside the engine's
// page: npm ci --prefix scripts/page_client && node scripts/page_client/build.mjs [FOLDER]

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const FOLDER = process.argv[2] ?? join(HERE, "../../utd_rx/engine/page/static");
const NAME = "livekit-client";
const MOST = 700_000;

const about = (one) => JSON.parse(readFileSync(join(MODULES, one, "package.json"), "utf8"));
const dist = join(MODULES, NAME, "dist/livekit-client.esm.mjs");

// Its authors have put other packages into that file; its map knows which, and which files of each.
const { sources } = JSON.parse(readFileSync(`${dist}.map`, "utf8"));
const inside = new Map([[NAME, []], ["@livekit/protocol", []]]);
for (const source of sources) {
  const [, one, file] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)/.exec(source) ?? [];
  if (one) inside.set(one, [...inside.get(one) ?? [], join(MODULES, one, file)]);
}

function licence(one) {
  const { version, license } = about(one);
  const file = readdirSync(join(MODULES, one)).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? readFileSync(join(MODULES, one, file), "utf8").trim() : headsOf(one).join("\n\n");
  return `${"=".repeat(80)}\n${one} ${version}: ${license}\n${"=".repeat(80)}\n\n${text}\n`;
}

// A package without such a file says it at the head of each of its own.
function headsOf(one) {
  const heads = inside.get(one).map((file) => /^(?:\/\/.*\n)+/.exec(readFileSync(file, "utf8"))?.[0]);
  return [...new Set(heads.filter(Boolean).map((head) => head.trim()))];
}

const { version } = about(NAME);
const { outputFiles: [file] } = await build({
  stdin: { contents: `export { Room, RoomEvent, Track, setLogLevel } from "${NAME}";`, resolveDir: HERE },
  bundle: true, format: "esm", minify: true, target: "es2022", write: false, charset: "ascii",
  banner: { js: `// ${NAME} ${version}, made by scripts/page_client/build.mjs; ${NAME}.LICENSES.txt` },
});
if (file.contents.length > MOST) throw new Error(`${file.contents.length} bytes are more than ${MOST}`);
writeFileSync(join(FOLDER, `${NAME}.js`), file.contents);
writeFileSync(join(FOLDER, `${NAME}.LICENSES.txt`), [...inside.keys()].map(licence).join("\n"));
console.log(`${NAME} ${version}: ${file.contents.length} bytes, licences of ${inside.size} packages`);
