// Keeps the page in the browser, so that it opens at once and can be installed; and brings in a newer one as a whole.

export class Update {
  #mayReload;
  #registration = null;
  #isReplaced = false; // whether this page's files are of an older version than those that it would get now

  /** `mayReload()`: whether nobody is disturbed if the page loads anew. */
  constructor(mayReload) {
    this.#mayReload = mayReload;
  }

  /** Look for newer versions. */
  watch() {
    // Without https, or with a certificate that the browser doubts, the page comes from the network each time.
    navigator.serviceWorker?.register("./sw.js").then(
      (registration) => this.#follow(registration),
      () => {},
    );
  }

  /** Bring in the newer version, if there is one and nobody is disturbed. */
  catchUp() {
    if (!this.#mayReload()) return;
    if (this.#isReplaced) location.reload(); // all of it is of the new version then
    else this.#registration?.waiting?.postMessage("take over");
  }

  #follow(registration) {
    this.#registration = registration;
    const catchUp = () => this.catchUp();
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", catchUp));
    document.addEventListener("visibilitychange", catchUp);
    const controlled = navigator.serviceWorker.controller !== null;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      this.#isReplaced = controlled; // also by another tab, whatever plays here
      catchUp();
    });
    catchUp();
  }
}
