// The service worker: keeps the patient page's files in the browser. Each version has a cache of its own, and a page is
// served from one version only: a newer worker waits until the page that runs is done. Sound and calls are never kept.

importScripts("./shell.js"); // SHELL: {version, files}; made by the server, so that a changed file makes a new worker

const CACHE = `musicmed-page-${self.SHELL.version}`;
const PAGES = ["./", "./index.html"].map(inScope);
const FILES = new Set([...PAGES, ...self.SHELL.files.map(inScope)]);

addEventListener("install", (event) => event.waitUntil(fill()));
addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
addEventListener("message", ({ data: wish }) => {
  if (wish === "take over") self.skipWaiting();
});
addEventListener("fetch", (event) => {
  const { request } = event;
  const kept = request.mode === "navigate" ? PAGES.includes(bare(request.url)) : FILES.has(bare(request.url));
  if (kept && request.method === "GET") event.respondWith(answer(event));
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll(self.SHELL.files.map((file) => new Request(inScope(file), { cache: "no-cache" })));
}

async function forgetOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("musicmed-page-") && name !== CACHE).map((name) => caches.delete(name)));
}

// Other pages share some of these files, and get them from the server.
async function answer({ request, clientId }) {
  const client = request.mode === "navigate" ? null : await clients.get(clientId);
  if (client !== null && (client === undefined || !PAGES.includes(bare(client.url)))) return fetch(request);
  const cache = await caches.open(CACHE);
  const name = PAGES.includes(bare(request.url)) ? inScope("./index.html") : bare(request.url);
  return (await cache.match(name)) ?? fetch(request);
}

function inScope(path) {
  return new URL(path, self.registration.scope).href;
}

function bare(url) {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
