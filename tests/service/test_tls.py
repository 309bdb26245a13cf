"""A server that others can reach: over TLS, by its public name, with its pages, its calls and its sockets."""

import os
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.listener import serving
from musicmed_live.core.messages import SUBPROTOCOL, unpack_block
from musicmed_live.service.access import Access, StaffRole, kept_secret, secret_path
from tests.certificates import make_certificate
from tests.e2e.browser import Page, chromium

KEY = "an-administrators-key-of-the-ward"
NAME = "music.ward.example"


@dataclass(frozen=True)
class Ward:
    """Where it is on this machine, how others call it, and who trusts its certificate."""

    local: str
    public: str
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder, "DNS:localhost", f"DNS:{NAME}")
    admin = folder / "admin.key"
    admin.touch(mode=0o600)
    admin.write_text(KEY)
    protected = ("--tls-cert", str(certificate), "--tls-key", str(key), "--admin-key-file", str(admin))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.fspath(certificate))
        with serving("--host", "0.0.0.0", "--public-name", "localhost", "--public-name", NAME, *protected) as (url, _):
            yield Ward(url, url.replace("localhost", NAME), ssl.create_default_context(cafile=certificate))


@pytest.fixture
async def web(ward: Ward) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ward.local, verify=ward.context) as client:
        yield client


@pytest.fixture(scope="module")
def page(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of the server, under its public name."""
    flags = ("--ignore-certificate-errors", f"--host-resolver-rules=MAP {NAME} 127.0.0.1")
    with chromium(tmp_path_factory.mktemp("profile"), None, *flags) as browser:
        browser.open(ward.public)
        yield browser


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def opened(web: httpx.AsyncClient) -> dict[str, Any]:
    token = Access(kept_secret(secret_path())).grant(StaffRole.NURSE, name="Ada", seconds=60)
    answer = await web.post("api/sessions", json={"start": "sad", "goal": "calm"}, headers=bearer(token))
    session: dict[str, Any] = answer.json()
    return session


async def test_pages_and_calls_by_the_public_name(ward: Ward, web: httpx.AsyncClient) -> None:
    host = {"Host": httpx.URL(ward.public).netloc.decode()}
    page = await web.get("", headers=host)
    assert page.status_code == 200
    assert "max-age" in page.headers["Strict-Transport-Security"]
    assert (await web.get("api/me", headers={**host, **bearer(KEY)})).json()["role"] == "admin"
    assert (await web.get("", headers={"Host": "evil.example"})).status_code == 403


async def test_pages_are_compressed_and_sent_once(web: httpx.AsyncClient) -> None:
    page = await web.get("style.css", headers={"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in page.headers["Vary"]
    again = await web.get("style.css", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    words = await web.get("api/words", headers={"Accept-Encoding": "gzip"})
    assert words.headers["Content-Encoding"] == "gzip"
    assert words.json()


async def test_a_session_is_heard_over_tls(ward: Ward, web: httpx.AsyncClient) -> None:
    session = await opened(web)
    address = f"{ward.local.replace('https', 'wss')}api/sessions/{session['id']}/live"
    origin = ward.local.rstrip("/")
    async with connect(
        f"{address}?token={session['tokens']['patient']}",
        ssl=ward.context,
        origin=origin,  # type: ignore[arg-type]
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
    ) as socket:
        await socket.send('{"type": "listen"}')
        await socket.send('{"type": "play"}')
        async for frame in socket:
            if isinstance(frame, bytes):
                assert unpack_block(frame)[0] == 0
                break
        await socket.send('{"type": "stop"}')


@pytest.mark.parametrize("origin", ["https://evil.example", f"https://{NAME}", "http://localhost", "null"])
async def test_a_socket_of_another_origin_is_refused(ward: Ward, web: httpx.AsyncClient, origin: str) -> None:
    session = await opened(web)
    address = f"{ward.local.replace('https', 'wss')}api/sessions/{session['id']}/live"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"{address}?token={session['tokens']['patient']}",
            ssl=ward.context,
            origin=origin,  # type: ignore[arg-type]
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_without_tls_nothing_is_said(ward: Ward) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(ward.local.replace("https", "http"))


def test_a_page_calls_its_server_and_opens_a_socket(ward: Ward, page: Page) -> None:
    hello = page.evaluate(
        f"""(async () => {{
          const headers = {{ Authorization: "Bearer {KEY}", "Content-Type": "application/json" }};
          const wish = {{ method: "POST", headers, body: JSON.stringify({{ goal: "calm" }}) }};
          const session = await (await fetch("/api/sessions", wish)).json();
          const address = `wss://${{location.host}}/api/sessions/${{session.id}}/live?token=${{session.tokens.patient}}`;
          const socket = new WebSocket(address, "{SUBPROTOCOL}");
          const first = await new Promise((tell) => {{ socket.onmessage = tell; socket.onerror = () => tell(null); }});
          socket.close();
          return first && JSON.parse(first.data).type;
        }})()"""
    )
    assert hello == "hello"


@pytest.mark.parametrize(
    "deed",
    [
        "new WebSocket('wss://evil.example/')",
        "new WebSocket(`wss://${location.hostname}:1/`)",
        "fetch('https://evil.example/').catch(() => null)",
        "document.body.append(Object.assign(new Image(), {src: 'https://evil.example/a.png'}))",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'}))",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://evil.example/'}))",
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')",
        "document.body.append(Object.assign(document.createElement('form'), {action: '/x', id: 'f'})), f.submit()",
    ],
)
def test_a_page_can_do_nothing_else(page: Page, deed: str) -> None:
    broken = page.evaluate(
        f"""new Promise((tell) => {{
          const told = ({{ effectiveDirective }}) => tell(effectiveDirective);
          document.addEventListener("securitypolicyviolation", told, {{ once: true }});
          {deed};
        }})"""
    )
    assert broken
    assert page.evaluate("window.evil") is None
