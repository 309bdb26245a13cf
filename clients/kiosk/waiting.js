// Until the server answers, this is what is to be seen: no error page of the browser's.

const RETRY_MS = 500;
const page = decodeURIComponent(location.hash.slice(1));

async function look() {
  try {
    await fetch(page, { mode: "no-cors", cache: "no-store" });
    location.replace(page);
  } catch {
    setTimeout(look, RETRY_MS);
  }
}

look();
