"""The guard before every page: hosts, tokens, origins, sizes, headers; asked as browsers and as strangers would."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.view.security import POLICY, Access, Guard, access, address, is_local, session_of

TOKEN = "a-token-of-more-than-sixteen"
HERE = "http://127.0.0.1:8000"


async def _page(scope: Any, receive: Any, send: Any) -> None:
    """Says how it was asked, what was sent, and which token forms carry."""
    body, more = b"", True
    while scope["method"] == "POST" and more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = f"{scope['method']} {scope['path']} {len(body)} {session_of(scope).form_token}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": said})


def ask(
    guard: Guard, method: str, url: str, *, cookies: dict[str, str] | None = None, **more: Any
) -> httpx.Response:  # fmt: skip
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=guard)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=HERE, cookies=cookies) as client:
            return await client.request(method, url, **more)

    return anyio.run(asked)


def local(**more: Any) -> Guard:
    return Guard(_page, access("127.0.0.1"), **more)


def guarded() -> Guard:
    return Guard(_page, access("0.0.0.0", token=TOKEN))


# --- hosts -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:80"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert ask(local(), "GET", "/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80@127.0.0.1",
        "",
        "[::1",
        "10.0.0.7",
        "localhost.",
        "a b",
    ],
)
def test_a_foreign_name_that_points_here_is_refused(host: str) -> None:
    assert ask(local(), "GET", "/", headers={"host": host}).status_code == 421


def test_two_hosts_or_none_are_refused() -> None:
    for headers in ([], [(b"host", b"localhost"), (b"host", b"evil.example")]):
        sent: list[Any] = []

        async def asked(headers: Any = headers, sent: list[Any] = sent) -> None:
            async def send(message: Any) -> None:
                sent.append(message)

            async def receive() -> Any:
                return {"type": "http.request", "body": b""}

            await local()(
                {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""}, receive, send
            )

        anyio.run(asked)
        assert sent[0]["status"] == 421


def test_with_a_token_addresses_in_numbers_will_do_and_names_will_not() -> None:
    guard = guarded()
    for host, status in (("10.0.0.7:8000", 200), ("evil.example", 421)):
        asked = ask(guard, "GET", "/", headers={"host": host, "authorization": f"Bearer {TOKEN}"})
        assert asked.status_code == status


# --- addresses and tokens ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.4", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_a_token_is_made_wherever_others_can_reach_the_server(host: str, own: bool) -> None:
    made = access(host)
    assert is_local(host) is own
    assert (made.token is None) is own
    assert own or len(made.token or "") >= 43  # 32 random bytes in base 64: 4/3 x 32 = 42.7
    assert ("token=" in address(host, 8000, made)) is not own


def test_two_servers_have_two_tokens_and_none_is_told_by_its_repr() -> None:
    a, b = access("0.0.0.0"), access("0.0.0.0")
    assert a.token != b.token
    assert a.token not in repr(a)


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(UsageError, match="16 characters"):
        access("0.0.0.0", token="short")


def test_the_first_visit_takes_the_token_out_of_the_address() -> None:
    guard = guarded()
    first = ask(guard, "GET", f"/units?site=a%26b&token={TOKEN}&page=2")
    assert first.status_code == 303
    assert first.headers["location"] == "/units?site=a%26b&page=2"
    ((name, value),) = first.cookies.items()
    assert TOKEN not in value
    flags = first.headers["set-cookie"]
    assert "HttpOnly" in flags and "SameSite=Strict" in flags
    assert ask(guard, "GET", "/units", cookies={name: value}).status_code == 200


def test_a_token_in_the_address_of_a_known_browser_is_taken_out_too() -> None:
    guard = guarded()
    ((name, value),) = ask(guard, "GET", f"/?token={TOKEN}").cookies.items()
    again = ask(guard, "GET", f"/units?token={TOKEN}", cookies={name: value})
    assert (again.status_code, again.headers["location"]) == (303, "/units")


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "//evil.example//x"])
def test_the_way_back_never_leaves_the_server(path: str) -> None:
    found = ask(guarded(), "GET", f"{HERE}{path}?token={TOKEN}").headers["location"]
    assert found.startswith("/") and not found.startswith(("//", "/\\"))


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é" * 20])
def test_a_wrong_token_opens_nothing(token: str) -> None:
    guard = guarded()
    assert ask(guard, "GET", "/", params={"token": token}).status_code == 403
    assert ask(guard, "GET", "/", headers={"authorization": f"Bearer {token}".encode()}).status_code == 403
    ((name, _),) = ask(guard, "GET", f"/?token={TOKEN}").cookies.items()
    assert ask(guard, "GET", "/", headers={"cookie": f"{name}={token}".encode()}).status_code == 403


def test_a_cookie_of_another_server_opens_nothing() -> None:
    other = Guard(_page, access("0.0.0.0"))
    ((_, value),) = ask(guarded(), "GET", f"/?token={TOKEN}").cookies.items()
    assert ask(other, "GET", "/", cookies={other._entry: value}).status_code == 403


def test_a_token_does_not_let_a_form_in() -> None:
    sent = ask(guarded(), "POST", f"/people?token={TOKEN}", headers={"origin": HERE})
    assert sent.status_code == 403


# --- what changes something ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": HERE}, 200),
        ({"origin": HERE, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:9"}, 403),
        ({"origin": "https://127.0.0.1:8000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": HERE, "sec-fetch-site": "cross-site"}, 403),
        ({"referer": HERE + "/"}, 403),
        ({}, 403),
    ],
)
def test_forms_come_from_pages_of_this_server(headers: dict[str, str], status: int) -> None:
    assert ask(local(), "POST", "/people", headers=headers, content=b"x=1").status_code == status


def test_other_methods_and_read_only_servers_refuse() -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert ask(local(), method, "/", headers={"origin": HERE}).status_code == 405
    closed = Guard(_page, access("127.0.0.1", writable=False))
    assert ask(closed, "POST", "/people", headers={"origin": HERE}).status_code == 403
    assert ask(closed, "GET", "/people").status_code == 200


def test_each_browser_has_a_form_token_of_its_own_that_stays() -> None:
    guard = local()
    first, second = ask(guard, "GET", "/"), ask(guard, "GET", "/")
    again = ask(guard, "GET", "/", cookies=dict(first.cookies))
    tokens = [r.text.split()[-1] for r in (first, second, again)]
    assert tokens[0] == tokens[2] != tokens[1]
    assert "set-cookie" not in again.headers


def test_a_person_stays_the_same_after_a_new_start_and_an_odd_id_is_replaced() -> None:
    first = ask(local(), "GET", "/")
    ((name, value),) = first.cookies.items()
    again = ask(local(), "GET", "/", cookies={name: value})  # another server, as after a new start
    assert again.cookies[name].partition(".")[0] == value.partition(".")[0]
    assert again.text.split()[-1] != first.text.split()[-1]  # a form of the old one is too old
    for odd in ("<script>", "a" * 17, "../x", "0123456789ABCDEF"):
        assert ask(local(), "GET", "/", cookies={name: f"{odd}.x"}).cookies[name].partition(".")[0] != odd


# --- sizes and headers -----------------------------------------------------------------------------------------------------
def test_a_body_is_counted_whatever_its_header_says() -> None:
    guard = local(most_body=100)
    fits = ask(guard, "POST", "/p", headers={"origin": HERE}, content=b"x" * 100)
    assert fits.text.split()[:3] == ["POST", "/p", "100"]

    async def pieces() -> Any:  # no length is announced
        for _ in range(3):
            yield b"x" * 40

    assert ask(guard, "POST", "/p", headers={"origin": HERE}, content=pieces()).status_code == 413
    assert ask(guard, "POST", "/p", headers={"origin": HERE}, content=b"x" * 101).status_code == 413
    for lie in ("-1", "1e9", "99999999999", "²"):
        headers = {"origin": HERE, "content-length": lie.encode()}
        assert ask(guard, "POST", "/p", headers=headers, content=b"x").status_code == 413


def test_answers_carry_what_browsers_need_to_be_strict() -> None:
    found = ask(local(), "GET", "/").headers
    assert found["content-security-policy"] == POLICY
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "same-origin"  # no-referrer would make our own forms come from "null"
    assert "unsafe-inline" not in POLICY.split("script-src")[1].split(";")[0]


def test_a_page_keeps_a_policy_of_its_own() -> None:
    async def strict(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"Content-Security-Policy", b"sandbox")]}
        )
        await send({"type": "http.response.body", "body": b""})

    found = ask(Guard(strict, Access()), "GET", "/").headers.get_list("content-security-policy")
    assert found == ["sandbox"]


@given(st.text(alphabet="localhst127.0:[]@ex/?#", max_size=24))
def test_no_host_but_those_allowed_gets_in(host: str) -> None:
    guard = local()
    if guard._allowed(host):
        assert host.lower().split(":")[0].strip("[]@") in ("localhost", "127.0.0.1", "", "::1")
