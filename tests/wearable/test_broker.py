"""Addresses of brokers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.broker import PASSWORD, Broker, parse_broker
from clients.wearable.errors import Refused


def test_an_address_says_where_who_and_how() -> None:
    assert parse_broker("mqtt://anna@ward", {}) == Broker("ward", 1883, "anna")
    assert parse_broker("mqtt://10.0.0.5:1884/", {}) == Broker("10.0.0.5", 1884)
    assert parse_broker("mqtt://a%40b:p%3Aw@ward?version=3.1.1", {}) == Broker("ward", 1883, "a@b", "p:w", "3.1.1")


def test_encrypted_brokers_have_their_own_port_and_are_verified() -> None:
    broker = parse_broker("mqtts://ward", {})
    assert broker.port == 8883
    assert broker.tls is not None
    assert broker.tls.check_hostname


def test_a_password_that_is_not_in_the_address_is_the_environments_and_is_never_shown() -> None:
    broker = parse_broker("mqtt://anna@ward", {PASSWORD: "hidden"})
    assert broker.password == "hidden"
    assert "hidden" not in repr(broker)
    assert parse_broker("mqtt://anna:own@ward", {PASSWORD: "hidden"}).password == "own"
    assert broker.name == "ward:1883"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ward:1883", "not the address"),
        ("http://ward", "not the address"),
        ("mqtt://", "not the address"),
        ("mqtt://ward/topic", "not the address"),
        ("mqtt://ward#topic", "not the address"),
        ("mqtt://a:secret@ward?ca=ca.pem", "ca is for mqtts://"),
        ("mqtt://a:secret@ward:port", "no valid host and port"),
        ("mqtt://a:secret@ward?version=4", "version '4' is none of 5, 3.1.1"),
        ("mqtt://a:secret@ward?qos=1", "unknown option 'qos'"),
        ("mqtts://a:secret@ward?ca=missing.pem", "'missing.pem' cannot be read: No such file"),
    ],
)
def test_what_is_no_address_is_refused_without_the_password(text: str, what: str) -> None:
    with pytest.raises(Refused, match=what) as refusal:
        parse_broker(text, {})
    assert "secret" not in str(refusal.value)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for address in (text, f"mqtt://{text}", f"mqtt://ward?{text}", f"mqtts://ward?ca={text}"):
        try:
            assert parse_broker(address, {}).host
        except Refused:
            continue
