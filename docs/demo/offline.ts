/** Service Worker: keeps the page's own files, so that it works offline after the first visit. */
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;
/** Set by the build: a hash of all files, and their names. */
declare const VERSION: string;
declare const FILES: readonly string[];

const CACHE = `latentwire-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      // The browser's own cache has most of them already.
      .then((cache) => cache.addAll(FILES.map((file) => (file === "index.html" ? "./" : file))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const others = (names: string[]) => names.filter((name) => name.startsWith("latentwire-") && name !== CACHE);
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(others(names).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    caches
      .open(CACHE)
      .then((cache) => cache.match(event.request, { ignoreSearch: true }))
      .then((found) => found ?? fetch(event.request)),
  );
});
