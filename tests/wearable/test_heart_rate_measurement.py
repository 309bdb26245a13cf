"""Heart Rate Measurement, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.errors import Malformed
from clients.wearable.heart_rate_measurement import decode
from clients.wearable.reading import BPM, MAX_RR, RR_MS, HeartRate

RATES_8_BIT = st.integers(int(BPM[0]), 255)
RATES_16_BIT = st.integers(int(BPM[0]), int(BPM[1]))
TICKS = st.integers(103, 5120)  # 1/1024 s: within RR_MS
CONTACTS = {0b00: None, 0b01: None, 0b10: False, 0b11: True}


def encode(
    bpm: int, ticks: list[int] | None, contact_bits: int, energy: int | None, wide: bool, reserved: int
) -> bytes:
    """A packet as the specification has it."""
    flags = wide | contact_bits << 1 | (energy is not None) << 3 | (ticks is not None) << 4 | reserved << 5
    packet = bytes([flags]) + bpm.to_bytes(2 if wide else 1, "little")
    packet += b"" if energy is None else energy.to_bytes(2, "little")
    return packet + b"".join(tick.to_bytes(2, "little") for tick in ticks or [])


@st.composite
def packets(draw: st.DrawFn) -> tuple[bytes, HeartRate]:
    """A packet and what it says."""
    wide = draw(st.booleans())
    bpm = draw(RATES_16_BIT if wide else RATES_8_BIT)
    ticks = draw(st.none() | st.lists(TICKS, max_size=MAX_RR))
    contact_bits = draw(st.sampled_from(sorted(CONTACTS)))
    energy = draw(st.none() | st.integers(0, 0xFFFF))
    packet = encode(bpm, ticks, contact_bits, energy, wide, draw(st.integers(0, 7)))
    said = HeartRate(bpm, tuple(tick * 1000 / 1024 for tick in ticks or []), CONTACTS[contact_bits])
    return packet, said


@given(packets())
def test_every_combination_of_flags_is_read_as_it_was_written(drawn: tuple[bytes, HeartRate]) -> None:
    packet, said = drawn
    assert decode(packet) == said


@given(packets())
def test_a_packet_that_lost_its_last_byte_is_refused(drawn: tuple[bytes, HeartRate]) -> None:
    with pytest.raises(Malformed, match="heart rate packet"):
        decode(drawn[0][:-1])


@given(st.binary(max_size=40))
def test_any_bytes_are_a_heart_rate_or_malformed(packet: bytes) -> None:
    try:
        reading = decode(packet)
    except Malformed:
        return
    assert reading.bpm is None or BPM[0] <= reading.bpm <= BPM[1]
    assert all(RR_MS[0] <= interval <= RR_MS[1] for interval in reading.rr_ms)


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        ("00 48", HeartRate(72.0)),  # a byte for the rate, no contact feature
        ("01 04 01", HeartRate(260.0)),  # two bytes, little-endian
        ("02 48", HeartRate(72.0)),  # "in contact" of a sensor that cannot tell
        ("04 48", HeartRate(72.0, contact=False)),
        ("06 48", HeartRate(72.0, contact=True)),
        ("0e 48 2c 01", HeartRate(72.0, contact=True)),  # 300 kJ
        ("16 3c 00 04 00 02", HeartRate(60.0, (1000.0, 500.0), True)),
        ("1f 3c 00 2c 01 55 03", HeartRate(60.0, (853 * 1000 / 1024,), True)),
        ("04 00", HeartRate(None, contact=False)),  # off the body
    ],
)
def test_packets_worked_out_by_hand(packet: str, said: HeartRate) -> None:
    assert decode(bytes.fromhex(packet)) == said


def test_a_refusal_shows_the_bytes() -> None:
    with pytest.raises(Malformed, match=r"of 2 bytes \(09 48\); its flags announce 5"):
        decode(bytes.fromhex("09 48"))
    with pytest.raises(Malformed, match="cut off: 00 04 01"):
        decode(bytes.fromhex("10 48 00 04 01"))


def test_a_strap_with_nothing_to_say_is_refused() -> None:
    with pytest.raises(Malformed, match="a rate of 0 and 0 intervals"):
        decode(bytes.fromhex("00 00"))
