// Keeps the page in the browser, so that it opens at once and can be installed; and brings in a newer one as a whole.

/** `mayReload()`: whether nobody is disturbed if the page loads anew. */
export function keepUpToDate(mayReload) {
  // Without https, or with a certificate that the browser doubts, the page comes from the network each time.
  navigator.serviceWorker?.register("./sw.js").then(
    (registration) => watch(registration, mayReload),
    () => {},
  );
}

function watch(registration, mayReload) {
  const takeOver = () => {
    if (registration.waiting !== null && mayReload()) registration.waiting.postMessage("take over");
  };
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", takeOver));
  document.addEventListener("visibilitychange", takeOver);
  takeOver();
  const controlled = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (controlled) location.reload(); // all of it is of the new version then
  });
}
