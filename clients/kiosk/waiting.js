// Until the server answers, this is what is to be seen: no error page of the browser's.
// Not a module: a file may not load those.

const RETRY_MS = 500;

async function wait(page) {
  try {
    await fetch(new URL("/api/kiosk/answer", page), { mode: "no-cors", cache: "no-store" });
    location.replace(page);
  } catch {
    setTimeout(wait, RETRY_MS, page);
  }
}

wait(location.hash.slice(1));
